//! Shows nothing: the same grey whatever is beneath. For news, medicine and every moving picture.

use super::{Cells, Effect, cells::GREY};
use crate::geometry::Size;

pub struct Solid;

impl Effect for Solid {
    fn paint(&self, _cells: &Cells, _size: Size, patch: &mut [u8]) {
        patch.fill(GREY);
    }
}
