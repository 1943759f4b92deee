//! The largest of two by two.

use fearless_simd::{Level, Simd, dispatch, prelude::*};

use super::{
    LANES, Rows, Scale,
    step::{Made, Step},
};

/// Sides must be even.
#[derive(Debug)]
pub struct MaxPool {
    pub level: Level,
    pub channels: usize,
}

impl MaxPool {
    #[inline(always)]
    fn run<S: Simd>(simd: S, upper: &[f32], lower: &[f32], block: usize, made: Made<'_>) {
        let blocks = upper.chunks_exact(block).zip(lower.chunks_exact(block));
        for (out, (upper, lower)) in made.row.chunks_exact_mut(made.shape.block()).zip(blocks) {
            let pairs = upper[LANES..]
                .chunks_exact(2 * LANES)
                .zip(lower[LANES..].chunks_exact(2 * LANES));
            let inside = out[LANES..].chunks_exact_mut(LANES).take(made.shape.width);
            for (out, (upper, lower)) in inside.zip(pairs) {
                for lane in (0..LANES).step_by(S::f32s::LEN) {
                    let load = |row: &[f32], pixel: usize| {
                        S::f32s::from_slice(simd, &row[pixel * LANES + lane..][..S::f32s::LEN])
                    };
                    let left = load(upper, 0).max(load(lower, 0));
                    let right = load(upper, 1).max(load(lower, 1));
                    left.max(right).store_slice(&mut out[lane..][..S::f32s::LEN]);
                }
            }
        }
    }
}

impl Step for MaxPool {
    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        Scale::Half
    }

    fn window(&self, y: usize) -> (isize, usize) {
        (2 * y as isize, 2)
    }

    fn make(&self, y: usize, input: Rows<'_>, _: Option<Rows<'_>>, _: &[f32], made: Made<'_>) {
        let (upper, lower) = (input.row(2 * y), input.row(2 * y + 1));
        dispatch!(self.level, simd => Self::run(simd, upper, lower, input.shape.block(), made));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{CHANNELS, Plain, WIDTHS, levels, run},
        *,
    };

    #[test]
    fn keeps_the_largest_of_each_channel() {
        for level in levels() {
            for channels in CHANNELS {
                for width in WIDTHS {
                    let input = Plain::any(6, 2 * width, channels);
                    let expected = Plain::new(3, width, channels, |y, x, channel| {
                        let of = |index: usize| {
                            input.at((2 * y + index / 2) as isize, (2 * x + index % 2) as isize, channel)
                        };
                        of(0).max(of(1)).max(of(2)).max(of(3))
                    });
                    assert_eq!(run(MaxPool { level, channels }, &input, None), expected);
                }
            }
        }
    }
}
