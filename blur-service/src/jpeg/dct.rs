//! The 8 × 8 discrete cosine transform and its inverse, orthonormal, in 32-bit floats; smaller ones for previews.
//!
//! Made of products with whole rows and inlined everywhere: within [`crate::vector::vectorized`] a row is one vector, which
//! takes fewer instructions than the factorised transforms that do less arithmetic.

/// Samples or coefficients, row by row. The rows of a smaller square, too, have room for eight, so that each is one
/// vector; what lies beyond the square is of no account.
pub type Square<const N: usize = 8> = [[f32; 8]; N];

/// Natural index (`8 * row + column`) of each coefficient in zigzag order (ITU-T T.81, figure 5).
pub const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Zigzag index of each coefficient, row by row.
pub const INDEX: [[u8; 8]; 8] = {
    let mut table = [[0; 8]; 8];
    let mut index = 0;
    while index < 64 {
        let place = ZIGZAG[index] as usize;
        table[place / 8][place % 8] = index as u8;
        index += 1;
    }
    table
};

pub const THREE: Transform<3> = Transform::new(&[0.816_496_6, 0.707_106_77, 0.408_248_3, 0.0]);
pub const FOUR: Transform<4> = Transform::new(&[0.707_106_77, 0.653_281_5, 0.5, 0.270_598_05, 0.0]);
pub const FIVE: Transform<5> = Transform::new(&[0.632_455_5, 0.601_501, 0.511_667_3, 0.371_748, 0.195_439_5, 0.0]);
pub const EIGHT: Transform<8> = Transform::new(&[
    0.5,
    0.490_392_64,
    0.461_939_77,
    0.415_734_8,
    0.353_553_39,
    0.277_785_12,
    0.191_341_72,
    0.097_545_16,
    0.0,
]);

/// The orthonormal transform of `N` × `N` samples, as two products with its basis.
pub struct Transform<const N: usize> {
    by_frequency: Square<N>,
    by_place: Square<N>,
}

impl<const N: usize> Transform<N> {
    /// From √(2/N) times the cosines of 0 to N of the 2N-ths of π.
    const fn new(cosines: &[f32]) -> Self {
        let (mut by_frequency, mut by_place) = ([[0.0; 8]; N], [[0.0; 8]; N]);
        let mut cell = 0;
        while cell < N * N {
            let (frequency, at) = (cell / N, cell % N);
            // Folded into a quarter of the circle.
            let angle = (2 * at + 1) * frequency % (4 * N);
            let half = if angle > 2 * N { 4 * N - angle } else { angle };
            let value = match frequency {
                0 => cosines[0] * std::f32::consts::FRAC_1_SQRT_2,
                _ if half > N => -cosines[2 * N - half],
                _ => cosines[half],
            };
            by_frequency[frequency][at] = value;
            by_place[at][frequency] = value;
            cell += 1;
        }
        Self { by_frequency, by_place }
    }

    /// Samples to coefficients.
    #[inline(always)]
    pub fn forward(&self, samples: &Square<N>) -> Square<N> {
        product(&self.by_frequency, &product(samples, &self.by_place))
    }

    /// Coefficients to samples.
    #[inline(always)]
    pub fn inverse(&self, coefficients: &Square<N>) -> Square<N> {
        product(&self.by_place, &product(coefficients, &self.by_frequency))
    }
}

/// The lowest `N` × `N` of a block's coefficients, which come in zigzag order, times their steps.
#[inline(always)]
pub fn lowest<const N: usize>(values: &[i16; 64], steps: &[f32; 64]) -> Square<N> {
    let mut scaled = [0.0; 64];
    // All at once up to the last one that counts.
    let count = if N == 8 { 64 } else { 8 * N };
    for (scaled, (value, step)) in scaled[..count].iter_mut().zip(values.iter().zip(steps)) {
        *scaled = f32::from(*value) * step;
    }
    let mut square = [[0.0; 8]; N];
    for (row, indices) in square.iter_mut().zip(&INDEX) {
        for (to, index) in row[..N].iter_mut().zip(indices) {
            *to = scaled[usize::from(*index)];
        }
    }
    square
}

/// Of two matrices. Whole rows of the second one at once, so that the lanes are always full.
#[inline(always)]
fn product<const N: usize>(left: &Square<N>, right: &Square<N>) -> Square<N> {
    let mut rows = [[0.0; 8]; N];
    for (sums, values) in rows.iter_mut().zip(left) {
        for (value, factors) in values.iter().zip(right) {
            for (sum, factor) in sums.iter_mut().zip(factors) {
                *sum += value * factor;
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_is_the_definition_and_inverse_undoes_it() {
        let samples: Square =
            std::array::from_fn(|y| std::array::from_fn(|x| ((x * 37 + y * 101 + x * y * 13) % 256) as f32 - 128.0));
        let coefficients = EIGHT.forward(&samples);
        for (v, row) in coefficients.iter().enumerate() {
            for (u, value) in row.iter().enumerate() {
                assert!((value - defined(&samples, u, v)).abs() < 1e-2, "at {u}, {v}");
            }
        }
        let back = EIGHT.inverse(&coefficients);
        assert!(
            back.iter()
                .flatten()
                .zip(samples.iter().flatten())
                .all(|(a, b)| (a - b).abs() < 1e-3)
        );
    }

    #[test]
    fn smaller_transforms_are_the_definition() {
        check_inverse(THREE);
        check_inverse(FOUR);
        check_inverse(FIVE);
        check_inverse(EIGHT);
    }

    fn check_inverse<const N: usize>(transform: Transform<N>) {
        for (v, u) in (0..N).flat_map(|v| (0..N).map(move |u| (v, u))) {
            let mut coefficients = [[0.0; 8]; N];
            coefficients[v][u] = 1.0;
            for (y, row) in transform.inverse(&coefficients).iter().enumerate() {
                for (x, sample) in row[..N].iter().enumerate() {
                    let expected = cosine(N, x, u) * cosine(N, y, v);
                    assert!(
                        (f64::from(*sample) - expected).abs() < 1e-5,
                        "{N}: {u}, {v} at {x}, {y}"
                    );
                }
            }
        }
    }

    fn cosine(length: usize, at: usize, frequency: usize) -> f64 {
        let angle = (2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / (2 * length) as f64;
        let scale = if frequency == 0 { 1.0 } else { 2.0 } / length as f64;
        scale.sqrt() * angle.cos()
    }

    fn defined(samples: &Square, u: usize, v: usize) -> f32 {
        let cosine = |at: usize, frequency: usize| {
            ((2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0).cos()
                * if frequency == 0 { 0.5f64.sqrt() } else { 1.0 }
        };
        let all = (0..8).flat_map(|y| (0..8).map(move |x| (x, y)));
        let sum: f64 = all
            .map(|(x, y)| f64::from(samples[y][x]) * cosine(x, u) * cosine(y, v))
            .sum();
        (sum / 4.0) as f32
    }
}
