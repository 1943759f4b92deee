//! Shows the cells themselves.

use super::{Cells, Effect, cells::edges};
use crate::geometry::Size;

pub struct Mosaic;

impl Effect for Mosaic {
    fn paint(&self, cells: &Cells, size: Size, patch: &mut [u8]) {
        let xs = edges(size.width, cells.columns);
        let ys = edges(size.height, cells.rows);
        for (vertical, levels) in ys.windows(2).zip(cells.values.chunks_exact(cells.columns)) {
            for y in vertical[0]..vertical[1] {
                let row = &mut patch[(y * size.width) as usize..][..size.width as usize];
                for (horizontal, level) in xs.windows(2).zip(levels) {
                    row[horizontal[0] as usize..horizontal[1] as usize].fill(*level);
                }
            }
        }
    }
}
