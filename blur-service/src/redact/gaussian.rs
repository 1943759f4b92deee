//! The look of a large Gaussian blur that grows with the face, painted from the cells and not from the pixels.

use super::{
    Cells, Effect, Extent, Shape,
    separable::{self, Kernel},
};

pub struct Gaussian(pub Shape);

impl Effect for Gaussian {
    fn paint(&self, cells: &Cells, extent: Extent, patch: &mut [u8]) {
        let kernel = Kernel {
            weight: |distance| (-distance * distance / (2.0 * SIGMA_CELLS * SIGMA_CELLS)).exp(),
            reach: 4.0 * SIGMA_CELLS,
        };
        separable::paint(cells, extent, patch, kernel, self.0);
    }
}

/// One cell: the face or more, wider than the blur that usual face-blurring scripts choose.
const SIGMA_CELLS: f32 = 1.0;
