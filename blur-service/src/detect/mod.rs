//! Finds faces: pixels in, boxes out. One file per model; `look.rs` says which of them looks where, and `nested.rs` what
//! becomes of all that they see.

mod centerface;
mod compile;
mod detectors;
mod full_range;
#[cfg(test)]
mod golden;
mod graph;
mod halftone;
mod kernel;
mod layer;
mod look;
mod nested;
mod net;
#[cfg(test)]
mod obscured;
mod options;
mod parts;
mod pose;
mod rough;
mod sheet;
mod single;

mod view;
mod yunet;

use std::{io, path::PathBuf};

use image::RgbImage;
use thiserror::Error;

pub use self::{
    detectors::Detectors,
    nested::Seen,
    options::{Detail, Sensitivity, UnknownOption},
    single::single,
    view::View,
};
use crate::geometry::{Rect, Size};

/// One face: its box in the pixels of the picture it was found in, and how sure the model is, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    pub rect: Rect,
    pub score: f32,
}

/// An upright picture: its full size, in whose pixels all boxes are, and its pixels, which may be fewer.
#[derive(Clone, Copy)]
pub struct Photo<'a> {
    pub size: Size,
    pub pixels: &'a RgbImage,
}

impl<'a> Photo<'a> {
    /// With all its pixels.
    pub fn whole(pixels: &'a RgbImage) -> Self {
        let size = Size::new(pixels.width(), pixels.height());
        Self { size, pixels }
    }
}

/// One model.
pub trait Detector: Send + Sync {
    /// The faces in what is `shown` as `view` of a picture, of at least `least_score`, in pixels of the picture's full size; in
    /// no order, several boxes a face possible.
    fn see(&self, shown: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError>;

    /// As [`see`](Self::see), in `view` of `photo`.
    fn detect(&self, photo: Photo, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        self.see(&*view.shown(photo)?, view, least_score)
    }
}

#[derive(Debug, Error)]
pub enum DetectError {
    #[error("model {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("model \"{model}\": {source}")]
    Model { model: &'static str, source: anyhow::Error },
    #[error("picture of {width}x{height} pixels cannot be resized: {reason}")]
    Resize { width: u32, height: u32, reason: String },
    #[error("detection was cancelled")]
    Cancelled,
}
