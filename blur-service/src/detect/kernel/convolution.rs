//! A convolution over all channels: one by one, or three by three.

use std::{array, ops::Range};

use fearless_simd::{Simd, dispatch, prelude::*};

use super::{
    LANES, Matrix, Rows, Scale, Shape,
    matrix::{Added, Line, Target, When, Window},
    step::{Made, RowsMut, Step},
};

#[derive(Debug)]
pub struct Convolution {
    /// One or three.
    pub side: usize,
    pub inputs: usize,
    /// Takes the channels of each pixel of the window, row by row.
    pub matrix: Matrix,
}

impl Step for Convolution {
    fn channels(&self) -> usize {
        self.matrix.outputs()
    }

    fn scale(&self) -> Scale {
        Scale::Same
    }

    fn window(&self, y: usize) -> (isize, usize) {
        (y as isize - (self.side / 2) as isize, self.side)
    }

    fn make(&self, y: usize, input: Rows<'_>, added: Option<Rows<'_>>, outside: &[f32], made: Made<'_>) {
        let width = made.shape.width;
        let mut line = [self.line(y, input, added, outside, made)];
        dispatch!(self.matrix.level, simd => self.matrix.run(simd, &mut line, width));
    }

    fn rows_at_once(&self, width: usize) -> usize {
        if self.matrix.weight() > HEAVY {
            MANY_PIXELS.div_ceil(width)
        } else {
            1
        }
    }

    fn make_all(
        &self,
        rows: Range<usize>,
        input: Rows<'_>,
        added: Option<Rows<'_>>,
        outside: &[f32],
        made: RowsMut<'_>,
    ) {
        let width = made.shape.width;
        let made = made.each(rows);
        let mut lines: Vec<_> = made
            .map(|(y, made)| self.line(y, input, added, outside, made))
            .collect();
        dispatch!(self.matrix.level, simd => self.matrix.run(simd, &mut lines, width));
    }
}

impl Convolution {
    fn line<'a>(
        &self,
        y: usize,
        input: Rows<'a>,
        added: Option<Rows<'a>>,
        outside: &'a [f32],
        made: Made<'a>,
    ) -> Line<'a, Blocks<'a>> {
        let (first, _) = self.window(y);
        let row = |index: isize| input.inside(first + index).unwrap_or(outside);
        Line {
            window: Blocks {
                shape: input.shape,
                inputs: self.inputs,
                side: self.side,
                rows: [row(0), row(1), row(2)],
            },
            added: added.map(|added| Added {
                row: added.row(y),
                blocks: added.shape.blocks(),
                when: When::BeforeRelu,
            }),
            target: Target {
                shape: made.shape,
                row: made.row,
                first: 0,
                step: 1,
            },
        }
    }
}

/// Windows of `side` by `side` pixels in rows of blocks.
pub struct Blocks<'a> {
    pub shape: Shape,
    /// Channels that count; the rest of the last block are zeros.
    pub inputs: usize,
    pub side: usize,
    /// The first `side` of them count.
    pub rows: [&'a [f32]; 3],
}

impl Window for Blocks<'_> {
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
        let mut weights = weights;
        // A window of one pixel begins at the pixel itself, beside the zeros.
        let left = x + 1 - self.side / 2;
        for row in &self.rows[..self.side] {
            for tap in 0..self.side {
                let mut inputs = self.inputs;
                for block in row.chunks_exact(self.shape.block()) {
                    let pixels = &block[(left + tap) * LANES..][..P * LANES];
                    let here = inputs.min(LANES);
                    let (these, rest) = weights.split_at(here * N * vector);
                    for (weights, lane) in these.chunks_exact(N * vector).zip(0..LANES) {
                        let weights: [S::f32s; N] =
                            array::from_fn(|n| S::f32s::from_slice(simd, &weights[n * vector..][..vector]));
                        for p in 0..P {
                            let value = S::f32s::splat(simd, pixels[p * LANES + lane]);
                            for n in 0..N {
                                sums[p][n] = weights[n].mul_add(value, sums[p][n]);
                            }
                        }
                    }
                    weights = rest;
                    inputs -= here;
                }
            }
        }
        sums
    }
}

/// Weights of so many bytes are in nobody's nearest cache when the next row's turn comes.
const HEAVY: usize = 4 << 10;
/// Pixels that are worth to fetch them once.
const MANY_PIXELS: usize = 96;

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{CHANNELS, Plain, WIDTHS, levels, run},
        *,
    };

    #[test]
    fn sums_the_window_over_all_channels() {
        for level in levels() {
            for (index, outputs) in CHANNELS.into_iter().enumerate() {
                for (other, width) in WIDTHS.into_iter().enumerate() {
                    let inputs = CHANNELS[(index + other) % CHANNELS.len()];
                    check(level, 1, Plain::any(2, width, inputs), outputs);
                    check(level, 3, Plain::any(1 + other % 3, width, inputs), outputs);
                }
            }
        }
    }

    fn check(level: fearless_simd::Level, side: usize, input: Plain, outputs: usize) {
        let Shape {
            height,
            width,
            channels: inputs,
        } = input.shape;
        let weight = |output: usize, seen: usize| ((output * 7 + seen * 3) % 5) as f32 - 2.0;
        let bias: Vec<f32> = (0..outputs).map(|output| output as f32).collect();
        let added = Plain::any(height, width, outputs.min(20));
        let expected = |y: usize, x: usize, output: usize| {
            let seen = (0..side * side * inputs).map(|seen| {
                let (row, column) = (seen / inputs / side, seen / inputs % side);
                let (y, x) = (y + row, x + column);
                let at = |place: usize| place as isize - (side / 2) as isize;
                weight(output, seen) * input.at(at(y), at(x), seen % inputs)
            });
            bias[output] + seen.sum::<f32>()
        };
        let more = |y: usize, x: usize, output: usize| {
            if output < added.shape.channels {
                added.at(y as isize, x as isize, output)
            } else {
                0.0
            }
        };
        let step = |relu| Convolution {
            side,
            inputs,
            matrix: Matrix::new(level, side * side * inputs, weight, &bias, relu),
        };
        let alone = Plain::new(height, width, outputs, expected);
        assert_eq!(
            run(step(false), &input, None),
            alone,
            "{level:?} {side} {:?} {outputs}",
            input.shape
        );
        let sum = Plain::new(height, width, outputs, |y, x, output| {
            (expected(y, x, output) + more(y, x, output)).max(0.0)
        });
        assert_eq!(
            run(step(true), &input, Some(&added)),
            sum,
            "{level:?} {side} {:?} {outputs}",
            input.shape
        );
    }
}
