//! Operations that look through windows: convolutions, pooling, interpolation.

use burn::tensor::module::{
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, avg_pool1d, avg_pool2d,
    conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv2d, conv3d, interpolate,
    max_pool1d, max_pool2d, max_pool2d_with_indices,
};
use burn::tensor::ops::{
    AvgPoolOptions, ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions,
    MaxPoolOptions,
};
use burn::tensor::{Device, Tensor, activation as act};

use crate::{check, weights};

#[test]
fn convolutions() {
    fn conv<const K: usize>(
        x: Tensor<4>,
        channels: [usize; 2],
        options: ConvOptions<2>,
    ) -> Tensor<4> {
        let weight = weights([channels[0], channels[1], K, K], &x.device());
        let bias = weights([channels[0]], &x.device());
        conv2d(x, weight, Some(bias), options)
    }
    fn back<const K: usize>(
        x: Tensor<4>,
        channels: [usize; 2],
        options: ConvTransposeOptions<2>,
    ) -> Tensor<4> {
        let weight = weights([channels[0], channels[1], K, K], &x.device());
        conv_transpose2d(x, weight, None, options)
    }
    check(
        [1, 4, 5, 6],
        &[
            ("conv2d", |x| conv::<3>(x, [3, 4], ConvOptions::new([1, 1], [1, 1], [1, 1], 1))),
            ("no padding", |x| conv::<3>(x, [3, 4], ConvOptions::new([1, 1], [0, 0], [1, 1], 1))),
            ("much padding", |x| conv::<1>(x, [3, 4], ConvOptions::new([1, 1], [2, 1], [1, 1], 1))),
            ("pointwise", |x| conv::<1>(x, [3, 4], ConvOptions::new([1, 1], [0, 0], [1, 1], 1))),
            ("stride", |x| conv::<3>(x, [3, 4], ConvOptions::new([2, 2], [1, 1], [1, 1], 1))),
            ("stride, left over", |x| {
                conv::<2>(x, [3, 4], ConvOptions::new([2, 3], [0, 0], [1, 1], 1))
            }),
            ("dilation", |x| conv::<3>(x, [3, 4], ConvOptions::new([1, 1], [2, 1], [2, 2], 1))),
            ("groups", |x| conv::<3>(x, [6, 2], ConvOptions::new([1, 1], [1, 1], [1, 1], 2))),
            ("depthwise", |x| conv::<3>(x, [4, 1], ConvOptions::new([1, 1], [1, 1], [1, 1], 4))),
            ("groups and stride", |x| {
                conv::<3>(x, [6, 2], ConvOptions::new([2, 2], [1, 1], [1, 1], 2))
            }),
            ("uneven padding", |x| {
                let options = ConvOptions::new_with_padding([1, 1], [(0, 2), (1, 0)], [1, 1], 1);
                conv::<3>(x, [3, 4], options)
            }),
            ("uneven padding and stride", |x| {
                let options = ConvOptions::new_with_padding([2, 2], [(0, 2), (1, 0)], [1, 1], 1);
                conv::<3>(x, [3, 4], options)
            }),
            ("of joined parts", |x| {
                let parts = vec![x.clone().narrow(1, 1, 3).exp(), x.clone(), x.tanh()];
                let x = Tensor::cat(parts, 1);
                conv::<3>(x, [3, 11], ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
            }),
            ("two convolutions", |x| {
                let x = conv::<3>(x, [5, 4], ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
                let x = act::tanh(x);
                conv::<3>(x, [3, 5], ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
            }),
            ("conv_transpose2d", |x| {
                back::<2>(x, [4, 3], ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1))
            }),
            ("blocks", |x| {
                let (w, b) = (weights([4, 3, 2, 3], &x.device()), weights([3], &x.device()));
                let options = ConvTransposeOptions::new([2, 3], [0, 0], [0, 0], [1, 1], 1);
                conv_transpose2d(x, w, Some(b), options)
            }),
            ("transposed, everything", |x| {
                back::<3>(x, [4, 3], ConvTransposeOptions::new([2, 2], [1, 1], [1, 0], [1, 2], 2))
            }),
        ],
    );
    check(
        [1, 2, 7],
        &[
            ("conv1d", |x| {
                let weight = weights([3, 2, 3], &x.device());
                conv1d(x, weight, None, ConvOptions::new([1], [1], [1], 1))
            }),
            ("conv1d, stride", |x| {
                let weight = weights([3, 2, 3], &x.device());
                conv1d(x, weight, None, ConvOptions::new([2], [1], [1], 1))
            }),
            ("conv_transpose1d", |x| {
                let weight = weights([2, 3, 3], &x.device());
                let options = ConvTransposeOptions::new([2], [1], [1], [1], 1);
                conv_transpose1d(x, weight, None, options)
            }),
        ],
    );
    check(
        [1, 2, 3, 4, 3],
        &[
            ("conv3d", |x| {
                let weight = weights([3, 2, 3, 3, 3], &x.device());
                conv3d(x, weight, None, ConvOptions::new([1; 3], [1; 3], [1; 3], 1))
            }),
            ("conv3d, stride", |x| {
                let weight = weights([3, 2, 2, 2, 2], &x.device());
                conv3d(x, weight, None, ConvOptions::new([2; 3], [0, 0, 1], [1; 3], 1))
            }),
            ("conv_transpose3d", |x| {
                let weight = weights([2, 3, 2, 2, 2], &x.device());
                let options = ConvTransposeOptions::new([2; 3], [0; 3], [0; 3], [1; 3], 1);
                conv_transpose3d(x, weight, None, options)
            }),
        ],
    );
}

#[test]
fn pooling_and_interpolation() {
    fn resized(x: Tensor<4>, mode: InterpolateMode, align: bool) -> Tensor<4> {
        let options =
            InterpolateOptions::new(mode).with_align_corners(align).with_output_size([7, 9]);
        interpolate(x, options)
    }
    check(
        [1, 2, 4, 6],
        &[
            ("max_pool2d", |x| max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]))),
            ("max_pool2d, overlapping", |x| {
                let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
                max_pool2d(x, options)
            }),
            ("max_pool2d, ceil", |x| {
                let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_ceil_mode(true);
                max_pool2d(x, options)
            }),
            ("max_pool2d with indices", |x| {
                let options = MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
                max_pool2d_with_indices(x, options).0
            }),
            ("avg_pool2d", |x| {
                let options = AvgPoolOptions::new([2, 3]).with_stride([2, 2]).with_padding([0, 1]);
                avg_pool2d(x, options)
            }),
            ("avg_pool2d without the border", |x| {
                let options = AvgPoolOptions::new([3, 3]).with_stride([1, 2]).with_padding([1, 1]);
                avg_pool2d(x, options.with_count_include_pad(false))
            }),
            ("adaptive_avg_pool2d", |x| adaptive_avg_pool2d(x, [3, 4])),
            ("bilinear", |x| resized(x, InterpolateMode::Bilinear, false)),
            ("bilinear, corners", |x| resized(x, InterpolateMode::Bilinear, true)),
            ("nearest", |x| resized(x, InterpolateMode::Nearest, false)),
            ("interpolate after a head", |x| {
                let weight = weights([3, 2, 1, 1], &x.device());
                let x = conv2d(x.exp(), weight, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
                resized(x, InterpolateMode::Bilinear, false)
            }),
        ],
    );
    check(
        [1, 2, 6],
        &[
            ("max_pool1d", |x| max_pool1d(x, MaxPoolOptions::new([2]).with_stride([2]))),
            ("avg_pool1d", |x| {
                avg_pool1d(x, AvgPoolOptions::new([3]).with_stride([2]).with_padding([1]))
            }),
            ("adaptive_avg_pool1d", |x| adaptive_avg_pool1d(x, 4)),
        ],
    );
    check([1, 2, 3, 4, 5], &[("adaptive_avg_pool3d", |x| adaptive_avg_pool3d(x, [2, 2, 3]))]);
    // Elsewhere burn has no way back of it, and says so.
    if segcam_tests::device() == Device::flex() {
        check([1, 2, 4, 6], &[("bicubic", |x| resized(x, InterpolateMode::Bicubic, false))]);
    }
}
