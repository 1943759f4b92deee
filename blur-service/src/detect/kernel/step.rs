//! One step of a network: rows in, a row out.

use std::fmt::Debug;

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
}

/// The row that a step writes.
pub struct Made<'a> {
    pub shape: Shape,
    pub row: &'a mut [f32],
}
