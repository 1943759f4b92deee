//! YuNet-s: the cheapest network there is for faces of about 10 to 300 pixels of what it is shown, at any input size.
//!
//! Input `[H, W, 3]`, BGR, 0 to 255, sides multiples of 32. Outputs, for each cell of 8, of 16 and of 32 pixels: how
//! likely it is of a face `[…, 1]` and how likely it shows an object at all `[…, 1]` (logits; the score is the root of their
//! product), and the face `[…, 4]`: its centre right of and below the cell's corner, in cells, and the logarithm of its width
//! and height in cells. Source: Wu, Peng & Yu 2023, doi 10.1007/s11633-023-1423-y; weights from OpenCV Zoo.

use fearless_simd::Level;
use image::RgbImage;

use super::{
    DetectError, Detector, Face, View,
    net::{Colours, Grid, Net, logit, probability},
};
use crate::geometry::Rect;

pub struct YuNet(Net);

impl YuNet {
    pub const FILE: &str = "yunet_s.onnx";
    pub const EMBEDDED: &[u8] = include_bytes!("../../models/yunet_s.onnx");

    pub fn load(onnx: &[u8]) -> Result<Self, DetectError> {
        Self::load_for(Level::new(), onnx)
    }

    /// With the vectors of `level` rather than the machine's best.
    pub fn load_for(level: Level, onnx: &[u8]) -> Result<Self, DetectError> {
        Net::load(Self::FILE, onnx, COLOURS, &OUTPUTS, level).map(Self)
    }
}

impl Detector for YuNet {
    fn see(&self, shown: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        let outputs = self.0.run(shown)?;
        let levels = outputs.iter().zip(STRIDES);
        let faces = levels.flat_map(|(level, stride)| faces(level, stride, least_score));
        let to_picture = |face: Face| Face {
            rect: view.to_picture(face.rect),
            ..face
        };
        Ok(faces.map(to_picture).collect())
    }
}

/// What one level of the network finds, in pixels of what it was shown.
fn faces(level: &Grid, stride: f32, least_score: f32) -> impl Iterator<Item = Face> {
    // No product of two probabilities is greater than either; most cells need no exponential.
    let least = logit(least_score * least_score);
    let doubtful = level
        .cells()
        .filter(move |(_, _, cell)| cell[0] >= least && cell[1] >= least);
    doubtful.filter_map(move |(row, column, cell)| {
        let score = (probability(cell[0]) * probability(cell[1])).sqrt();
        let (x, y) = (column as f32 + cell[2], row as f32 + cell[3]);
        let rect = Rect::centred(x * stride, y * stride, cell[4].exp() * stride, cell[5].exp() * stride);
        (score >= least_score).then_some(Face { rect, score })
    })
}

/// Of each level: of a face, of an object, the box. Before the sigmoids and the change of layout.
const OUTPUTS: [&[&str]; 3] = [&["258", "270", "264"], &["260", "272", "266"], &["262", "274", "268"]];
const COLOURS: Colours = Colours {
    order: [2, 1, 0],
    scale: 1.0,
    shift: 0.0,
};
const STRIDES: [f32; 3] = [8.0, 16.0, 32.0];
