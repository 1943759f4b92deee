//! Finds faces: pixels in, boxes out. One file per model.

use image::RgbImage;

use crate::geometry::Rect;

/// One face: its box in the pixels of the picture it was found in, and how sure the model is, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    pub rect: Rect,
    pub score: f32,
}
