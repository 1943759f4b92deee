//! Doubling a map's sides and adding the map of that size, which brings the detail: three ways to double.

use fearless_simd::{Level, Simd, dispatch, prelude::*};

use super::{
    LANES, Matrix, Rows, Scale,
    convolution::Blocks,
    matrix::{Added, Line, Target, When},
    step::{Made, Step},
};

/// Each pixel four times.
#[derive(Debug)]
pub struct Nearest {
    pub level: Level,
    pub channels: usize,
}

/// Bilinear, between the centres of pixels (ONNX `half_pixel`).
#[derive(Debug)]
pub struct Bilinear {
    pub level: Level,
    pub channels: usize,
}

/// A transposed convolution of two by two, stride two; the sum comes after its ReLU.
#[derive(Debug)]
pub struct Transposed {
    pub inputs: usize,
    /// For each corner of the doubled pixel, row by row, what it gets of the small map's pixel.
    pub corners: [Matrix; 4],
}

impl Step for Nearest {
    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        Scale::Double
    }

    fn window(&self, y: usize) -> (isize, usize) {
        ((y / 2) as isize, 1)
    }

    fn make(&self, y: usize, input: Rows<'_>, added: Option<Rows<'_>>, outside: &[f32], made: Made<'_>) {
        let large = added.map_or(outside, |large| large.row(y));
        let small = input.row(y / 2);
        dispatch!(self.level, simd => nearest(simd, small, input.shape.block(), large, made));
    }
}

#[inline(always)]
fn nearest<S: Simd>(simd: S, small: &[f32], block: usize, large: &[f32], made: Made<'_>) {
    let width = made.shape.block();
    let blocks = small.chunks_exact(block).zip(large.chunks_exact(width));
    for (out, (small, large)) in made.row.chunks_exact_mut(width).zip(blocks) {
        let inside = LANES..width - LANES;
        let pairs = out[inside.clone()]
            .chunks_exact_mut(2 * LANES)
            .zip(large[inside].chunks_exact(2 * LANES));
        for ((out, large), small) in pairs.zip(small[LANES..].chunks_exact(LANES)) {
            for lane in (0..LANES).step_by(S::f32s::LEN) {
                let small = S::f32s::from_slice(simd, &small[lane..][..S::f32s::LEN]);
                for at in [lane, LANES + lane] {
                    let sum = small + S::f32s::from_slice(simd, &large[at..][..S::f32s::LEN]);
                    sum.store_slice(&mut out[at..][..S::f32s::LEN]);
                }
            }
        }
    }
}

impl Step for Bilinear {
    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        Scale::Double
    }

    fn window(&self, y: usize) -> (isize, usize) {
        (y.div_ceil(2) as isize - 1, 2)
    }

    fn make(&self, y: usize, input: Rows<'_>, added: Option<Rows<'_>>, outside: &[f32], made: Made<'_>) {
        let large = added.map_or(outside, |large| large.row(y));
        let (near, far) = neighbours(y, input.shape.height);
        let rows = [input.row(near), input.row(far)];
        dispatch!(self.level, simd => bilinear(simd, rows, input.shape.width, large, made));
    }
}

#[inline(always)]
fn bilinear<S: Simd>(simd: S, [near, far]: [&[f32]; 2], width: usize, large: &[f32], made: Made<'_>) {
    let (small, wide) = ((width + 2) * LANES, made.shape.block());
    let rows = near.chunks_exact(small).zip(far.chunks_exact(small));
    let outs = made.row.chunks_exact_mut(wide).zip(large.chunks_exact(wide));
    for ((near, far), (out, large)) in rows.zip(outs) {
        for lane in (0..LANES).step_by(S::f32s::LEN) {
            let load =
                |row: &[f32], x: usize| S::f32s::from_slice(simd, &row[(x + 1) * LANES + lane..][..S::f32s::LEN]);
            let blended = |x: usize| load(near, x) * 0.75 + load(far, x) * 0.25;
            for x in 0..made.shape.width {
                let (one, other) = neighbours(x, width);
                let sum = blended(one) * 0.75 + blended(other) * 0.25 + load(large, x);
                sum.store_slice(&mut out[(x + 1) * LANES + lane..][..S::f32s::LEN]);
            }
        }
    }
}

/// Of a doubled side of `length`: the place that `at` lies in, and the one it leans towards.
fn neighbours(at: usize, length: usize) -> (usize, usize) {
    let near = at / 2;
    let far = if at.is_multiple_of(2) {
        near.saturating_sub(1)
    } else {
        (near + 1).min(length - 1)
    };
    (near, far)
}

impl Step for Transposed {
    fn channels(&self) -> usize {
        self.corners[0].outputs()
    }

    fn scale(&self) -> Scale {
        Scale::Double
    }

    fn window(&self, y: usize) -> (isize, usize) {
        ((y / 2) as isize, 1)
    }

    fn make(&self, y: usize, input: Rows<'_>, added: Option<Rows<'_>>, _: &[f32], made: Made<'_>) {
        let added = added.map(|added| Added {
            row: added.row(y),
            blocks: added.shape.blocks(),
            when: When::AfterRelu,
        });
        for (first, matrix) in self.corners[y % 2 * 2..][..2].iter().enumerate() {
            let mut line = [Line {
                window: Blocks {
                    shape: input.shape,
                    inputs: self.inputs,
                    side: 1,
                    rows: [input.row(y / 2); 3],
                },
                added,
                target: Target {
                    shape: made.shape,
                    row: &mut *made.row,
                    first,
                    step: 2,
                },
            }];
            dispatch!(matrix.level, simd => matrix.run(simd, &mut line, input.shape.width));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Shape,
            testing::{CHANNELS, Plain, WIDTHS, levels, run},
        },
        *,
    };

    #[test]
    fn nearest_repeats_each_pixel() {
        each(|level, small, large| {
            let channels = small.shape.channels;
            let expected = doubled(small, |y, x, channel| {
                small.at(y / 2, x / 2, channel) + large.at(y, x, channel)
            });
            assert_eq!(run(Nearest { level, channels }, small, Some(large)), expected);
        });
    }

    #[test]
    fn bilinear_blends_three_to_one_and_repeats_the_edge() {
        each(|level, small, large| {
            let channels = small.shape.channels;
            let edge = |at: isize, length: usize| at.clamp(0, length as isize - 1);
            // Towards the neighbour that is nearer to where the pixel's centre lies.
            let far = |at: isize, length: usize| edge(at / 2 + if at % 2 == 0 { -1 } else { 1 }, length);
            let expected = doubled(small, |y, x, channel| {
                let (rows, columns) = ([y / 2, far(y, small.shape.height)], [x / 2, far(x, small.shape.width)]);
                let blend = |[near, far]: [f32; 2]| near * 0.75 + far * 0.25;
                let of = columns.map(|x| blend(rows.map(|y| small.at(y, x, channel))));
                blend(of) + large.at(y, x, channel)
            });
            assert_eq!(run(Bilinear { level, channels }, small, Some(large)), expected);
        });
    }

    #[test]
    fn transposed_gives_each_corner_its_own_weights() {
        each(|level, small, large| {
            let channels = small.shape.channels;
            let weight =
                |corner: usize, output: usize, input: usize| ((corner * 3 + output * 5 + input * 2) % 7) as f32 - 3.0;
            let bias: Vec<f32> = (0..channels).map(|channel| channel as f32 - 9.0).collect();
            let corners = [0, 1, 2, 3].map(|corner| {
                Matrix::new(
                    level,
                    channels,
                    move |output, input| weight(corner, output, input),
                    &bias,
                    true,
                )
            });
            let expected = doubled(small, |y, x, channel| {
                let corner = (y % 2 * 2 + x % 2) as usize;
                let products =
                    (0..channels).map(|input| weight(corner, channel, input) * small.at(y / 2, x / 2, input));
                (bias[channel] + products.sum::<f32>()).max(0.0) + large.at(y, x, channel)
            });
            let step = Transposed {
                inputs: channels,
                corners,
            };
            assert_eq!(run(step, small, Some(large)), expected);
        });
    }

    fn each(check: impl Fn(Level, &Plain, &Plain)) {
        for level in levels() {
            for channels in CHANNELS {
                for (index, width) in WIDTHS.into_iter().enumerate() {
                    let height = 1 + index % 3;
                    check(
                        level,
                        &Plain::any(height, width, channels),
                        &Plain::any(2 * height, 2 * width, channels),
                    );
                }
            }
        }
    }

    fn doubled(small: &Plain, value: impl Fn(isize, isize, usize) -> f32) -> Plain {
        let Shape {
            height,
            width,
            channels,
        } = small.shape;
        Plain::new(2 * height, 2 * width, channels, |y, x, channel| {
            value(y as isize, x as isize, channel)
        })
    }
}
