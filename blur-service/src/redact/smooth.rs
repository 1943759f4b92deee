//! The default look: a soft surface through the cells, which people see as a strong blur.

use super::{
    Cells, Effect, Extent, Shape,
    separable::{self, Kernel},
};

pub struct Smooth(pub Shape);

impl Effect for Smooth {
    fn paint(&self, cells: &Cells, extent: Extent, patch: &mut [u8]) {
        let kernel = Kernel {
            weight: cubic_b_spline,
            reach: 2.0,
        };
        separable::paint(cells, extent, patch, kernel, self.0);
    }
}

/// The cubic B-spline: smooth to its second derivative and never above or below the cells (de Boor 1978).
fn cubic_b_spline(distance: f32) -> f32 {
    let distance = distance.abs();
    if distance < 1.0 {
        2.0 / 3.0 - distance * distance * (1.0 - distance / 2.0)
    } else if distance < 2.0 {
        (2.0 - distance).powi(3) / 6.0
    } else {
        0.0
    }
}
