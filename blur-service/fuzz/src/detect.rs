//! What the others need to know of the detector.

#[path = "../../src/detect/options.rs"]
mod options;

use crate::geometry::Rect;

pub use options::{Detail, Sensitivity, UnknownOption};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    pub rect: Rect,
    pub score: f32,
}
