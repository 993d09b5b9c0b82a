use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use npyz::{DType, NpyFile, Order, TypeChar};
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::models::Prepared;

use crate::model::Model;

/// An image for the network, and the picture that lies under it if it came from an image file.
pub(crate) struct ImageInput {
    pub(crate) tensor: Tensor<4>,
    pub(crate) picture: Option<Picture>,
}

/// What lies under a map.
pub(crate) struct Picture {
    pub(crate) image: RgbImage,
    /// Whether it shows all of the input, at another size. Otherwise its pixels are the input's.
    pub(crate) resized: bool,
}

/// Reads an image (prepared as the network wants it) or a `.npy` array (taken as it is).
pub(crate) fn image(path: &Path, model: &Model, device: &Device) -> Result<ImageInput> {
    read_image(path, model, device).with_context(|| format!("cannot use {}", path.display()))
}

/// Reads a `.npy` array `[N, C, D, H, W]`.
pub(crate) fn volume(path: &Path, device: &Device) -> Result<Tensor<5>> {
    let read = || -> Result<Tensor<5>> {
        ensure!(is_npy(path), "the network takes volumes: give a .npy array [N, C, D, H, W]");
        let (values, shape) = array(path)?;
        let wanted = "the network takes volumes [N, C, D, H, W]";
        let shape: [usize; 5] = shape
            .try_into()
            .map_err(|given| anyhow::anyhow!("{wanted}, the array has shape {given:?}"))?;
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    };
    read().with_context(|| format!("cannot use {}", path.display()))
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
}

fn read_image(path: &Path, model: &Model, device: &Device) -> Result<ImageInput> {
    if !is_npy(path) {
        let Prepared { input, picture: image, resized, .. } =
            model.prepare(&picture(path)?, device)?;
        return Ok(ImageInput { tensor: input, picture: Some(Picture { image, resized }) });
    }
    let (values, shape) = array(path)?;
    let shape = match shape[..] {
        [c, h, w] => [1, c, h, w],
        [n, c, h, w] => [n, c, h, w],
        _ => anyhow::bail!(
            "the network takes images [C, H, W] or [N, C, H, W], the array has shape {shape:?}"
        ),
    };
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    Ok(ImageInput { tensor, picture: None })
}

fn picture(path: &Path) -> Result<DynamicImage> {
    let reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff];
    let known = reader.format().is_some_and(|format| known.contains(&format));
    ensure!(known, "it is no PNG, JPEG or TIFF image and no .npy array");
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    // As the camera was held, and as viewers show it.
    image.apply_orientation(orientation);
    Ok(image)
}

/// Values and shape of a float32 array.
fn array(path: &Path) -> Result<(Vec<f32>, Vec<usize>)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let npy = NpyFile::new(BufReader::new(file)).context("it is no .npy array")?;
    let float32 = match npy.dtype() {
        DType::Plain(kind) => kind.type_char() == TypeChar::Float && kind.size_field() == 4,
        _ => false,
    };
    ensure!(float32, "the array must be float32, it is {}", npy.dtype().descr());
    let shape: Vec<usize> = npy.shape().iter().map(|&side| side as usize).collect();
    // Before memory is taken on the word of the header.
    let needed = npy.shape().iter().try_fold(4u64, |size, &side| size.checked_mul(side));
    let whole = needed.is_some_and(|needed| needed < bytes);
    ensure!(whole, "the array is cut off: {bytes} bytes are too few for shape {shape:?}");
    let order = npy.order();
    let values = npy.into_vec::<f32>().context("the array is cut off")?;
    let values = if order == Order::Fortran { in_c_order(&values, &shape) } else { values };
    Ok((values, shape))
}

/// From first index fastest, as medical images are often stored, to last index fastest.
fn in_c_order(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let strides = shape.iter().scan(1, |stride, side| {
        let this = *stride;
        *stride *= side;
        Some(this)
    });
    let axes: Vec<(usize, usize)> = shape.iter().copied().zip(strides).collect();
    let place = |mut index: usize| {
        axes.iter().rev().fold(0, |at, (side, stride)| {
            let along = index % side;
            index /= side;
            at + along * stride
        })
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn fortran_order_is_turned() {
        // [[0, 1, 2], [3, 4, 5]] column by column.
        let turned = super::in_c_order(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0], &[2, 3]);
        assert_eq!(turned, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let turned = super::in_c_order(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[2, 2, 2]);
        assert_eq!(turned, [1.0, 5.0, 3.0, 7.0, 2.0, 6.0, 4.0, 8.0]);
    }
}
