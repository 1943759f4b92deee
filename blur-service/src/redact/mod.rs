//! Makes a region unrecognisable. Whatever is shown inside it is a function of its [`Cells`] alone.

use crate::geometry::Size;

/// All that may be known of one channel of a region: at most 8 × 8 numbers, the quantised and noised means of its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    pub columns: usize,
    pub rows: usize,
    /// Row by row, `columns * rows` of them, 0 to 255.
    pub values: Vec<u8>,
}

/// A look for hidden faces. It sees the cells of one channel and never a pixel.
pub trait Effect: Sync {
    /// Fills `patch`, row by row, `size.width * size.height` samples, from `cells`.
    fn paint(&self, cells: &Cells, size: Size, patch: &mut [u8]);
}
