//! Three by three.

pub(crate) type Matrix = [[f64; 3]; 3];

pub(crate) fn transpose(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|row| std::array::from_fn(|column| matrix[column][row]))
}

pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn norm(vector: [f64; 3]) -> f64 {
    dot(vector, vector).sqrt()
}

pub(crate) fn determinant(matrix: &Matrix) -> f64 {
    dot(matrix[0], cross(matrix[1], matrix[2]))
}

/// Of one whose determinant is not zero.
pub(crate) fn inverse(matrix: &Matrix) -> Matrix {
    let [a, b, c] = *matrix;
    let determinant = determinant(matrix);
    let columns = [cross(b, c), cross(c, a), cross(a, b)];
    transpose(&columns.map(|column| column.map(|number| number / determinant)))
}

/// The orthogonal matrix nearest to one whose determinant is not zero: its polar factor, by Newton's
/// iteration `R ← (R + R⁻ᵀ) / 2` (Higham, SIAM J. Sci. Stat. Comput. 7, 1986).
pub(crate) fn nearest_rotation(matrix: &Matrix) -> Matrix {
    let mut nearest = *matrix;
    for _ in 0..100 {
        let other = transpose(&inverse(&nearest));
        let next: Matrix = std::array::from_fn(|row| {
            std::array::from_fn(|column| (nearest[row][column] + other[row][column]) / 2.0)
        });
        if next == nearest {
            break;
        }
        nearest = next;
    }
    nearest
}
