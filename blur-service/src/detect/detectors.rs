//! Which model looks at which part of a picture, how large, and what is believed: the policy of detection.

use std::{borrow::Cow, fs, path::Path};

use image::RgbImage;

use super::{
    Detail, DetectError, Detector, Face, Sensitivity,
    centerface::CenterFace,
    full_range::FullRange,
    sheet::Sheet,
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

    /// Goes through every network `detail` uses once, so that a broken one is found before the first picture.
    pub fn warm(&self, detail: Detail) -> Result<(), DetectError> {
        self.detect(&RgbImage::new(64, 64), detail, Sensitivity::Normal, &|| true)
            .map(drop)
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

    /// The faces in `parts` of `picture` and about them, in its pixels, clamped to it; best first, no face twice. All
    /// parts share a few passes of the full-range network, so that this costs little beside [`detect`](Self::detect).
    pub fn detect_near(
        &self,
        picture: &RgbImage,
        parts: &[Rect],
        sensitivity: Sensitivity,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Face>, DetectError> {
        let side = FullRange::LONG_SIDE;
        let whole = View::upright(Rect::of(Size::new(side, side)), side);
        let parts: Vec<Rect> = parts.iter().map(|part| part.padded(CONTEXT)).collect();
        let mut faces = Vec::new();
        for parts in parts.chunks(Sheet::MOST_PARTS) {
            if !go_on() {
                return Err(DetectError::Cancelled);
            }
            let sheet = Sheet::of(picture, parts, side)?;
            let least_score = NEAR_LEAST_SCORE[sensitivity as usize];
            let found = self.full_range.detect(&sheet.pixels, &whole, least_score)?;
            faces.extend(found.into_iter().filter_map(|face| sheet.to_picture(face)));
        }
        Ok(one_each(faces, Size::new(picture.width(), picture.height())))
    }

    fn passes(&self, detail: Detail, sensitivity: Sensitivity, picture: Size) -> Vec<Pass<'_>> {
        let parts = parts(picture);
        let near = |part: &Rect| Pass {
            detector: &self.full_range,
            view: View::upright(*part, FullRange::LONG_SIDE),
            least_score: FULL_RANGE_LEAST_SCORE[sensitivity as usize],
        };
        let far = |part: &Rect, long_side: u32| Pass {
            detector: &self.centerface,
            view: View::upright(*part, long_side),
            least_score: CENTERFACE_LEAST_SCORE[sensitivity as usize],
        };
        let turned = |part: &Rect, turn: Turn| {
            let upright = far(part, TURNED_LONG_SIDE);
            Pass {
                view: upright.view.turned(turn),
                least_score: TURNED_LEAST_SCORE[sensitivity as usize],
                ..upright
            }
        };
        match detail {
            Detail::Fast => parts.iter().map(near).collect(),
            Detail::Thorough => {
                let whole = parts.iter().map(|part| far(part, thorough_long_side(part)));
                // Shown larger than usual, a face that fills the picture outgrows CenterFace.
                let large = parts.iter().filter(|part| thorough_long_side(part) > THOROUGH.1);
                whole.chain(large.map(near)).collect()
            }
            Detail::Max => {
                let whole = parts.iter().map(|part| far(part, long_side(part, MAX)));
                let tiles = parts.iter().flat_map(tiles);
                let tiles = tiles.map(|tile| far(&tile, long_side(&tile, MAX)));
                let turns = [Turn::Quarter, Turn::ThreeQuarters].into_iter();
                let turned = turns.flat_map(|turn| parts.iter().map(move |part| turned(part, turn)));
                whole.chain(tiles).chain(turned).collect()
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

/// A part's own resolution, as far as it is within `range`.
fn long_side(part: &Rect, (least, most): (u32, u32)) -> u32 {
    (part.width.max(part.height) as u32).clamp(least, most)
}

/// Within [`THOROUGH`]; of a large photograph a fixed share, so that the people at its back stay large enough to be seen.
fn thorough_long_side(part: &Rect) -> u32 {
    let (least, most) = THOROUGH;
    let share = (part.width.max(part.height) * THOROUGH_SHARE) as u32;
    long_side(part, (least, share.clamp(most, MOST_THOROUGH)))
}

/// Four overlapping quarters of a part that one pass cannot see in full.
fn tiles(part: &Rect) -> Vec<Rect> {
    if part.width.max(part.height) <= MAX.1 as f32 * WORTH_TILES {
        return Vec::new();
    }
    let (width, height) = ((part.width * TILE_SHARE).ceil(), (part.height * TILE_SHARE).ceil());
    let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
    let at = |(right, down): (f32, f32)| {
        (
            part.x + right * (part.width - width),
            part.y + down * (part.height - height),
        )
    };
    corners.map(at).map(|(x, y)| Rect::new(x, y, width, height)).to_vec()
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
    without_doubles(
        inside,
        |face| face.rect,
        |better, rect| better.iou(rect) > MOST_OVERLAP || better.covers(rect) > MOST_COVERED,
    )
}

// What each score costs was measured with tests/eval/run; its table is in tests/eval/README.md. By sensitivity: low, normal, high.
const FULL_RANGE_LEAST_SCORE: [f32; 3] = [0.6, 0.5, 0.3];
const CENTERFACE_LEAST_SCORE: [f32; 3] = [0.5, 0.3, 0.2];
/// Hair around a hidden face looks like one now and then, at scores up to 0.56 as a rule.
const NEAR_LEAST_SCORE: [f32; 3] = [0.7, 0.6, 0.4];
/// Most pictures are upright, where a turned view has only false positives to add.
const TURNED_LEAST_SCORE: [f32; 3] = [0.7, 0.5, 0.4];

/// Least and most of a view's long side, in pixels: CenterFace sees faces down to about twelve pixels of it.
const THOROUGH: (u32, u32) = (480, 960);
const THOROUGH_SHARE: f32 = 0.4;
const MOST_THOROUGH: u32 = 1600;
const MAX: (u32, u32) = (960, 1280);
const TURNED_LONG_SIDE: u32 = 640;
/// A part this many times larger than one pass sees is also looked at in tiles.
const WORTH_TILES: f32 = 1.25;
/// A tile's sides, of the part's: two overlap by a tenth.
const TILE_SHARE: f32 = 0.55;

/// A part is looked at with as much again about it: a network knows faces by their hair and shoulders too.
const CONTEXT: f32 = 2.0;

/// Two boxes on one face overlap more than this (intersection over union), neighbours in a crowd less.
const MOST_OVERLAP: f32 = 0.4;
/// A box that a better one covers this far is hidden with it: a face cut by a tile's edge, or found at two scales.
const MOST_COVERED: f32 = 0.85;
/// A picture longer than this many times its short side is looked at in parts.
const MOST_ELONGATED: f32 = 2.5;
/// Beyond this many parts each gets longer instead.
const MOST_PARTS: f32 = 8.0;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_large_part_and_stay_inside() {
        let part = Rect::new(100.0, 0.0, 4001.0, 2999.0);
        let tiles = tiles(&part);
        assert_eq!(tiles.iter().copied().reduce(Rect::merged), Some(part));
        assert!(tiles.iter().all(|tile| tile.intersection(part) == Some(*tile)));
        assert!(super::tiles(&Rect::new(0.0, 0.0, 1600.0, 1200.0)).is_empty());
    }

    #[test]
    fn a_piece_of_a_face_inside_a_better_box_is_no_second_face() {
        let face = |rect, score| Face { rect, score };
        let whole = face(Rect::new(100.0, 100.0, 100.0, 120.0), 0.9);
        let piece = face(Rect::new(110.0, 100.0, 30.0, 50.0), 0.5);
        let beside = face(Rect::new(190.0, 100.0, 90.0, 100.0), 0.4);
        assert_eq!(
            one_each(vec![beside, piece, whole], Size::new(400, 400)),
            [whole, beside]
        );
    }

    #[test]
    fn stops_when_told_to() {
        let detectors = Detectors::load(None).unwrap();
        let stopped = detectors.detect(&RgbImage::new(64, 64), Detail::Fast, Sensitivity::Normal, &|| false);
        assert!(matches!(stopped, Err(DetectError::Cancelled)));
    }

    #[test]
    fn no_detail_wants_more_resolution_than_there_is_where_there_is_enough() {
        let detectors = Detectors::load(None).unwrap();
        let large = Size::new(4000, 3000);
        assert_eq!(detectors.long_side(Detail::Fast, large), 192);
        assert_eq!(detectors.long_side(Detail::Thorough, large), 1600);
        assert_eq!(detectors.long_side(Detail::Thorough, Size::new(1920, 1080)), 960);
        assert!((2300..2400).contains(&detectors.long_side(Detail::Max, large)));
        assert_eq!(detectors.long_side(Detail::Fast, Size::new(4000, 1000)), 308);
    }

    #[test]
    fn every_detail_finds_the_portrait_and_nothing_else() {
        let detectors = Detectors::load(None).unwrap();
        let portrait = portrait();
        for detail in [Detail::Fast, Detail::Thorough, Detail::Max] {
            let faces = detectors
                .detect(&portrait, detail, Sensitivity::Normal, &|| true)
                .unwrap();
            let [face] = faces[..] else {
                panic!("{detail}: {faces:?}")
            };
            assert!(
                face.rect.iou(Rect::new(175.0, 65.0, 95.0, 125.0)) > 0.4,
                "{detail}: {face:?}"
            );
        }
    }

    #[test]
    fn a_face_far_away_in_a_strip_is_found() {
        let detectors = Detectors::load(None).unwrap();
        let portrait = portrait();
        let mut strip = RgbImage::from_pixel(4000, 512, image::Rgb([120; 3]));
        image::imageops::replace(&mut strip, &portrait, 3000, 0);
        for detail in [Detail::Fast, Detail::Thorough] {
            let faces = detectors.detect(&strip, detail, Sensitivity::Normal, &|| true).unwrap();
            assert_eq!(faces.len(), 1, "{detail}: {faces:?}");
        }
    }

    #[test]
    fn max_finds_a_face_lying_on_its_side() {
        let detectors = Detectors::load(None).unwrap();
        let lying = image::imageops::rotate90(&portrait());
        let faces = detectors
            .detect(&lying, Detail::Max, Sensitivity::Normal, &|| true)
            .unwrap();
        assert!(
            faces
                .iter()
                .any(|face| face.rect.iou(Rect::new(322.0, 175.0, 125.0, 95.0)) > 0.4),
            "{faces:?}"
        );
    }

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

    #[test]
    fn faces_near_given_parts_are_found_in_one_sheet() {
        let detectors = Detectors::load(None).unwrap();
        let mut wide = RgbImage::from_pixel(4000, 512, image::Rgb([120; 3]));
        let expected = [200, 1800, 3300].map(|left| {
            image::imageops::replace(&mut wide, &portrait(), left, 0);
            Rect::new(175.0 + left as f32, 65.0, 95.0, 125.0)
        });
        let nowhere = Rect::new(1000.0, 100.0, 100.0, 100.0);
        let parts = [&expected[..], &[nowhere]].concat();
        let faces = detectors
            .detect_near(&wide, &parts, Sensitivity::Normal, &|| true)
            .unwrap();
        assert_eq!(faces.len(), 3, "{faces:?}");
        for rect in expected {
            assert!(faces.iter().any(|face| face.rect.iou(rect) > 0.4), "{faces:?}");
        }
    }

    fn portrait() -> RgbImage {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png");
        image::open(path).unwrap().into_rgb8()
    }
}
