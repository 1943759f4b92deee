//! The largest of two by two.

use super::{Kernel, Map, Scale};

/// Sides must be even.
#[derive(Clone, Debug)]
pub struct MaxPool {
    pub channels: usize,
}

impl Kernel for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        Scale::Half
    }

    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]) {
        let (map, channels) = (inputs[0], self.channels);
        for (y, out) in out.chunks_exact_mut(map.shape.row() / 2).enumerate() {
            let (upper, lower) = (map.row(2 * y), map.row(2 * y + 1));
            let pairs = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
            for (out, (upper, lower)) in out.chunks_exact_mut(channels).zip(pairs) {
                for (channel, out) in out.iter_mut().enumerate() {
                    let left = upper[channel].max(lower[channel]);
                    *out = left.max(upper[channels + channel].max(lower[channels + channel]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Shape, *};

    #[test]
    fn keeps_the_largest_of_each_channel() {
        let values: Vec<f32> = [[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]].concat();
        let mut out = [0.0; 2];
        MaxPool { channels: 2 }.run(
            &[Map::new(
                Shape {
                    height: 2,
                    width: 2,
                    channels: 2,
                },
                &values,
            )],
            &mut out,
        );
        assert_eq!(out, [4.0, 8.0]);
    }
}
