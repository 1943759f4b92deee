//! MediaPipe's full-range face detector: quick, and right for faces larger than about a sixteenth of what it is shown.
//!
//! Input `[H, W, 3]`, RGB, `x / 127.5 - 1`, sides multiples of 32. Outputs, for each cell of 4 × 4 pixels: a box
//! `[H/4, W/4, 16]` (centre relative to the cell's, size, six points; input pixels) and a score `[H/4, W/4, 1]` (logit).
//! Source: npm `@mediapipe/face_detection`, `face_detection_full_range.tflite`.

use fearless_simd::Level;
use image::RgbImage;

use super::{
    DetectError, Detector, Face, View,
    net::{Colours, Net, logit, probability},
};
use crate::geometry::Rect;

pub struct FullRange(Net);

impl FullRange {
    pub const FILE: &str = "full_range_192.onnx";
    pub const EMBEDDED: &[u8] = include_bytes!("../../models/full_range_192.onnx");
    /// The long side it is shown, in pixels: what it was trained for.
    pub const LONG_SIDE: u32 = 192;

    pub fn load(onnx: &[u8]) -> Result<Self, DetectError> {
        Self::load_for(Level::new(), onnx)
    }

    /// With the vectors of `level` rather than the machine's best.
    pub fn load_for(level: Level, onnx: &[u8]) -> Result<Self, DetectError> {
        Net::load(Self::FILE, onnx, COLOURS, &[&["t363"], &["t360"]], level).map(Self)
    }
}

impl Detector for FullRange {
    fn see(&self, shown: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        let outputs = self.0.run(shown)?;
        let (boxes, scores) = (&outputs[0], &outputs[1]);
        let least = logit(least_score);
        let faces = scores
            .cells()
            .filter(|(_, _, score)| score[0] >= least)
            .map(|(row, column, score)| {
                let cell = boxes.cell(row, column);
                let middle = |index: usize| (index as f32 + 0.5) * STRIDE;
                let shown = Rect::centred(middle(column) + cell[0], middle(row) + cell[1], cell[2], cell[3]);
                Face {
                    rect: view.to_picture(shown),
                    score: probability(score[0]),
                }
            });
        Ok(faces.collect())
    }
}

const STRIDE: f32 = 4.0;
const COLOURS: Colours = Colours {
    order: [0, 1, 2],
    scale: 1.0 / 127.5,
    shift: -1.0,
};
