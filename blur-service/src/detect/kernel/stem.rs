//! The first convolution: three by three by two over the picture's three colours, from bytes.

use std::array;

use fearless_simd::{Simd, dispatch, prelude::*};

use super::{
    Aligned, Matrix, Scale, Shape,
    matrix::{Line, Target, Window},
    step::Made,
};

/// The picture as the network wants to see it: each value times `scale` plus `shift`.
#[derive(Debug)]
pub struct Stem {
    pub scale: f32,
    pub shift: f32,
    /// Rows and columns missing before the first window: none or one.
    pub before: usize,
    /// Takes the three values of each of the window's pixels, row by row.
    pub matrix: Matrix,
}

/// `[…, width, 3] u8`, in the upper left corner of a black canvas.
#[derive(Clone, Copy)]
pub struct Picture<'a> {
    pub width: usize,
    pub bytes: &'a [u8],
    /// Height and width.
    pub canvas: [usize; 2],
}

impl Stem {
    pub fn shape(&self, canvas: [usize; 2]) -> Shape {
        let [height, width] = canvas.map(|side| Scale::Half.apply(side));
        Shape {
            height,
            width,
            channels: self.matrix.outputs(),
        }
    }

    /// Room for three rows of the canvas as numbers.
    pub fn room(&self, picture: Picture<'_>) -> Aligned {
        Aligned::zeros(3 * row(picture.canvas[1]))
    }

    /// Makes row `y`; `room` is as [`room`](Self::room) gave it, and rows come in order.
    pub fn make(&self, y: usize, picture: Picture<'_>, room: &mut Aligned, made: Made<'_>) {
        dispatch!(self.matrix.level, simd => self.run(simd, y, picture, room, made));
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, y: usize, picture: Picture<'_>, room: &mut Aligned, made: Made<'_>) {
        let [height, width] = picture.canvas;
        let length = row(width);
        let first = (2 * y) as isize - self.before as isize;
        // The last of the three rows before is the first of these.
        let known = usize::from(y > 0);
        for index in known..3 {
            let at = first + index as isize;
            let row = &mut room[at.rem_euclid(3) as usize * length..][..length];
            match usize::try_from(at).ok().filter(|at| *at < height) {
                Some(at) => self.read(picture.row(at), &mut row[3..][..3 * width]),
                None => row.fill(0.0),
            }
        }
        let rows = [0, 1, 2].map(|index| {
            let place = (first + index).rem_euclid(3) as usize;
            // Without a column before the first window, that begins behind the zeros.
            &room[place * length..][..length][3 * (1 - self.before)..]
        });
        let width = made.shape.width;
        let mut line = [Line {
            window: Colours { rows },
            added: None,
            target: Target {
                shape: made.shape,
                row: made.row,
                first: 0,
                step: 1,
            },
        }];
        self.matrix.run(simd, &mut line, width);
    }

    /// A row of the picture, and black behind it.
    #[inline(always)]
    fn read(&self, bytes: &[u8], row: &mut [f32]) {
        let (shown, black) = row.split_at_mut(bytes.len());
        for (value, byte) in shown.iter_mut().zip(bytes) {
            *value = f32::from(*byte) * self.scale + self.shift;
        }
        black.fill(self.shift);
    }
}

impl<'a> Picture<'a> {
    /// Nothing below it.
    fn row(self, y: usize) -> &'a [u8] {
        let mut rows = self.bytes.chunks_exact(self.width * 3);
        rows.nth(y).unwrap_or_default()
    }
}

/// Numbers of a row: two pixels of zeros more than the canvas has, and one for a canvas of odd width.
fn row(width: usize) -> usize {
    3 * (width + 3)
}

/// Windows of three by three pixels of three numbers, two pixels apart.
struct Colours<'a> {
    rows: [&'a [f32]; 3],
}

impl Window for Colours<'_> {
    #[inline(always)]
    fn add_products<S: Simd, const P: usize, const N: usize>(
        &self,
        simd: S,
        x: usize,
        weights: &[f32],
        sums: [[S::f32s; N]; P],
    ) -> [[S::f32s; N]; P] {
        let mut sums = sums;
        let vector = S::f32s::LEN;
        for (row, weights) in self.rows.iter().zip(weights.chunks_exact(9 * N * vector)) {
            let values = &row[6 * x..][..6 * P + 3];
            for (weights, number) in weights.chunks_exact(N * vector).zip(0..9) {
                let weights: [S::f32s; N] =
                    array::from_fn(|n| S::f32s::from_slice(simd, &weights[n * vector..][..vector]));
                for p in 0..P {
                    let value = S::f32s::splat(simd, values[6 * p + number]);
                    for n in 0..N {
                        sums[p][n] = weights[n].mul_add(value, sums[p][n]);
                    }
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Plain, WIDTHS, levels, run_stem},
        *,
    };

    #[test]
    fn sums_the_windows_of_the_picture_and_of_the_black_around_it() {
        for level in levels() {
            for (index, width) in WIDTHS.into_iter().enumerate() {
                for before in [0, 1] {
                    for outputs in [16, 32, 24] {
                        let canvas = [2 * (1 + index % 4), 2 * width];
                        check(level, before, canvas, canvas, outputs);
                        check(level, before, canvas.map(|side| side - 1), canvas, outputs);
                    }
                }
            }
        }
    }

    fn check(level: fearless_simd::Level, before: usize, shown: [usize; 2], canvas: [usize; 2], outputs: usize) {
        let [height, width] = shown;
        let bytes: Vec<u8> = (0..height * width * 3).map(|at| (at * 7 % 251) as u8).collect();
        let weight = |output: usize, seen: usize| ((output * 3 + seen) % 5) as f32 - 2.0;
        let bias: Vec<f32> = (0..outputs).map(|output| output as f32).collect();
        let stem = Stem {
            scale: 0.5,
            shift: -1.0,
            before,
            matrix: Matrix::new(level, 27, weight, &bias, true),
        };
        let seen = Plain::new(canvas[0], canvas[1], 3, |y, x, colour| {
            let byte = if y < height && x < width {
                bytes[(y * width + x) * 3 + colour]
            } else {
                0
            };
            f32::from(byte) * 0.5 - 1.0
        });
        let expected = Plain::new(canvas[0] / 2, canvas[1] / 2, outputs, |y, x, output| {
            let at = |place: usize, tap: usize| (2 * place + tap) as isize - before as isize;
            let products = (0..27).map(|number| {
                let tap = number / 3;
                weight(output, number) * seen.at(at(y, tap / 3), at(x, tap % 3), number % 3)
            });
            (bias[output] + products.sum::<f32>()).max(0.0)
        });
        let picture = Picture {
            width,
            bytes: &bytes,
            canvas,
        };
        assert_eq!(run_stem(&stem, picture), expected);
    }
}
