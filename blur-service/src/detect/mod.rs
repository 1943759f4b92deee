//! Finds faces: pixels in, boxes out. One file per model; `detectors.rs` says which of them looks where.

mod centerface;
mod compile;
mod detectors;
mod full_range;
#[cfg(test)]
mod golden;
mod graph;
mod kernel;
mod layer;
mod net;
mod options;
mod sheet;
mod single;
mod view;
mod yunet;

use std::{io, path::PathBuf};

use image::RgbImage;
use thiserror::Error;

pub use self::{
    detectors::Detectors,
    options::{Detail, Sensitivity, UnknownOption},
    single::single,
    view::View,
};
use crate::geometry::Rect;

/// One face: its box in the pixels of the picture it was found in, and how sure the model is, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    pub rect: Rect,
    pub score: f32,
}

/// One model.
pub trait Detector: Send + Sync {
    /// The faces in `view` of at least `least_score`, in pixels of `picture`; in no order, several boxes a face possible.
    fn detect(&self, picture: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError>;
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
