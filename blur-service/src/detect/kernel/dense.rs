//! A convolution of three by three over all channels: the window's pixels laid side by side, then a matrix.

use super::{Kernel, Map, Pointwise, Scale, map::window};

#[derive(Clone, Debug)]
pub struct Dense {
    pub scale: Scale,
    /// Rows and columns missing before the first window.
    pub before: usize,
    /// Takes the nine pixels of a window, row by row.
    pub matrix: Pointwise,
}

impl Kernel for Dense {
    fn name(&self) -> &'static str {
        "Dense"
    }

    fn channels(&self) -> usize {
        self.matrix.outputs()
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]) {
        let map = inputs[0];
        let (width, channels) = (self.scale.apply(map.shape.width), map.shape.channels);
        let outside = vec![0.0; map.shape.row()];
        let mut windows = vec![0.0; width * 9 * channels];
        for (y, out) in out.chunks_exact_mut(width * self.channels()).enumerate() {
            let first = (y * self.scale.stride()) as isize - self.before as isize;
            let rows = window(first, map.shape.height, &outside, |y| map.row(y));
            for (column, window) in windows.chunks_exact_mut(9 * channels).enumerate() {
                for (row, pixels) in rows.iter().zip(window.chunks_exact_mut(3 * channels)) {
                    self.gather(row, column * self.scale.stride(), channels, pixels);
                }
            }
            self.matrix.run(&windows, None, out);
        }
    }
}

impl Dense {
    /// Three pixels of `row`, zeros for those beyond its ends.
    fn gather(&self, row: &[f32], left: usize, channels: usize, pixels: &mut [f32]) {
        if left >= self.before && (left + 3 - self.before) * channels <= row.len() {
            return pixels.copy_from_slice(&row[(left - self.before) * channels..][..3 * channels]);
        }
        for (tap, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
            let at = (left + tap).wrapping_sub(self.before);
            match row.chunks_exact(channels).nth(at) {
                Some(inside) => pixel.copy_from_slice(inside),
                None => pixel.fill(0.0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Shape, *};

    #[test]
    fn sums_the_window_over_all_channels() {
        let shape = Shape {
            height: 4,
            width: 5,
            channels: 3,
        };
        let values: Vec<f32> = (0..60).map(|i| (i * 7 % 11) as f32).collect();
        let weight = |output: usize, input: usize| ((output + input * 3) % 5) as f32 - 2.0;
        for (scale, before) in [(Scale::Same, 1), (Scale::Half, 0)] {
            let kernel = Dense {
                scale,
                before,
                matrix: Pointwise::new(27, weight, vec![0.0; 8], false),
            };
            let (height, width) = (scale.apply(4), scale.apply(5));
            let mut out = vec![0.0; height * width * 8];
            kernel.run(&[Map::new(shape, &values)], &mut out);
            for (index, value) in out.into_iter().enumerate() {
                let (y, x, output) = (index / 8 / width, index / 8 % width, index % 8);
                let taps = (0..27).filter_map(|input| {
                    let row = (y * scale.stride() + input / 9)
                        .checked_sub(before)
                        .filter(|row| *row < 4)?;
                    let column = (x * scale.stride() + input / 3 % 3)
                        .checked_sub(before)
                        .filter(|column| *column < 5)?;
                    Some(weight(output, input) * values[(row * 5 + column) * 3 + input % 3])
                });
                assert_eq!(value, taps.sum::<f32>());
            }
        }
    }
}
