//! Sums of products: what each output of a convolution gets of all that its window sees, many pixels at a time.

use std::array;

use fearless_simd::{Level, Simd, prelude::*};

use super::{Aligned, LANES, Shape};

/// Weights and bias, laid out for the vectors of `level`.
#[derive(Debug)]
pub struct Matrix {
    pub level: Level,
    outputs: usize,
    /// For each panel, for each number that the window sees, the weights of the panel's outputs.
    weights: Aligned,
    bias: Aligned,
    panels: Vec<Panel>,
    relu: bool,
}

/// Outputs whose sums are made together.
#[derive(Clone, Copy, Debug)]
struct Panel {
    first: usize,
    vectors: usize,
    start: usize,
}

/// What the window of each output pixel sees.
pub trait Window {
    /// Adds the products of the windows of `P` pixels from `x` on with `weights`, of `N` vectors for each number seen.
    fn add_products<S: Simd, const P: usize, const N: usize>(
        &self,
        simd: S,
        x: usize,
        weights: &[f32],
        sums: [[S::f32s; N]; P],
    ) -> [[S::f32s; N]; P];
}

/// A row of sums: what they are of, what is added to them, and where they go.
pub struct Line<'a, W> {
    pub window: W,
    pub added: Option<Added<'a>>,
    pub target: Target<'a>,
}

/// Where the sums go.
pub struct Target<'a> {
    /// Of the row that is written.
    pub shape: Shape,
    pub row: &'a mut [f32],
    /// Sum `x` goes to pixel `first + step * x`.
    pub first: usize,
    pub step: usize,
}

/// A row of the target's width that is added to the sums.
#[derive(Clone, Copy)]
pub struct Added<'a> {
    pub row: &'a [f32],
    pub blocks: usize,
    pub when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    BeforeRelu,
    AfterRelu,
}

impl Matrix {
    /// `weight(output, number)` for the `seen` numbers of a window in the order in which it gives them; one bias an output.
    pub fn new(level: Level, seen: usize, weight: impl Fn(usize, usize) -> f32, bias: &[f32], relu: bool) -> Self {
        let lanes = lanes(level);
        let mut panels = Vec::new();
        let mut weights = Vec::new();
        let mut first = 0;
        for vectors in parts(bias.len().div_ceil(lanes), lanes) {
            panels.push(Panel {
                first,
                vectors,
                start: weights.len(),
            });
            let outputs = first..first + vectors * lanes;
            for number in 0..seen {
                let weight = |output| {
                    if output < bias.len() {
                        weight(output, number)
                    } else {
                        0.0
                    }
                };
                weights.extend(outputs.clone().map(weight));
            }
            first += vectors * lanes;
        }
        let mut padded = Aligned::zeros(first);
        padded[..bias.len()].copy_from_slice(bias);
        Self {
            level,
            outputs: bias.len(),
            weights: Aligned::from(&weights[..]),
            bias: padded,
            panels,
            relu,
        }
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The sums of `count` pixels in each of `lines`; several of them use weights that have just been fetched.
    #[inline(always)]
    pub fn run<S: Simd, W: Window>(&self, simd: S, lines: &mut [Line<'_, W>], count: usize) {
        for (index, panel) in self.panels.iter().enumerate() {
            let end = self.panels.get(index + 1).map_or(self.weights.len(), |next| next.start);
            let job = Job {
                matrix: self,
                panel,
                weights: &self.weights[panel.start..end],
                count,
            };
            for line in &mut *lines {
                // As many sums as there are registers for.
                match (S::f32s::LEN, panel.vectors) {
                    (16, 1) => job.run::<S, W, 24, 1>(simd, line),
                    (16, 2) => job.run::<S, W, 12, 2>(simd, line),
                    (16, 3) => job.run::<S, W, 8, 3>(simd, line),
                    (16, _) => job.run::<S, W, 6, 4>(simd, line),
                    (8, 1) => job.run::<S, W, 8, 1>(simd, line),
                    (8, 2) => job.run::<S, W, 6, 2>(simd, line),
                    (8, _) => job.run::<S, W, 4, 3>(simd, line),
                    (_, 1) => job.run::<S, W, 4, 1>(simd, line),
                    (_, 2) => job.run::<S, W, 4, 2>(simd, line),
                    (_, 3) => job.run::<S, W, 4, 3>(simd, line),
                    (_, _) => job.run::<S, W, MANY, 4>(simd, line),
                }
            }
        }
    }

    /// Bytes of the weights.
    pub fn weight(&self) -> usize {
        size_of_val(&self.weights[..])
    }
}

/// Numbers in a vector.
pub fn lanes(level: Level) -> usize {
    fearless_simd::dispatch!(level, simd => native(simd))
}

#[inline(always)]
fn native<S: Simd>(_: S) -> usize {
    S::f32s::LEN
}

/// `vectors` in parts of as many as are summed up together, none of them alone if that can be.
fn parts(vectors: usize, lanes: usize) -> Vec<usize> {
    let most = if lanes == 8 { 2 } else { 4 };
    let mut parts = Vec::new();
    let mut left = vectors;
    while left > 0 {
        let part = match left {
            3 => 3,
            left if left == most + 1 && most > 2 => most - 1,
            left => left.min(most),
        };
        parts.push(part);
        left -= part;
    }
    parts
}

struct Job<'a> {
    matrix: &'a Matrix,
    panel: &'a Panel,
    weights: &'a [f32],
    count: usize,
}

impl Job<'_> {
    /// In tiles of `P` pixels, then of a few; the last may compute some again, which costs less than one by one.
    #[inline(always)]
    fn run<S: Simd, W: Window, const P: usize, const N: usize>(&self, simd: S, line: &mut Line<'_, W>) {
        let count = self.count;
        let mut x = 0;
        while x + P <= count {
            self.tile::<S, W, P, N>(simd, line, x);
            x += P;
        }
        while x < count && count >= FEW {
            self.tile::<S, W, FEW, N>(simd, line, x.min(count - FEW));
            x += FEW;
        }
        while x < count {
            self.tile::<S, W, 1, N>(simd, line, x);
            x += 1;
        }
    }

    // Each loop over the sums is small enough to be unrolled, so that they stay in registers.
    #[inline(always)]
    fn tile<S: Simd, W: Window, const P: usize, const N: usize>(&self, simd: S, line: &mut Line<'_, W>, x: usize) {
        let lanes = S::f32s::LEN;
        let bias: [S::f32s; N] =
            array::from_fn(|n| S::f32s::from_slice(simd, &self.matrix.bias[self.panel.first + n * lanes..][..lanes]));
        let mut sums = line.window.add_products::<S, P, N>(simd, x, self.weights, [bias; P]);
        let added = |when| line.added.filter(|added| added.when == when);
        if let Some(added) = added(When::BeforeRelu) {
            self.add(simd, added, &line.target, x, &mut sums);
        }
        if self.matrix.relu {
            let zero = S::f32s::splat(simd, 0.0);
            sums.as_flattened_mut().iter_mut().for_each(|sum| *sum = sum.max(zero));
        }
        if let Some(added) = added(When::AfterRelu) {
            self.add(simd, added, &line.target, x, &mut sums);
        }
        self.store::<S, P, N>(&mut line.target, x, sums);
    }

    #[inline(always)]
    fn add<S: Simd, const P: usize, const N: usize>(
        &self,
        simd: S,
        added: Added<'_>,
        target: &Target<'_>,
        x: usize,
        sums: &mut [[S::f32s; N]; P],
    ) {
        let lanes = S::f32s::LEN;
        for n in 0..N {
            let (block, place) = self.place::<S>(target, x, n);
            if block < added.blocks {
                let row = &added.row[place..][..(P - 1) * target.step * LANES + lanes];
                for (p, sums) in sums.iter_mut().enumerate() {
                    sums[n] += S::f32s::from_slice(simd, &row[p * target.step * LANES..][..lanes]);
                }
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd, const P: usize, const N: usize>(
        &self,
        target: &mut Target<'_>,
        x: usize,
        sums: [[S::f32s; N]; P],
    ) {
        let lanes = S::f32s::LEN;
        for n in 0..N {
            let (_, place) = self.place::<S>(target, x, n);
            let row = &mut target.row[place..][..(P - 1) * target.step * LANES + lanes];
            for (p, sums) in sums.iter().enumerate() {
                sums[n].store_slice(&mut row[p * target.step * LANES..][..lanes]);
            }
        }
    }

    /// Of vector `n` of pixel `x`: its block, and where in the row it begins.
    #[inline(always)]
    fn place<S: Simd>(&self, target: &Target<'_>, x: usize, n: usize) -> (usize, usize) {
        let channel = self.panel.first + n * S::f32s::LEN;
        let pixel = 1 + target.first + target.step * x;
        let block = channel / LANES;
        (block, (block * target.shape.pitch() + pixel) * LANES + channel % LANES)
    }
}

/// Pixels of a small tile.
const FEW: usize = 4;
/// Pixels of a tile of four vectors of four.
const MANY: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };
