//! A depthwise convolution of three by three: each channel by itself.

use std::array;

use fearless_simd::{Level, Simd, dispatch, prelude::*};

use super::{
    Aligned, LANES, Rows, Scale,
    step::{Made, Step},
};

#[derive(Debug)]
pub struct Depthwise {
    level: Level,
    channels: usize,
    scale: Scale,
    /// Rows and columns missing before the first window: none or one.
    before: usize,
    /// Nine taps, row by row, each of all channels, in whole blocks.
    taps: Aligned,
    bias: Aligned,
    relu: bool,
}

impl Depthwise {
    /// `weight(channel, tap)`, taps counted row by row; one bias a channel.
    pub fn new(
        level: Level,
        scale: Scale,
        before: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
        relu: bool,
    ) -> Self {
        let channels = bias.len();
        let stored = channels.next_multiple_of(LANES);
        let mut taps = Aligned::zeros(9 * stored);
        for tap in 0..9 {
            for channel in 0..channels {
                taps[tap * stored + channel] = weight(channel, tap);
            }
        }
        let mut padded = Aligned::zeros(stored);
        padded[..channels].copy_from_slice(bias);
        Self {
            level,
            channels,
            scale,
            before,
            taps,
            bias: padded,
            relu,
        }
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, rows: [&[f32]; 3], block: usize, made: Made<'_>) {
        let vector = S::f32s::LEN;
        let stored = self.bias.len();
        for channel in (0..self.channels).step_by(vector) {
            let lane = channel % LANES;
            let (from, to) = (channel / LANES * block, channel / LANES * made.shape.block());
            let job = Job {
                taps: array::from_fn(|tap| S::f32s::from_slice(simd, &self.taps[tap * stored + channel..][..vector])),
                bias: S::f32s::from_slice(simd, &self.bias[channel..][..vector]),
                rows: rows.map(|row| &row[from..][..block][(1 - self.before) * LANES + lane..]),
                relu: self.relu,
            };
            let out = &mut made.row[to + LANES + lane..][..made.shape.width * LANES - lane];
            match self.scale {
                Scale::Half => job.run::<2>(simd, made.shape.width, out),
                _ => job.run::<1>(simd, made.shape.width, out),
            }
        }
    }
}

impl Step for Depthwise {
    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn window(&self, y: usize) -> (isize, usize) {
        ((y * self.scale.stride()) as isize - self.before as isize, 3)
    }

    fn make(&self, y: usize, input: Rows<'_>, _: Option<Rows<'_>>, outside: &[f32], made: Made<'_>) {
        let (first, _) = self.window(y);
        let rows = [0, 1, 2].map(|index| input.inside(first + index).unwrap_or(outside));
        dispatch!(self.level, simd => self.run(simd, rows, input.shape.block(), made));
    }
}

/// The channels of one vector, along a row.
struct Job<'a, S: Simd> {
    taps: [S::f32s; 9],
    bias: S::f32s,
    rows: [&'a [f32]; 3],
    relu: bool,
}

impl<S: Simd> Job<'_, S> {
    #[inline(always)]
    fn run<const STRIDE: usize>(&self, simd: S, count: usize, out: &mut [f32]) {
        if count < TILE {
            (0..count).for_each(|x| self.tile::<STRIDE, 1>(simd, x, out));
            return;
        }
        for x in (0..count).step_by(TILE) {
            self.tile::<STRIDE, TILE>(simd, x.min(count - TILE), out);
        }
    }

    #[inline(always)]
    fn tile<const STRIDE: usize, const P: usize>(&self, simd: S, x: usize, out: &mut [f32]) {
        let vector = S::f32s::LEN;
        let mut sums = [self.bias; P];
        for (row, taps) in self.rows.iter().zip(self.taps.as_chunks::<3>().0) {
            let row = &row[x * STRIDE * LANES..][..((P - 1) * STRIDE + 2) * LANES + vector];
            for (p, sum) in sums.iter_mut().enumerate() {
                for (tap, weight) in taps.iter().enumerate() {
                    let value = S::f32s::from_slice(simd, &row[(p * STRIDE + tap) * LANES..][..vector]);
                    *sum = weight.mul_add(value, *sum);
                }
            }
        }
        let out = &mut out[x * LANES..][..(P - 1) * LANES + vector];
        for (p, sum) in sums.into_iter().enumerate() {
            let sum = if self.relu {
                sum.max(S::f32s::splat(simd, 0.0))
            } else {
                sum
            };
            sum.store_slice(&mut out[p * LANES..][..vector]);
        }
    }
}

/// Pixels whose sums are made together.
const TILE: usize = 8;

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{CHANNELS, Plain, WIDTHS, levels, run},
        *,
    };

    #[test]
    fn sums_the_window_of_each_channel_and_takes_what_is_outside_for_zero() {
        for level in levels() {
            for channels in CHANNELS {
                for (index, width) in WIDTHS.into_iter().enumerate() {
                    let height = 1 + index % 4;
                    check(level, Scale::Same, 1, &Plain::any(height, width, channels));
                    check(level, Scale::Half, 1, &Plain::any(height, width, channels));
                    check(level, Scale::Half, 0, &Plain::any(2 * height, 2 * width, channels));
                }
            }
        }
    }

    fn check(level: Level, scale: Scale, before: usize, input: &Plain) {
        let channels = input.shape.channels;
        let weight = |channel: usize, tap: usize| ((channel * 5 + tap) % 7) as f32 - 3.0;
        let bias: Vec<f32> = (0..channels).map(|channel| channel as f32 - 4.0).collect();
        for relu in [false, true] {
            let step = Depthwise::new(level, scale, before, weight, &bias, relu);
            let (height, width) = (scale.apply(input.shape.height), scale.apply(input.shape.width));
            let expected = Plain::new(height, width, channels, |y, x, channel| {
                let at = |place: usize, tap: usize| (place * scale.stride() + tap) as isize - before as isize;
                let taps = (0..9).map(|tap| weight(channel, tap) * input.at(at(y, tap / 3), at(x, tap % 3), channel));
                let sum = bias[channel] + taps.sum::<f32>();
                if relu { sum.max(0.0) } else { sum }
            });
            assert_eq!(
                run(step, input, None),
                expected,
                "{level:?} {scale:?} {before} {:?}",
                input.shape
            );
        }
    }
}
