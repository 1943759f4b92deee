//! A depthwise convolution of three by three: each channel by itself, one row of the output at a time.

use std::array;

use fearless_simd::{Level, Simd, dispatch, f32x8, prelude::*};

use super::{LANES, Scale};

#[derive(Clone, Debug)]
pub struct Depthwise {
    channels: usize,
    scale: Scale,
    /// Columns (and rows) missing before the first window.
    before: usize,
    /// Nine taps, row by row, each of all channels.
    taps: Vec<f32>,
    bias: Vec<f32>,
    relu: bool,
}

impl Depthwise {
    /// `weight(channel, tap)`, taps counted row by row; one bias a channel, and their number a multiple of eight.
    pub fn new(scale: Scale, before: usize, weight: impl Fn(usize, usize) -> f32, bias: Vec<f32>, relu: bool) -> Self {
        let channels = bias.len();
        let weight = &weight;
        let taps = (0..9)
            .flat_map(|tap| (0..channels).map(move |channel| weight(channel, tap)))
            .collect();
        Self {
            channels,
            scale,
            before,
            taps,
            bias,
            relu,
        }
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The first of the three input rows under row `y` of the output; may lie outside.
    pub fn first_row(&self, y: usize) -> isize {
        (y * self.scale.stride()) as isize - self.before as isize
    }

    /// `rows`: the three rows of the input under the window, zeros for one outside.
    pub fn run(&self, rows: [&[f32]; 3], out: &mut [f32]) {
        dispatch!(Level::new(), simd => self.run_on(simd, rows, out));
    }

    #[inline(always)]
    fn run_on<S: Simd>(&self, simd: S, rows: [&[f32]; 3], out: &mut [f32]) {
        let channels = self.channels;
        let width = rows[0].len() / channels;
        let load = |values: &[f32], at: usize| f32x8::from_slice(simd, &values[at..][..LANES]);
        for first in (0..channels).step_by(LANES) {
            let taps: [f32x8<S>; 9] = array::from_fn(|tap| load(&self.taps, tap * channels + first));
            let bias = load(&self.bias, first);
            for (column, out) in out.chunks_exact_mut(channels).enumerate() {
                let left = column * self.scale.stride();
                let mut sum = bias;
                if left >= self.before && left + 3 <= width + self.before {
                    let start = (left - self.before) * channels + first;
                    for (row, taps) in rows.iter().zip(taps.chunks_exact(3)) {
                        let window = &row[start..][..2 * channels + LANES];
                        for (tap, weight) in taps.iter().enumerate() {
                            sum = weight.mul_add(load(window, tap * channels), sum);
                        }
                    }
                } else {
                    for (row, taps) in rows.iter().zip(taps.chunks_exact(3)) {
                        for (tap, weight) in taps.iter().enumerate() {
                            let at = (left + tap).wrapping_sub(self.before);
                            if at < width {
                                sum = weight.mul_add(load(row, at * channels + first), sum);
                            }
                        }
                    }
                }
                if self.relu {
                    sum = sum.max(f32x8::splat(simd, 0.0));
                }
                sum.store_slice(&mut out[first..][..LANES]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_window_of_each_channel_and_takes_what_is_outside_for_zero() {
        let (width, channels) = (5, 16);
        let rows: Vec<Vec<f32>> = (0..3)
            .map(|y| (0..width * channels).map(|i| (i * 3 % 17 + y) as f32).collect())
            .collect();
        for (scale, before) in [(Scale::Same, 1), (Scale::Half, 0), (Scale::Half, 1)] {
            let weight = |channel: usize, tap: usize| (channel * 5 + tap) as f32 % 7.0 - 3.0;
            let kernel = Depthwise::new(scale, before, weight, vec![1.0; channels], false);
            let columns = scale.apply(width);
            let mut out = vec![0.0; columns * channels];
            kernel.run([&rows[0], &rows[1], &rows[2]], &mut out);
            for (index, value) in out.into_iter().enumerate() {
                let (column, channel) = (index / channels, index % channels);
                let taps = (0..9).filter_map(|tap| {
                    let x = (column * scale.stride() + tap % 3)
                        .checked_sub(before)
                        .filter(|x| *x < width)?;
                    Some(weight(channel, tap) * rows[tap / 3][x * channels + channel])
                });
                assert_eq!(value, 1.0 + taps.sum::<f32>());
            }
        }
    }
}
