use burn::tensor::Tensor;

/// Squarings of the Gram matrix: 2^24 steps of the power iteration, which tell two variances apart
/// whenever single precision does.
const SQUARINGS: usize = 24;

/// Variation below this share of the largest value is rounding.
const ROUNDING: f32 = 1e-6;

/// Projects the cells of each image on the unit vector along which they vary most; it is taken in
/// the direction of `towards`. Zero where the cells do not vary.
///
/// # Shapes
/// - `values`: `[N, C, …]`
/// - `towards`: `[N or 1, C, 1, …]`
/// - output: `[N, 1, …]`
pub(super) fn principal_component<const D: usize>(
    values: Tensor<D>,
    towards: Tensor<D>,
) -> Tensor<D> {
    let mut dims = values.dims();
    let [n, channels] = [dims[0], dims[1]];
    let rows: Tensor<3> = values.reshape([n as i32, channels as i32, -1]);
    let towards: Tensor<3> = towards.reshape([-1, channels as i32, 1]);
    let centred = rows.clone() - rows.clone().mean_dim(2);
    // The mean of many equal numbers is not quite the number; the mean of what is left over is.
    let centred = centred.clone() - centred.mean_dim(2);
    let varies = (centred.clone().abs() - largest(rows) * ROUNDING).greater_elem(0.0).float();
    let centred = centred * largest(varies);

    // Scaled to 1, so that no square leaves the range of the numbers.
    let scaled = over(centred.clone(), largest(centred.clone()));
    let axis = if channels <= scaled.dims()[2] {
        dominant(scaled.clone().matmul(scaled.transpose()))
    } else {
        let cells = dominant(scaled.clone().transpose().matmul(scaled.clone()));
        scaled.matmul(cells)
    };
    let axis = over(axis.clone(), axis.powi_scalar(2).sum_dim(1).sqrt());
    let against = (axis.clone() * towards).sum_dim(1).lower_elem(0.0).float();
    let axis = axis * (against * -2.0 + 1.0);

    dims[1] = 1;
    (centred * axis).sum_dim(1).reshape(dims)
}

/// The eigenvector of the largest eigenvalue, `[N, K, 1]` of any length, of symmetric matrices
/// `[N, K, K]` without negative eigenvalues: squared over and over, each becomes the eigenvector's
/// product with itself. Zero for a zero matrix.
fn dominant(mut gram: Tensor<3>) -> Tensor<3> {
    for _ in 0..SQUARINGS {
        gram = over(gram.clone(), largest(gram));
        gram = gram.clone().matmul(gram);
    }
    // The column of the largest entry on the diagonal: the one with the least rounding.
    let [n, k, _] = gram.dims();
    let diagonal = Tensor::<2>::eye(k, &gram.device()).unsqueeze::<3>() * gram.clone();
    let place = diagonal.sum_dim(1).argmax(2).expand([n, k, 1]);
    gram.gather(2, place)
}

/// The largest absolute value of each image, `[N, 1, 1]`.
fn largest(rows: Tensor<3>) -> Tensor<3> {
    rows.abs().max_dim(2).max_dim(1)
}

/// `a / b` where `b` is above 0, and `a` where it is 0.
fn over(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let nothing = b.clone().equal_elem(0.0);
    a / b.mask_fill(nothing, 1.0)
}
