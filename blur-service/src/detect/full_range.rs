//! MediaPipe's full-range face detector: quick, and right for faces larger than about a sixteenth of what it is shown.
//!
//! Input `[1, 3, 192, 192] f32`, RGB, `x / 127.5 - 1`. Outputs, a row for each cell of a 48 × 48 grid: boxes
//! `[1, 2304, 16]` (centre relative to the cell's, size, six points; input pixels) and scores `[1, 2304, 1]` (logits).
//! Source: npm `@mediapipe/face_detection`, `face_detection_full_range.tflite`.

use image::RgbImage;

use super::{
    DetectError, Detector, Face, View,
    net::{Net, planes},
};
use crate::geometry::{Rect, Size};

pub struct FullRange(Net);

impl FullRange {
    pub const FILE: &str = "full_range_192.onnx";
    pub const EMBEDDED: &[u8] = include_bytes!("../../models/full_range_192.onnx");
    /// The long side it is shown, in pixels.
    pub const LONG_SIDE: u32 = 192;

    pub fn load(onnx: &[u8]) -> Result<Self, DetectError> {
        Net::load(Self::FILE, onnx, &["boxes", "scores"]).map(Self)
    }

    pub fn warm(&self) -> Result<(), DetectError> {
        self.0.warm(CANVAS)
    }
}

impl Detector for FullRange {
    fn detect(&self, picture: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        let input = planes(&view.shown(picture)?, CANVAS, 1.0 / 127.5, -1.0);
        let outputs = self.0.run(input)?;
        let failed = |source| self.0.failed(source);
        let boxes = outputs[0].to_plain_array_view::<f32>().map_err(failed)?;
        let scores = outputs[1].to_plain_array_view::<f32>().map_err(failed)?;
        let faces = boxes
            .rows()
            .into_iter()
            .zip(scores)
            .enumerate()
            .filter_map(|(cell, (row, logit))| {
                let score = sigmoid(*logit);
                (score >= least_score).then(|| Face {
                    rect: view.to_picture(decoded(cell, row[0], row[1], row[2], row[3])),
                    score,
                })
            });
        Ok(faces.collect())
    }
}

fn decoded(cell: usize, x: f32, y: f32, width: f32, height: f32) -> Rect {
    let middle = |index: usize| (index as f32 + 0.5) * STRIDE;
    Rect::centred(middle(cell % COLUMNS) + x, middle(cell / COLUMNS) + y, width, height)
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit.clamp(-100.0, 100.0)).exp())
}

const CANVAS: Size = Size {
    width: FullRange::LONG_SIDE,
    height: FullRange::LONG_SIDE,
};
const STRIDE: f32 = 4.0;
const COLUMNS: usize = 48;
