//! A grid of pixels of many channels, and how it lies in memory.

use super::LANES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    pub fn blocks(self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Pixels of a row in one block: its own and a pixel of zeros at each end.
    pub fn pitch(self) -> usize {
        self.width + 2
    }

    /// Numbers of a row in one block.
    pub fn block(self) -> usize {
        self.pitch() * LANES
    }

    /// Numbers of a row.
    pub fn row(self) -> usize {
        self.blocks() * self.block()
    }

    /// Where a pixel's number for `channel` is in a row.
    pub fn place(self, x: usize, channel: usize) -> usize {
        (channel / LANES * self.pitch() + x + 1) * LANES + channel % LANES
    }
}

/// Some rows of a map that follow each other: row `y` is in place `y % held`.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub shape: Shape,
    pub values: &'a [f32],
    pub held: usize,
}

impl<'a> Rows<'a> {
    pub fn row(&self, y: usize) -> &'a [f32] {
        let row = self.shape.row();
        &self.values[y % self.held * row..][..row]
    }

    /// The row, or none beyond the map's edge.
    pub fn inside(&self, y: isize) -> Option<&'a [f32]> {
        let y = usize::try_from(y).ok().filter(|y| *y < self.shape.height)?;
        Some(self.row(y))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Same,
    /// Rounded up.
    Half,
    Double,
}

impl Scale {
    pub fn of_stride(stride: usize) -> Option<Self> {
        match stride {
            1 => Some(Self::Same),
            2 => Some(Self::Half),
            _ => None,
        }
    }

    pub fn apply(self, side: usize) -> usize {
        match self {
            Self::Same => side,
            Self::Half => side.div_ceil(2),
            Self::Double => side * 2,
        }
    }

    pub fn stride(self) -> usize {
        if self == Self::Half { 2 } else { 1 }
    }
}
