//! The same tensors give the same boxes as ONNX Runtime: see tests/eval/golden.py, which writes what is expected.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use serde::Deserialize;

use super::{
    Detector, Photo, View, centerface::CenterFace, full_range::FullRange, kernel::testing::levels, nested::one_each,
    yunet::YuNet,
};
use crate::geometry::{Rect, Size};

#[derive(Deserialize)]
struct Golden {
    model: String,
    canvas: [u32; 2],
    background: [u8; 3],
    pastes: Vec<Paste>,
    least_score: f32,
    /// x, y, width, height, score.
    faces: Vec<[f32; 5]>,
}

/// A crop of the portrait, shrunk by a whole factor, and where it is put.
#[derive(Deserialize)]
struct Paste {
    crop: [u32; 4],
    shrink: u32,
    at: [i64; 2],
}

#[test]
fn boxes_are_onnx_runtimes_within_a_pixel() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let portrait = image::open(tests.join("pictures/astronaut.png")).unwrap().into_rgb8();
    let golden: Vec<Golden> =
        serde_json::from_str(&std::fs::read_to_string(tests.join("eval/golden.json")).unwrap()).unwrap();
    assert!(!golden.is_empty());
    for level in levels() {
        let full_range = FullRange::load_for(level, FullRange::EMBEDDED).unwrap();
        let centerface = CenterFace::load_for(level, CenterFace::EMBEDDED).unwrap();
        let yunet = YuNet::load_for(level, YuNet::EMBEDDED).unwrap();
        for expected in &golden {
            let model: &dyn Detector = match expected.model.as_str() {
                "full_range" => &full_range,
                "centerface" => &centerface,
                "yunet" => &yunet,
                other => panic!("no model {other}"),
            };
            expected.check(model, &portrait);
        }
    }
}

impl Golden {
    fn check(&self, model: &dyn Detector, portrait: &RgbImage) {
        let picture = self.compose(portrait);
        let size = Size::new(picture.width(), picture.height());
        let view = View::upright(Rect::of(size), size.long_side());
        let found = one_each(
            model.detect(Photo::whole(&picture), &view, self.least_score).unwrap(),
            size,
        );
        let name = format!("{} {size:?}", self.model);
        assert_eq!(found.len(), self.faces.len(), "{name}");
        for &[x, y, width, height, score] in &self.faces {
            let rect = Rect::new(x, y, width, height).clamped(size).unwrap();
            let nearest = found
                .iter()
                .max_by(|a, b| a.rect.iou(rect).total_cmp(&b.rect.iou(rect)))
                .unwrap();
            let off = [
                nearest.rect.x - rect.x,
                nearest.rect.y - rect.y,
                nearest.rect.right() - rect.right(),
                nearest.rect.bottom() - rect.bottom(),
            ];
            assert!(
                off.iter().all(|edge| edge.abs() < 1.0),
                "{name}: {nearest:?}, expected {rect:?}"
            );
            assert!(
                (nearest.score - score).abs() < 0.01,
                "{name}: {nearest:?}, expected {score}"
            );
        }
    }

    fn compose(&self, portrait: &RgbImage) -> RgbImage {
        let mut picture = RgbImage::from_pixel(self.canvas[0], self.canvas[1], Rgb(self.background));
        for paste in &self.pastes {
            imageops::replace(&mut picture, &paste.patch(portrait), paste.at[0], paste.at[1]);
        }
        picture
    }
}

impl Paste {
    fn patch(&self, portrait: &RgbImage) -> RgbImage {
        let [left, top, width, height] = self.crop;
        let cell = self.shrink * self.shrink;
        RgbImage::from_fn(width / self.shrink, height / self.shrink, |x, y| {
            let mut sum = [cell / 2; 3];
            for dy in 0..self.shrink {
                for dx in 0..self.shrink {
                    let pixel = portrait.get_pixel(left + x * self.shrink + dx, top + y * self.shrink + dy);
                    sum.iter_mut()
                        .zip(pixel.0)
                        .for_each(|(sum, value)| *sum += u32::from(value));
                }
            }
            Rgb(sum.map(|sum| (sum / cell) as u8))
        })
    }
}
