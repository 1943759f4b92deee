//! One step of a network: rows in, a row out.

use std::{fmt::Debug, ops::Range};

use super::{Rows, Scale, Shape};

/// Makes rows of one map from rows of another.
pub trait Step: Debug + Send + Sync {
    /// Channels of what is made.
    fn channels(&self) -> usize;

    /// How the sides of what is made follow from those of the input.
    fn scale(&self) -> Scale;

    /// The first of the rows under row `y`, which may lie outside, and how many there are: for every `y` the same number.
    fn window(&self, y: usize) -> (isize, usize);

    /// Makes row `y`, all but the zeros at its ends. `outside` is a row of zeros, as wide as any.
    fn make(&self, y: usize, input: Rows<'_>, added: Option<Rows<'_>>, outside: &[f32], made: Made<'_>);

    /// How many rows of `width` pixels are best made at once.
    fn rows_at_once(&self, _width: usize) -> usize {
        1
    }

    /// Makes all of `rows`.
    fn make_all(
        &self,
        rows: Range<usize>,
        input: Rows<'_>,
        added: Option<Rows<'_>>,
        outside: &[f32],
        made: RowsMut<'_>,
    ) {
        made.each(rows)
            .for_each(|(y, made)| self.make(y, input, added, outside, made));
    }
}

/// The row that a step writes.
pub struct Made<'a> {
    pub shape: Shape,
    pub row: &'a mut [f32],
}

/// The rows that a step writes: row `y` in place `y % held`.
pub struct RowsMut<'a> {
    pub shape: Shape,
    pub values: &'a mut [f32],
    pub held: usize,
}

impl<'a> RowsMut<'a> {
    /// Each of `rows`, no more than are held, in some order.
    pub fn each(self, rows: Range<usize>) -> impl Iterator<Item = (usize, Made<'a>)> {
        let Self { shape, values, held } = self;
        let first = rows.start % held;
        let (early, late) = values.split_at_mut(first * shape.row());
        let places = late
            .chunks_exact_mut(shape.row())
            .chain(early.chunks_exact_mut(shape.row()));
        rows.zip(places).map(move |(y, row)| (y, Made { shape, row }))
    }
}
