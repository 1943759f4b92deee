//! A convolution of one by one: each pixel's channels times a matrix.

use std::array;

use fearless_simd::{Level, Simd, dispatch, f32x8, prelude::*};

use super::LANES;

/// Weights and bias of a 1 × 1 convolution, laid out for the kernel.
#[derive(Clone, Debug)]
pub struct Pointwise {
    inputs: usize,
    outputs: usize,
    /// Panels of sixteen outputs (the last may have eight): for each input, the weights of the panel's outputs.
    panels: Vec<f32>,
    bias: Vec<f32>,
    relu: bool,
}

/// What is added to the outputs before the activation: as many pixels, of at most as many channels.
#[derive(Clone, Copy)]
pub struct Residual<'a> {
    pub pixels: &'a [f32],
    pub channels: usize,
}

/// One panel at work.
struct Job<'a> {
    first: usize,
    panel: &'a [f32],
    pixels: &'a [f32],
    residual: Option<Residual<'a>>,
}

impl Pointwise {
    /// `weight(output, input)`; one bias an output, and their number a multiple of eight.
    pub fn new(inputs: usize, weight: impl Fn(usize, usize) -> f32, bias: Vec<f32>, relu: bool) -> Self {
        let outputs = bias.len();
        let mut panels = Vec::with_capacity(inputs * outputs);
        for first in (0..outputs).step_by(PANEL) {
            for input in 0..inputs {
                panels.extend((first..outputs.min(first + PANEL)).map(|output| weight(output, input)));
            }
        }
        Self {
            inputs,
            outputs,
            panels,
            bias,
            relu,
        }
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `pixels`: any number of pixels of `inputs` channels; `out`: as many of `outputs` channels.
    pub fn run(&self, pixels: &[f32], residual: Option<Residual<'_>>, out: &mut [f32]) {
        dispatch!(Level::new(), simd => self.run_on(simd, pixels, residual, out));
    }

    #[inline(always)]
    fn run_on<S: Simd>(&self, simd: S, pixels: &[f32], residual: Option<Residual<'_>>, out: &mut [f32]) {
        for first in (0..self.outputs).step_by(PANEL) {
            let width = PANEL.min(self.outputs - first);
            let panel = &self.panels[first * self.inputs..][..width * self.inputs];
            let job = Job {
                first,
                panel,
                pixels,
                residual,
            };
            if width == PANEL {
                self.panel::<S, 2>(simd, &job, out)
            } else {
                self.panel::<S, 1>(simd, &job, out)
            }
        }
    }

    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&self, simd: S, job: &Job<'_>, out: &mut [f32]) {
        let count = out.len() / self.outputs;
        if count < TILE {
            (0..count).for_each(|pixel| self.tile::<S, 1, V>(simd, job, pixel, out));
            return;
        }
        for pixel in (0..count).step_by(TILE) {
            // The last tile may compute some pixels again, which costs less than tiles of other sizes.
            self.tile::<S, TILE, V>(simd, job, pixel.min(count - TILE), out);
        }
    }

    /// `P` pixels from `pixel` on, `V` vectors of outputs: as many sums as there are registers for.
    #[inline(always)]
    fn tile<S: Simd, const P: usize, const V: usize>(&self, simd: S, job: &Job<'_>, pixel: usize, out: &mut [f32]) {
        let inputs = self.inputs;
        let rows: [&[f32]; P] = array::from_fn(|p| &job.pixels[(pixel + p) * inputs..][..inputs]);
        let load = |values: &[f32], v: usize| f32x8::from_slice(simd, &values[v * LANES..][..LANES]);
        let bias: [f32x8<S>; V] = array::from_fn(|v| load(&self.bias[job.first..], v));
        let mut sums = [bias; P];
        #[expect(
            clippy::needless_range_loop,
            reason = "the range tells the compiler that no row is overrun"
        )]
        for input in 0..inputs {
            let weights = &job.panel[input * V * LANES..][..V * LANES];
            let weights: [f32x8<S>; V] = array::from_fn(|v| load(weights, v));
            for p in 0..P {
                let value = f32x8::splat(simd, rows[p][input]);
                for v in 0..V {
                    sums[p][v] = weights[v].mul_add(value, sums[p][v]);
                }
            }
        }
        for (p, sums) in sums.into_iter().enumerate() {
            for (v, mut sum) in sums.into_iter().enumerate() {
                let channel = job.first + v * LANES;
                if let Some(Residual { pixels, channels }) = job.residual
                    && channel < channels
                {
                    sum += load(&pixels[(pixel + p) * channels + channel..], 0);
                }
                if self.relu {
                    sum = sum.max(f32x8::splat(simd, 0.0));
                }
                sum.store_slice(&mut out[(pixel + p) * self.outputs + channel..][..LANES]);
            }
        }
    }
}

const PANEL: usize = 2 * LANES;
const TILE: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_any_number_of_pixels_by_the_matrix() {
        for (count, inputs, outputs) in [(1, 3, 8), (6, 16, 16), (7, 8, 24), (20, 27, 32)] {
            let weight = |output: usize, input: usize| ((output * 7 + input * 3) % 11) as f32 - 5.0;
            let pixels: Vec<f32> = (0..count * inputs).map(|i| (i % 13) as f32).collect();
            let kernel = Pointwise::new(inputs, weight, vec![0.5; outputs], true);
            let residual = Residual {
                pixels: &vec![2.0; count * 8],
                channels: 8,
            };
            let mut out = vec![0.0; count * outputs];
            kernel.run(&pixels, Some(residual), &mut out);
            for (index, value) in out.into_iter().enumerate() {
                let (pixel, output) = (index / outputs, index % outputs);
                let products = (0..inputs).map(|input| weight(output, input) * pixels[pixel * inputs + input]);
                let added = if output < 8 { 2.5 } else { 0.5 };
                assert_eq!(
                    value,
                    (products.sum::<f32>() + added).max(0.0),
                    "{count} {inputs} {outputs}"
                );
            }
        }
    }
}
