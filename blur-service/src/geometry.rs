//! Rectangles over a picture, in pixels: padding, clamping, overlap and the suppression of double detections. Pure.

use serde::Serialize;

/// Width and height of a picture or patch, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub fn long_side(self) -> u32 {
        self.width.max(self.height)
    }

    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A rectangle in pixels: `x`, `y` is the upper left corner. The one box format everywhere, upright unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rect {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}
