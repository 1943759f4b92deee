//! Doubling a map's sides and adding the map of that size, which brings the detail: three ways to double.

use super::{Kernel, Map, Pointwise, Scale};

/// Each pixel four times. Takes the small map, then the large one.
#[derive(Clone, Debug)]
pub struct Nearest {
    pub channels: usize,
}

/// Bilinear, between the centres of pixels (ONNX `half_pixel`). Takes the small map, then the large one.
#[derive(Clone, Debug)]
pub struct Bilinear {
    pub channels: usize,
}

/// A transposed convolution of two by two, stride two. Takes the small map, then the large one.
#[derive(Clone, Debug)]
pub struct Transposed {
    /// For each corner of the doubled pixel, row by row, what it gets of the small map's pixel.
    pub corners: [Pointwise; 4],
}

impl Kernel for Nearest {
    fn name(&self) -> &'static str {
        "Nearest"
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        Scale::Double
    }

    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]) {
        let (small, large) = (inputs[0], inputs[1]);
        for (y, out) in out.chunks_exact_mut(large.shape.row()).enumerate() {
            let pairs = out
                .chunks_exact_mut(2 * self.channels)
                .zip(large.row(y).chunks_exact(2 * self.channels));
            for ((out, large), small) in pairs.zip(small.row(y / 2).chunks_exact(self.channels)) {
                for (index, (out, large)) in out.iter_mut().zip(large).enumerate() {
                    *out = small[index % self.channels] + large;
                }
            }
        }
    }
}

impl Kernel for Bilinear {
    fn name(&self) -> &'static str {
        "Bilinear"
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn scale(&self) -> Scale {
        Scale::Double
    }

    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]) {
        let (small, large) = (inputs[0], inputs[1]);
        let mut blended = vec![0.0; small.shape.row()];
        for (y, out) in out.chunks_exact_mut(large.shape.row()).enumerate() {
            let (near, far) = neighbours(y, small.shape.height);
            for ((blended, near), far) in blended.iter_mut().zip(small.row(near)).zip(small.row(far)) {
                *blended = near * 0.75 + far * 0.25;
            }
            let pixel = |x: usize| &blended[x * self.channels..][..self.channels];
            let pixels = out
                .chunks_exact_mut(self.channels)
                .zip(large.row(y).chunks_exact(self.channels));
            for (x, (out, large)) in pixels.enumerate() {
                let (near, far) = neighbours(x, small.shape.width);
                for (((out, near), far), large) in out.iter_mut().zip(pixel(near)).zip(pixel(far)).zip(large) {
                    *out = near * 0.75 + far * 0.25 + large;
                }
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

impl Kernel for Transposed {
    fn name(&self) -> &'static str {
        "Transposed"
    }

    fn channels(&self) -> usize {
        self.corners[0].outputs()
    }

    fn scale(&self) -> Scale {
        Scale::Double
    }

    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]) {
        let (small, large) = (inputs[0], inputs[1]);
        let channels = self.channels();
        let mut corner = vec![0.0; small.shape.width * channels];
        for (y, out) in out.chunks_exact_mut(large.shape.row()).enumerate() {
            for (side, kernel) in self.corners[y % 2 * 2..][..2].iter().enumerate() {
                kernel.run(small.row(y / 2), None, &mut corner);
                let pixels = out.chunks_exact_mut(channels).zip(large.row(y).chunks_exact(channels));
                for ((out, large), doubled) in pixels.skip(side).step_by(2).zip(corner.chunks_exact(channels)) {
                    for ((out, large), doubled) in out.iter_mut().zip(large).zip(doubled) {
                        *out = doubled + large;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Shape, *};

    const SMALL: Shape = Shape {
        height: 2,
        width: 2,
        channels: 8,
    };
    const LARGE: Shape = Shape {
        height: 4,
        width: 4,
        channels: 8,
    };

    #[test]
    fn nearest_repeats_each_pixel() {
        let small: Vec<f32> = (0..4).flat_map(|value| [value as f32; 8]).collect();
        let mut out = vec![0.0; 128];
        Nearest { channels: 8 }.run(&[Map::new(SMALL, &small), Map::new(LARGE, &[10.0; 128])], &mut out);
        let values: Vec<f32> = out.chunks_exact(8).map(|pixel| pixel[5]).collect();
        assert_eq!(values[..8], [10.0, 10.0, 11.0, 11.0, 10.0, 10.0, 11.0, 11.0]);
        assert_eq!(values[8..], [12.0, 12.0, 13.0, 13.0, 12.0, 12.0, 13.0, 13.0]);
    }

    #[test]
    fn bilinear_blends_three_to_one_and_repeats_the_edge() {
        let small: Vec<f32> = [0.0, 4.0, 8.0, 12.0].iter().flat_map(|value| [*value; 8]).collect();
        let mut out = vec![0.0; 128];
        Bilinear { channels: 8 }.run(&[Map::new(SMALL, &small), Map::new(LARGE, &[100.0; 128])], &mut out);
        let first_row: Vec<f32> = out.chunks_exact(8).take(4).map(|pixel| pixel[3]).collect();
        assert_eq!(first_row, [100.0, 101.0, 103.0, 104.0]);
        assert_eq!(out[5 * 8], 103.0);
    }

    #[test]
    fn transposed_gives_each_corner_its_own_weights() {
        let corners = [1.0, 2.0, 3.0, 4.0].map(|factor| {
            Pointwise::new(
                8,
                move |output, input| if output == input { factor } else { 0.0 },
                vec![0.0; 8],
                true,
            )
        });
        let small: Vec<f32> = [1.0, 10.0, 100.0, -1.0].iter().flat_map(|value| [*value; 8]).collect();
        let mut out = vec![0.0; 128];
        Transposed { corners }.run(&[Map::new(SMALL, &small), Map::new(LARGE, &[0.5; 128])], &mut out);
        let values: Vec<f32> = out.chunks_exact(8).map(|pixel| pixel[7]).collect();
        assert_eq!(values[..8], [1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]);
        assert_eq!(values[8..], [100.5, 200.5, 0.5, 0.5, 300.5, 400.5, 0.5, 0.5]);
    }
}
