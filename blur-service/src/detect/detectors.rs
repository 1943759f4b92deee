//! The models together: each look of a detail taken, and what was seen put together.

use std::{borrow::Cow, cell::LazyCell, fs, path::Path, sync::Arc};

use image::RgbImage;

use super::{
    Detail, DetectError, Detector, Face, Photo, Sensitivity,
    centerface::CenterFace,
    full_range::FullRange,
    halftone::shows_dots,
    look::{Look, Network},
    nested::{Seen, Sighting, one_each},
    pose::Pose,
    rough::is_rough,
    sheet::Sheet,
    view::View,
    yunet::YuNet,
};
use crate::{
    cores::Cores,
    geometry::{Rect, Size},
};

/// All models, ready to look at pictures from any number of threads.
pub struct Detectors {
    full_range: FullRange,
    centerface: CenterFace,
    yunet: YuNet,
    cores: Arc<Cores>,
}

impl Detectors {
    /// Reads the models from `model_dir`, or those embedded in the program.
    pub fn load(model_dir: Option<&Path>) -> Result<Self, DetectError> {
        let full_range = FullRange::load(&model(model_dir, FullRange::FILE, FullRange::EMBEDDED)?)?;
        let centerface = CenterFace::load(&model(model_dir, CenterFace::FILE, CenterFace::EMBEDDED)?)?;
        let yunet = YuNet::load(&model(model_dir, YuNet::FILE, YuNet::EMBEDDED)?)?;
        Ok(Self {
            full_range,
            centerface,
            yunet,
            cores: Arc::new(Cores::new(0)),
        })
    }

    /// As many looks at one picture as there are idle ones of `cores` are taken side by side.
    pub fn sharing(self, cores: Arc<Cores>) -> Self {
        Self { cores, ..self }
    }

    /// Goes once through every network that `detail` or a second look uses, so that a broken one is found before the first
    /// picture.
    pub fn warm(&self, detail: Detail) -> Result<(), DetectError> {
        let pixels = RgbImage::new(64, 64);
        let photo = Photo::whole(&pixels);
        self.detect_near(photo, &[Rect::of(photo.size)], Sensitivity::Normal, &|| true)?;
        self.detect(photo, detail, Sensitivity::Normal, &|| true).map(drop)
    }

    /// Long side in pixels of the upright `picture` that `detail` will look at: more resolution is of no use to it.
    pub fn long_side(&self, detail: Detail, picture: Size) -> u32 {
        let looks = Look::all(detail, picture);
        let enough = looks.iter().map(|look| look.enough_px(picture));
        enough.max().unwrap_or(picture.long_side())
    }

    /// The faces in `photo`, in pixels of its full size, clamped to it; best first, no face twice. `go_on` is asked
    /// before each look; once it says false, the answer is [`DetectError::Cancelled`].
    pub fn detect(
        &self,
        photo: Photo,
        detail: Detail,
        sensitivity: Sensitivity,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Face>, DetectError> {
        Ok(self.look(photo, detail, go_on)?.faces(sensitivity))
    }

    /// As [`detect`](Self::detect), for any sensitivity. A rough picture is looked at as soft as it looks from afar, too:
    /// networks know few faces that are drawn with dots.
    pub fn look(&self, photo: Photo, detail: Detail, go_on: &dyn Fn() -> bool) -> Result<Seen, DetectError> {
        let mut seen = self.all(photo, detail, go_on)?;
        if is_rough(photo.pixels) {
            let pixels = &Pose::Descreened.of(Cow::Borrowed(photo.pixels));
            seen.extend(self.all(Photo { pixels, ..photo }, detail, go_on)?);
        }
        let sightings = seen.into_iter().flat_map(|(look, faces)| {
            faces.into_iter().filter_map(move |face| {
                Some(Sighting {
                    face,
                    detail: look.detail,
                    sensitivity: look.believed_at(&face)?,
                })
            })
        });
        Ok(Seen {
            detail,
            sightings: sightings.collect(),
        })
    }

    /// All looks of a detail, with the faces that each believes in.
    fn all(
        &self,
        photo: Photo,
        detail: Detail,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<(Look, Vec<Face>)>, DetectError> {
        let mut seen = self.take(photo, Look::all(detail, photo.size), go_on)?;
        let further = Look::further(detail, photo.size, &seen);
        seen.extend(self.take(photo, further, go_on)?);
        Ok(seen)
    }

    fn take(
        &self,
        photo: Photo,
        looks: Vec<Look>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<(Look, Vec<Face>)>, DetectError> {
        let groups = Look::grouped(looks);
        let seen = self.cores.each(&groups, go_on, |looks| self.together(photo, looks));
        let seen: Result<Vec<_>, _> = seen.ok_or(DetectError::Cancelled)?.into_iter().collect();
        Ok(seen?.concat())
    }

    /// Looks that are made of what the first of them shows.
    fn together(&self, photo: Photo, looks: &[Look]) -> Result<Vec<(Look, Vec<Face>)>, DetectError> {
        let Some(first) = looks.first() else {
            return Ok(Vec::new());
        };
        let upright = first.view.resized(photo)?;
        let part = Photo {
            size: first.view.part_size(),
            pixels: &upright,
        };
        let in_dots = LazyCell::new(|| shows_dots(&upright));
        let mut seen: Vec<(Look, Vec<Face>)> = Vec::with_capacity(looks.len());
        for look in looks.iter().filter(|look| !look.is_for_dots() || *in_dots) {
            let faces = match seen.iter().find(|(known, _)| known.is_at_the_same_as(look)) {
                Some((_, faces)) => faces.clone(),
                None => {
                    let same = looks.iter().filter(|other| other.is_at_the_same_as(look));
                    let least_score = same.map(Look::least_score).fold(1.0, f32::min);
                    let shown = look.view.of_part().shown(part)?;
                    self.network(look.network).see(&shown, &look.view, least_score)?
                }
            };
            seen.push((*look, faces));
        }
        let believed = seen
            .into_iter()
            .map(|(look, faces)| (look, look.believed(faces, photo.size)));
        Ok(believed.collect())
    }

    /// The faces in `parts` of `photo` and about them, all in pixels of its full size, clamped to it; best first, no face
    /// twice. All parts share a few looks of the full-range network, so that this costs little beside
    /// [`detect`](Self::detect).
    pub fn detect_near(
        &self,
        photo: Photo,
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
            let sheet = Sheet::of(photo, parts, side)?;
            let least_score = NEAR_LEAST_SCORE[sensitivity as usize];
            let found = self
                .full_range
                .detect(Photo::whole(&sheet.pixels), &whole, least_score)?;
            faces.extend(found.into_iter().filter_map(|face| sheet.to_picture(face)));
        }
        Ok(one_each(faces, photo.size))
    }

    fn network(&self, network: Network) -> &dyn Detector {
        match network {
            Network::CenterFace => &self.centerface,
            Network::YuNet => &self.yunet,
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

/// By sensitivity: low, normal, high. Hair around a hidden face looks like one now and then, at scores up to 0.56 as a rule.
const NEAR_LEAST_SCORE: [f32; 3] = [0.7, 0.6, 0.4];
/// A part is looked at with as much again about it: a network knows faces by their hair and shoulders too.
const CONTEXT: f32 = 2.0;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::ValueEnum;
    use image::imageops;

    use super::*;
    use crate::detect::halftone::testing::printed;

    #[test]
    fn looks_side_by_side_see_what_looks_one_after_the_other_see() {
        let portrait = portrait();
        let photo = Photo::whole(&portrait);
        let alone = Detectors::load(None).unwrap();
        let several = Detectors::load(None).unwrap().sharing(Arc::new(Cores::new(3)));
        for detail in Detail::value_variants() {
            for sensitivity in Sensitivity::value_variants() {
                let [one, other] =
                    [&alone, &several].map(|models| models.detect(photo, *detail, *sensitivity, &|| true).unwrap());
                assert_eq!(one, other);
            }
        }
    }

    #[test]
    fn stops_when_told_to() {
        let detectors = Detectors::load(None).unwrap();
        let stopped = detectors.detect(
            Photo::whole(&RgbImage::new(64, 64)),
            Detail::Fast,
            Sensitivity::Normal,
            &|| false,
        );
        assert!(matches!(stopped, Err(DetectError::Cancelled)));
    }

    #[test]
    fn no_detail_wants_more_resolution_than_there_is_where_there_is_enough() {
        let detectors = Detectors::load(None).unwrap();
        let enough = |detail, width, height| detectors.long_side(detail, Size::new(width, height));
        assert_eq!(enough(Detail::Fast, 4000, 3000), 960);
        assert_eq!(enough(Detail::Thorough, 4000, 3000), 1920);
        assert_eq!(enough(Detail::Fast, 640, 480), 640);
        assert_eq!(enough(Detail::Thorough, 1000, 720), 1500);
        assert!((3264..3270).contains(&enough(Detail::Thorough, 8160, 6120)));
        assert!((2400..2410).contains(&enough(Detail::Max, 4000, 3000)));
        assert!((1500..1600).contains(&enough(Detail::Fast, 4000, 1000)));
    }

    #[test]
    fn every_detail_finds_the_portrait_and_nothing_else() {
        let detectors = Detectors::load(None).unwrap();
        let portrait = portrait();
        for detail in [Detail::Fast, Detail::Thorough, Detail::Max] {
            let faces = detectors
                .detect(Photo::whole(&portrait), detail, Sensitivity::Normal, &|| true)
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
    fn a_stronger_setting_hides_all_that_a_weaker_one_hides_in_spoilt_pictures_too() {
        let detectors = Detectors::load(None).unwrap();
        for (form, picture) in spoilt(&portrait()) {
            let seen = [Detail::Fast, Detail::Thorough, Detail::Max]
                .map(|detail| detectors.look(Photo::whole(&picture), detail, &|| true).unwrap());
            let sensitivities = Sensitivity::value_variants();
            for (stronger, weaker) in (0..3).flat_map(|stronger| (0..=stronger).map(move |weaker| (stronger, weaker))) {
                for sensitivity in sensitivities {
                    let strong = seen[stronger].faces(*sensitivity);
                    for less in sensitivities.iter().filter(|less| *less <= sensitivity) {
                        for face in seen[weaker].faces(*less) {
                            assert!(
                                strong.iter().any(|other| other.rect.covers(face.rect) > 0.999),
                                "{form}: {face:?} of {weaker} {less} is not in {strong:?} of {stronger} {sensitivity}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_detail_finds_a_face_that_fills_the_picture() {
        let detectors = Detectors::load(None).unwrap();
        let portrait = portrait();
        for (crop, long_side) in [(150, 400), (130, 1600), (105, 400), (150, 4000)] {
            // About the middle of the face, which is 125 pixels high.
            let (left, top) = (222 - crop * 2 / 5, 127 - crop / 2);
            let near = imageops::crop_imm(&portrait, left, top, crop * 4 / 5, crop).to_image();
            let near = imageops::resize(&near, long_side * 4 / 5, long_side, imageops::FilterType::Triangle);
            let details: &[Detail] = if long_side == 400 {
                Detail::value_variants()
            } else {
                &[Detail::Fast]
            };
            for detail in details {
                let faces = detectors
                    .detect(Photo::whole(&near), *detail, Sensitivity::Normal, &|| true)
                    .unwrap();
                let whole = Rect::of(Size::new(near.width(), near.height()));
                assert!(
                    faces.iter().any(|face| face.rect.iou(whole) > 0.5),
                    "{detail} {crop} {long_side}: {faces:?}"
                );
            }
        }
    }

    #[test]
    fn a_face_far_away_in_a_strip_is_found() {
        let detectors = Detectors::load(None).unwrap();
        let portrait = portrait();
        let mut strip = RgbImage::from_pixel(4000, 512, image::Rgb([120; 3]));
        imageops::replace(&mut strip, &portrait, 3000, 0);
        for detail in [Detail::Fast, Detail::Thorough] {
            let faces = detectors
                .detect(Photo::whole(&strip), detail, Sensitivity::Normal, &|| true)
                .unwrap();
            assert_eq!(faces.len(), 1, "{detail}: {faces:?}");
        }
    }

    #[test]
    fn a_face_lying_on_its_side_or_upside_down_is_found() {
        let detectors = Detectors::load(None).unwrap();
        let upright = portrait();
        for (turned, expected) in [
            (imageops::rotate90(&upright), Rect::new(322.0, 175.0, 125.0, 95.0)),
            (imageops::rotate180(&upright), Rect::new(242.0, 322.0, 95.0, 125.0)),
            (imageops::rotate270(&upright), Rect::new(65.0, 242.0, 125.0, 95.0)),
        ] {
            let faces = detectors
                .detect(Photo::whole(&turned), Detail::Thorough, Sensitivity::Normal, &|| true)
                .unwrap();
            assert!(faces.iter().any(|face| face.rect.iou(expected) > 0.4), "{faces:?}");
        }
    }

    #[test]
    fn small_faces_are_found_the_way_that_a_larger_one_lies() {
        let detectors = Detectors::load(None).unwrap();
        let mut picture = RgbImage::from_pixel(1600, 1200, image::Rgb([110; 3]));
        imageops::replace(&mut picture, &imageops::rotate180(&portrait()), 0, 0);
        let small = imageops::resize(&portrait(), 123, 123, imageops::FilterType::Triangle);
        let expected = [700, 950, 1200, 1450].map(|left| {
            imageops::replace(&mut picture, &imageops::rotate180(&small), left, 900);
            // As large as the portrait's face on a scale of 0.24, from the other corner.
            Rect::new(left as f32 + 58.0, 900.0 + 77.0, 23.0, 30.0)
        });
        finds_all(&detectors, &picture, &expected);
    }

    #[test]
    fn small_faces_of_a_negative_are_found() {
        let detectors = Detectors::load(None).unwrap();
        let mut picture = RgbImage::from_pixel(1600, 1200, image::Rgb([110; 3]));
        let near = imageops::resize(&portrait(), 256, 256, imageops::FilterType::Triangle);
        imageops::replace(&mut picture, &near, 0, 0);
        let small = imageops::resize(&portrait(), 123, 123, imageops::FilterType::Triangle);
        let expected = [400, 700, 1000, 1300].map(|left| {
            imageops::replace(&mut picture, &small, left, 900);
            Rect::new(left as f32 + 42.0, 915.0, 23.0, 30.0)
        });
        picture.iter_mut().for_each(|sample| *sample = 255 - *sample);
        finds_all(&detectors, &picture, &expected);
    }

    #[test]
    fn a_sheet_of_abutting_small_faces_is_found() {
        let detectors = Detectors::load(None).unwrap();
        let head = imageops::crop_imm(&portrait(), 160, 65, 125, 125).to_image();
        let head = imageops::resize(&head, 34, 34, imageops::FilterType::Triangle);
        let sheet = RgbImage::from_fn(680, 510, |x, y| *head.get_pixel(x % 34, y % 34));
        let faces = detectors
            .detect(Photo::whole(&sheet), Detail::Thorough, Sensitivity::Normal, &|| true)
            .unwrap();
        assert!(faces.len() > 285, "{} of 300", faces.len());
    }

    #[test]
    fn faces_near_given_parts_are_found_in_one_sheet() {
        let detectors = Detectors::load(None).unwrap();
        let mut wide = RgbImage::from_pixel(4000, 512, image::Rgb([120; 3]));
        let expected = [200, 1800, 3300].map(|left| {
            imageops::replace(&mut wide, &portrait(), left, 0);
            Rect::new(175.0 + left as f32, 65.0, 95.0, 125.0)
        });
        let nowhere = Rect::new(1000.0, 100.0, 100.0, 100.0);
        let parts = [&expected[..], &[nowhere]].concat();
        let faces = detectors
            .detect_near(Photo::whole(&wide), &parts, Sensitivity::Normal, &|| true)
            .unwrap();
        assert_eq!(faces.len(), 3, "{faces:?}");
        for rect in expected {
            assert!(faces.iter().any(|face| face.rect.iou(rect) > 0.4), "{faces:?}");
        }
    }

    fn finds_all(detectors: &Detectors, picture: &RgbImage, expected: &[Rect]) {
        let faces = detectors
            .detect(Photo::whole(picture), Detail::Thorough, Sensitivity::Normal, &|| true)
            .unwrap();
        for rect in expected {
            assert!(
                faces.iter().any(|face| face.rect.iou(*rect) > 0.4),
                "{rect:?}: {faces:?}"
            );
        }
    }

    /// The portrait in forms that are hard to see a face in.
    fn spoilt(portrait: &RgbImage) -> [(&'static str, RgbImage); 10] {
        let level = |change: fn(u8) -> u8| {
            let mut picture = portrait.clone();
            picture.iter_mut().for_each(|sample| *sample = change(*sample));
            picture
        };
        [
            ("as it is", portrait.clone()),
            ("on its side", imageops::rotate90(portrait)),
            ("upside down", imageops::rotate180(portrait)),
            ("dark", level(|sample| sample / 10)),
            ("in dots", printed(portrait, 8.0, 45.0)),
            ("as a negative", level(|sample| 255 - sample)),
            ("in four tones", level(|sample| sample / 64 * 64)),
            ("out of focus", imageops::fast_blur(portrait, 12.0)),
            ("cut in half", imageops::crop_imm(portrait, 222, 0, 290, 512).to_image()),
            (
                "far",
                imageops::resize(portrait, 80, 80, imageops::FilterType::Triangle),
            ),
        ]
    }

    fn portrait() -> RgbImage {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png");
        image::open(path).unwrap().into_rgb8()
    }
}
