//! A grid of pixels of many channels.

/// Sides and channels of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    /// Values in a row.
    pub fn row(self) -> usize {
        self.width * self.channels
    }
}

/// `[height, width, channels] f32`.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    pub shape: Shape,
    pub values: &'a [f32],
}

impl<'a> Map<'a> {
    pub fn new(shape: Shape, values: &'a [f32]) -> Self {
        Self { shape, values }
    }

    pub fn row(&self, y: usize) -> &'a [f32] {
        &self.values[y * self.shape.row()..][..self.shape.row()]
    }
}

/// The three rows under a window of three whose first is `first`; `outside` stands for those beyond the map.
pub fn window<'a>(first: isize, height: usize, outside: &'a [f32], row: impl Fn(usize) -> &'a [f32]) -> [&'a [f32]; 3] {
    [0, 1, 2].map(|index| match usize::try_from(first + index) {
        Ok(y) if y < height => row(y),
        _ => outside,
    })
}
