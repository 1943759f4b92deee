//! Shows nothing: the same grey whatever is beneath. For news, medicine and every moving picture.

use super::{Cells, Effect, Extent, cells::GREY};

pub struct Solid;

impl Effect for Solid {
    fn paint(&self, _cells: &Cells, _extent: Extent, patch: &mut [u8]) {
        patch.fill(GREY);
    }
}
