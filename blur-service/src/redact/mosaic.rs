//! Shows the cells themselves.

use super::{Cells, Effect, Extent};

pub struct Mosaic;

impl Effect for Mosaic {
    fn paint(&self, cells: &Cells, extent: Extent, patch: &mut [u8]) {
        let column = |x: u32| cell(x, extent.block.0, cells.before.0, cells.size.0, cells.columns);
        let columns: Vec<usize> = (0..extent.size.width).map(column).collect();
        for (y, row) in (0..).zip(patch.chunks_exact_mut(extent.size.width as usize)) {
            let first = cell(y, extent.block.1, cells.before.1, cells.size.1, cells.rows) * cells.columns;
            for (sample, column) in row.iter_mut().zip(&columns) {
                *sample = cells.values[first + column];
            }
        }
    }
}

/// The cell of a sample, where `block` samples make a block, the first of `count` cells begins `before` blocks ahead of the
/// patch, and each has `size` blocks.
fn cell(sample: u32, block: f32, before: u32, size: u32, count: usize) -> usize {
    let position = ((sample as f32 + 0.5) / block + before as f32) / size as f32;
    (position as usize).min(count - 1)
}
