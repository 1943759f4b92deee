//! Which model looks at which part of a picture, how large, and what is believed: the policy of detection.

use std::{borrow::Cow, fs, path::Path};

use image::RgbImage;

use super::{
    Detail, DetectError, Detector, Face, Sensitivity,
    centerface::CenterFace,
    full_range::FullRange,
    view::{Turn, View},
};
use crate::geometry::{Rect, Size, without_doubles};

/// All models, ready to look at pictures from any number of threads.
pub struct Detectors {
    full_range: FullRange,
    centerface: CenterFace,
}

/// One step: a model, what it is shown, and from which score on it is believed.
struct Pass<'a> {
    detector: &'a dyn Detector,
    view: View,
    least_score: f32,
}

impl Detectors {
    /// Reads the models from `model_dir`, or those embedded in the program.
    pub fn load(model_dir: Option<&Path>) -> Result<Self, DetectError> {
        let full_range = FullRange::load(&model(model_dir, FullRange::FILE, FullRange::EMBEDDED)?)?;
        let centerface = CenterFace::load(&model(model_dir, CenterFace::FILE, CenterFace::EMBEDDED)?)?;
        Ok(Self { full_range, centerface })
    }

    /// Gets ready for pictures of the usual shapes, so that the first of them need not wait.
    pub fn warm(&self, detail: Detail) -> Result<(), DetectError> {
        if detail == Detail::Fast {
            return self.full_range.warm();
        }
        for usual in [Size::new(4000, 3000), Size::new(3000, 4000), Size::new(1920, 1080)] {
            self.centerface.warm(usual.scaled_to(self.long_side(detail, usual)))?;
        }
        Ok(())
    }

    /// Long side in pixels of the upright `picture` that `detail` will look at: more resolution is of no use to it.
    pub fn long_side(&self, detail: Detail, picture: Size) -> u32 {
        let finest = self
            .passes(detail, Sensitivity::Normal, picture)
            .into_iter()
            .map(|pass| {
                let part = pass.view.part.width.max(pass.view.part.height);
                (pass.view.long_side as f32 * picture.long_side() as f32 / part).ceil() as u32
            });
        finest.max().unwrap_or(picture.long_side())
    }

    /// The faces in `picture`, upright RGB, in its pixels, clamped to it; best first, no face twice. `go_on` is asked
    /// before each pass; once it says false, the answer is [`DetectError::Cancelled`].
    pub fn detect(
        &self,
        picture: &RgbImage,
        detail: Detail,
        sensitivity: Sensitivity,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Face>, DetectError> {
        let size = Size::new(picture.width(), picture.height());
        let mut faces = Vec::new();
        for Pass {
            detector,
            view,
            least_score,
        } in self.passes(detail, sensitivity, size)
        {
            if !go_on() {
                return Err(DetectError::Cancelled);
            }
            faces.extend(detector.detect(picture, &view, least_score)?);
        }
        Ok(one_each(faces, size))
    }

    fn passes(&self, detail: Detail, sensitivity: Sensitivity, picture: Size) -> Vec<Pass<'_>> {
        let parts = parts(picture);
        let near = |long_side| {
            let least_score = FULL_RANGE_LEAST_SCORE[sensitivity as usize];
            parts.iter().map(move |part| Pass {
                detector: &self.full_range,
                view: View::upright(*part, long_side),
                least_score,
            })
        };
        let far = |long_side| {
            let least_score = CENTERFACE_LEAST_SCORE[sensitivity as usize];
            parts.iter().map(move |part| Pass {
                detector: &self.centerface,
                view: View::upright(*part, long_side),
                least_score,
            })
        };
        match detail {
            Detail::Fast => near(FullRange::LONG_SIDE).collect(),
            Detail::Thorough => far(picture.long_side().clamp(320, 960)).collect(),
            Detail::Max => {
                let whole = far(1280);
                let turned = [Turn::Quarter, Turn::ThreeQuarters].into_iter().flat_map(|turn| {
                    far(640).map(move |pass| Pass {
                        view: pass.view.turned(turn),
                        ..pass
                    })
                });
                whole.chain(turned).collect()
            }
        }
    }
}

fn model(dir: Option<&Path>, file: &str, embedded: &'static [u8]) -> Result<Cow<'static, [u8]>, DetectError> {
    let Some(dir) = dir else {
        return Ok(Cow::Borrowed(embedded));
    };
    let path = dir.join(file);
    fs::read(&path)
        .map(Cow::Owned)
        .map_err(|source| DetectError::Read { path, source })
}

/// The whole picture, or, where it is a strip, overlapping parts of it: shrunk as a whole it would lose its faces.
fn parts(picture: Size) -> Vec<Rect> {
    let (long, short) = (picture.long_side() as f32, picture.short_side() as f32);
    let longest = (short * MOST_ELONGATED).ceil();
    if long <= longest {
        return vec![Rect::of(picture)];
    }
    let count = ((long - short) / (longest - short)).ceil().clamp(2.0, MOST_PARTS);
    let length = longest.max(long / count).ceil();
    let step = (long - length) / (count - 1.0);
    (0..count as u32)
        .map(|index| {
            let start = (step * index as f32).floor();
            if picture.width >= picture.height {
                Rect::new(start, 0.0, length, short)
            } else {
                Rect::new(0.0, start, short, length)
            }
        })
        .collect()
}

pub(super) fn one_each(mut faces: Vec<Face>, picture: Size) -> Vec<Face> {
    faces.retain(|face| face.score.is_finite());
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let inside = faces.into_iter().filter_map(|face| {
        Some(Face {
            rect: face.rect.clamped(picture)?,
            ..face
        })
    });
    without_doubles(inside, |face| face.rect, |better, rect| better.iou(rect) > MOST_OVERLAP)
}

/// By sensitivity: low, normal, high.
const FULL_RANGE_LEAST_SCORE: [f32; 3] = [0.7, 0.5, 0.3];
const CENTERFACE_LEAST_SCORE: [f32; 3] = [0.5, 0.3, 0.2];
/// Two boxes of one model on one face overlap more than this, neighbours in a crowd less.
const MOST_OVERLAP: f32 = 0.4;
/// A picture longer than this many times its short side is looked at in parts.
const MOST_ELONGATED: f32 = 2.5;
/// Beyond this many parts each gets longer instead.
const MOST_PARTS: f32 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_picture_is_one_part() {
        assert_eq!(parts(Size::new(1920, 1080)), [Rect::of(Size::new(1920, 1080))]);
    }

    #[test]
    fn the_parts_of_a_strip_cover_it_and_overlap_by_its_short_side() {
        for size in [Size::new(8000, 1000), Size::new(1000, 8000), Size::new(2600, 1000)] {
            let parts = parts(size);
            assert_eq!(parts.iter().copied().reduce(Rect::merged), Some(Rect::of(size)));
            for pair in parts.windows(2) {
                let common = pair[0].intersection(pair[1]).map_or(0.0, Rect::area);
                assert!(common >= 1000.0 * 999.0, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_hair_is_few_parts_all_inside() {
        let hair = Size::new(65_535, 1);
        let parts = parts(hair);
        assert!(parts.len() <= 8);
        assert!(parts.iter().all(|part| part.right() <= 65_535.0 && part.width >= 1.0));
    }
}
