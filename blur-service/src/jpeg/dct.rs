//! The 8 × 8 discrete cosine transform and its inverse, orthonormal, in 32-bit floats; smaller inverses for previews.
//!
//! Made of products with whole rows and inlined everywhere: within [`crate::vector::vectorized`] a row is one vector, which
//! takes fewer instructions than the factorised transforms that do less arithmetic.

/// Samples or coefficients of a block: rows of eight.
pub type Square = [[f32; 8]; 8];

/// Natural index (`8 * row + column`) of each coefficient in zigzag order (ITU-T T.81, figure 5).
pub const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Samples to coefficients.
#[inline(always)]
pub fn forward(samples: &Square) -> Square {
    let mut rows = [[0.0; 8]; 8];
    for (row, samples) in rows.iter_mut().zip(samples) {
        *row = times(samples, &BY_PLACE);
    }
    columns(&BY_FREQUENCY, &rows)
}

/// Coefficients to samples.
#[inline(always)]
pub fn inverse(coefficients: &Square) -> Square {
    let mut rows = [[0.0; 8]; 8];
    for (row, coefficients) in rows.iter_mut().zip(coefficients) {
        *row = times(coefficients, &BY_FREQUENCY);
    }
    columns(&BY_PLACE, &rows)
}

/// A row times a matrix: whole rows of the matrix at once, so that eight lanes are always full.
#[inline(always)]
fn times(row: &[f32; 8], matrix: &Square) -> [f32; 8] {
    let mut sums = [0.0; 8];
    for (value, factors) in row.iter().zip(matrix) {
        for (sum, factor) in sums.iter_mut().zip(factors) {
            *sum += value * factor;
        }
    }
    sums
}

/// A matrix times columns.
#[inline(always)]
fn columns(matrix: &Square, rows: &Square) -> Square {
    let mut out = [[0.0; 8]; 8];
    for (out, factors) in out.iter_mut().zip(matrix) {
        *out = times(factors, rows);
    }
    out
}

/// By frequency, then place: the basis; and the other way round.
const BY_FREQUENCY: Square = basis();
const BY_PLACE: Square = turned(&BY_FREQUENCY);

/// Half the cosine of 0 to 8 sixteenths of π.
const HALF_COSINES: [f32; 9] = [
    0.5,
    0.490_392_64,
    0.461_939_77,
    0.415_734_8,
    0.353_553_39,
    0.277_785_12,
    0.191_341_72,
    0.097_545_16,
    0.0,
];

const fn basis() -> Square {
    let mut table = [[0.0; 8]; 8];
    let mut frequency = 0;
    while frequency < 8 {
        let mut at = 0;
        while at < 8 {
            // Sixteenths of π, folded into a quarter of the circle.
            let angle = (2 * at + 1) * frequency % 32;
            let folded = if angle > 16 { 32 - angle } else { angle };
            let value = if folded > 8 {
                -HALF_COSINES[16 - folded]
            } else {
                HALF_COSINES[folded]
            };
            table[frequency][at] = if frequency == 0 { HALF_COSINES[4] } else { value };
            at += 1;
        }
        frequency += 1;
    }
    table
}

const fn turned(table: &Square) -> Square {
    let mut turned = [[0.0; 8]; 8];
    let mut at = 0;
    while at < 64 {
        turned[at % 8][at / 8] = table[at / 8][at % 8];
        at += 1;
    }
    turned
}

/// Four coefficients to four samples.
#[inline(always)]
pub fn inverse4([a, b, c, d]: [f32; 4]) -> [f32; 4] {
    const FIRST: f32 = 0.653_281_5;
    const THIRD: f32 = 0.270_598_05;
    let (outer, inner) = (0.5 * (a + c), 0.5 * (a - c));
    let (outer_odd, inner_odd) = (FIRST * b + THIRD * d, THIRD * b - FIRST * d);
    [
        outer + outer_odd,
        inner + inner_odd,
        inner - inner_odd,
        outer - outer_odd,
    ]
}

/// Three coefficients to three samples.
#[inline(always)]
pub fn inverse3([a, b, c]: [f32; 3]) -> [f32; 3] {
    // √(1/3), √(1/2), √(1/6) and √(2/3).
    const EVEN: f32 = 0.577_350_3;
    const FIRST: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const OUTER: f32 = 0.408_248_3;
    const MIDDLE: f32 = 0.816_496_6;
    let (mean, slope) = (EVEN * a, FIRST * b);
    [mean + slope + OUTER * c, mean - MIDDLE * c, mean - slope + OUTER * c]
}

/// Five coefficients to five samples.
#[inline(always)]
pub fn inverse5([a, b, c, d, e]: [f32; 5]) -> [f32; 5] {
    // √(2/5) times the cosine of 1 to 4 tenths of π, and √(1/5).
    const FIRST: f32 = 0.601_501;
    const SECOND: f32 = 0.511_667_3;
    const THIRD: f32 = 0.371_748;
    const FOURTH: f32 = 0.195_439_5;
    const EVEN: f32 = 0.447_213_6;
    const MIDDLE: f32 = 0.632_455_5;
    let mean = EVEN * a;
    let (outer, inner) = (mean + SECOND * c + FOURTH * e, mean - FOURTH * c - SECOND * e);
    let (outer_odd, inner_odd) = (FIRST * b + THIRD * d, THIRD * b - FIRST * d);
    [
        outer + outer_odd,
        inner + inner_odd,
        mean - MIDDLE * c + MIDDLE * e,
        inner - inner_odd,
        outer - outer_odd,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_is_the_definition_and_inverse_undoes_it() {
        let samples: Square =
            std::array::from_fn(|y| std::array::from_fn(|x| ((x * 37 + y * 101 + x * y * 13) % 256) as f32 - 128.0));
        let coefficients = forward(&samples);
        for (v, row) in coefficients.iter().enumerate() {
            for (u, value) in row.iter().enumerate() {
                assert!((value - defined(&samples, u, v)).abs() < 1e-2, "at {u}, {v}");
            }
        }
        let back = inverse(&coefficients);
        assert!(
            back.iter()
                .flatten()
                .zip(samples.iter().flatten())
                .all(|(a, b)| (a - b).abs() < 1e-3)
        );
    }

    #[test]
    fn four_points_keep_their_mean_and_their_slope() {
        assert_eq!(inverse4([2.0, 0.0, 0.0, 0.0]), [1.0; 4]);
        let slope = inverse4([0.0, 1.0, 0.0, 0.0]);
        assert!(slope[0] > slope[1] && slope[1] > 0.0 && slope[0] == -slope[3]);
    }

    #[test]
    fn smaller_transforms_are_the_definition() {
        check_inverse(inverse3);
        check_inverse(inverse4);
        check_inverse(inverse5);
    }

    fn check_inverse<const N: usize>(inverse: fn([f32; N]) -> [f32; N]) {
        for frequency in 0..N {
            let mut coefficients = [0.0; N];
            coefficients[frequency] = 1.0;
            for (at, sample) in inverse(coefficients).into_iter().enumerate() {
                let angle = (2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / (2 * N) as f64;
                let scale = if frequency == 0 { 1.0 } else { 2.0 } / N as f64;
                let expected = scale.sqrt() * angle.cos();
                assert!((f64::from(sample) - expected).abs() < 1e-5, "{N}: {frequency} at {at}");
            }
        }
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
