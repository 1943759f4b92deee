//! New blocks for hidden areas: painted from their cells, transformed and quantised.

use super::plan::Plan;
use crate::{
    geometry::Size,
    jpeg::{
        dct,
        entropy::coding::{Block, Coefficients},
        syntax::{frame::Frame, header::Jpeg},
    },
    redact::{Area, Cells, Effect, Extent},
};

/// Makes the blocks of hidden areas. An area is painted when its first block is asked for. Once there are many painted
/// samples, those that end above the next area are forgotten.
pub struct Painter<'a> {
    frame: &'a Frame,
    plan: &'a Plan,
    effect: &'a dyn Effect,
    /// One over the quantisation steps of every component, row by row.
    factors: Vec<[f32; 64]>,
    /// For every area that is painted, its components.
    painted: Vec<Option<Vec<Patch>>>,
    /// Painted samples.
    kept: usize,
}

impl<'a> Painter<'a> {
    pub fn new(jpeg: &'a Jpeg, plan: &'a Plan, effect: &'a dyn Effect) -> Self {
        let components = 0..jpeg.frame.components.len();
        Self {
            frame: &jpeg.frame,
            plan,
            effect,
            factors: components.map(|component| factors(&jpeg.steps(component))).collect(),
            painted: vec![None; plan.areas.len()],
            kept: 0,
        }
    }

    /// The block of a unit (column and row) that lies in this area.
    #[inline(always)]
    pub fn block(&mut self, index: usize, unit: (u32, u32), block: &Block) -> Coefficients {
        if self.painted[index].is_none() {
            self.paint_area(index, unit.1);
        }
        let area = self.plan.areas[index].area;
        let (x, y) = area.offset(self.frame, unit, block);
        match &self.painted[index] {
            Some(patches) => patches[block.component].block(x, y, &self.factors[block.component]),
            None => [0; 64],
        }
    }

    /// Paints an area whose first units are asked for in this row.
    #[cold]
    fn paint_area(&mut self, index: usize, row: u32) {
        if self.kept > MOST_KEPT {
            self.forget_areas_above(row);
        }
        let patches = self.paint(index);
        self.kept += samples_of(&patches);
        self.painted[index] = Some(patches);
    }

    fn forget_areas_above(&mut self, row: u32) {
        for (patches, hidden) in self.painted.iter_mut().zip(&self.plan.areas) {
            if hidden.area.bottom <= row {
                self.kept -= patches.take().as_deref().map_or(0, samples_of);
            }
        }
    }

    fn paint(&self, index: usize) -> Vec<Patch> {
        let hidden = &self.plan.areas[index];
        let components = hidden.cells.iter().enumerate();
        components
            .map(|(component, cells)| self.patch(hidden.area, component, cells))
            .collect()
    }

    fn patch(&self, area: Area, component: usize, cells: &Cells) -> Patch {
        let visible = area.samples(self.frame, component);
        let mut shift = 0;
        let shifted = |shift: u32| Size {
            width: visible.width.div_ceil(1 << shift),
            height: visible.height.div_ceil(1 << shift),
        };
        while shifted(shift).pixels() > MOST_SAMPLES {
            shift += 1;
        }
        let size = shifted(shift);
        let mut samples = vec![0; size.pixels() as usize];
        let (horizontal, vertical) = self.frame.factors(component);
        let along = |factor: u32| (8 * factor) as f32 / (1 << shift) as f32;
        let extent = Extent {
            size,
            block: (along(horizontal), along(vertical)),
        };
        self.effect.paint(cells, extent, &mut samples);
        Patch { size, shift, samples }
    }
}

fn samples_of(patches: &[Patch]) -> usize {
    patches.iter().map(|patch| patch.samples.len()).sum()
}

/// One over each step, from zigzag order to row by row.
fn factors(steps: &[f32; 64]) -> [f32; 64] {
    let mut factors = [0.0; 64];
    for (step, natural) in steps.iter().zip(dct::ZIGZAG) {
        // A step of nothing leaves nothing.
        factors[usize::from(natural)] = if *step > 0.0 { 1.0 / *step } else { 0.0 };
    }
    factors
}

/// A larger patch is painted at half its size, or a quarter: its cells are so wide then that nobody sees it, and the
/// memory stays bounded.
const MOST_SAMPLES: u64 = 1 << 20;

/// So many painted samples may wait until they are asked for again.
const MOST_KEPT: usize = 1 << 20;

/// One component of a painted area.
#[derive(Clone)]
struct Patch {
    size: Size,
    /// Each painted sample stands for `1 << shift` of them in each direction.
    shift: u32,
    samples: Vec<u8>,
}

impl Patch {
    /// The block whose first sample lies at `x`, `y`; what lies beyond the patch repeats its edge.
    #[inline(always)]
    fn block(&self, x: u32, y: u32, factors: &[f32; 64]) -> Coefficients {
        let width = self.size.width as usize;
        let row = |n: usize| place(y + n as u32, self.shift, self.size.height) * width;
        let start = x as usize;
        let mut samples = [[0; 8]; 8];
        if self.shift == 0 && start + 8 <= width {
            for (n, eight) in samples.iter_mut().enumerate() {
                *eight = array(&self.samples[row(n) + start..]);
            }
        } else {
            let columns: [usize; 8] = std::array::from_fn(|n| place(x + n as u32, self.shift, self.size.width));
            for (n, eight) in samples.iter_mut().enumerate() {
                *eight = columns.map(|column| self.samples[row(n) + column]);
            }
        }
        quantised(&samples, factors)
    }
}

fn place(at: u32, shift: u32, length: u32) -> usize {
    (at >> shift).min(length - 1) as usize
}

/// The first eight samples.
fn array(samples: &[u8]) -> [u8; 8] {
    *samples.first_chunk().expect("the caller cut at least eight samples")
}

/// Transforms and quantises a block; `factors` are one over the steps, row by row.
#[inline(always)]
fn quantised(samples: &[[u8; 8]; 8], factors: &[f32; 64]) -> Coefficients {
    let first = samples[0][0];
    let mut values = [0; 64];
    if *samples == [[first; 8]; 8] {
        values[0] = rounded(8.0 * (f32::from(first) - 128.0) * factors[0]);
        return values;
    }
    let mut around_zero = [[0.0; 8]; 8];
    for (to, from) in around_zero.as_flattened_mut().iter_mut().zip(samples.as_flattened()) {
        *to = f32::from(*from) - 128.0;
    }
    let coefficients = dct::EIGHT.forward(&around_zero);
    let mut natural = [0; 64];
    for ((value, coefficient), factor) in natural.iter_mut().zip(coefficients.as_flattened()).zip(factors) {
        *value = rounded(coefficient * factor);
    }
    for (row, indices) in natural.as_chunks::<8>().0.iter().zip(&dct::INDEX) {
        for (value, index) in row.iter().zip(indices) {
            values[usize::from(*index)] = *value;
        }
    }
    values
}

/// The nearest whole number, for what is far below 2²² in size: added to 1.5 · 2²³, a float has no room for fractions.
#[inline(always)]
fn rounded(value: f32) -> i16 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i16
}
