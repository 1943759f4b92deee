//! Colour profiles: a profile is a file of its own in which anything can be hidden, so none is copied. One of a few
//! well-known spaces is written anew from its definition; pixels in any other are converted to sRGB.

use image::DynamicImage;
use moxcms::{ColorDateTime, ColorProfile, DataColorSpace, Layout, ToneReprCurve, TransformExecutor, TransformOptions};

use crate::error::Error;

/// A wide colour space that a picture keeps. sRGB needs no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    DisplayP3,
    AdobeRgb,
    ProPhoto,
    Bt2020,
}

impl Profile {
    const ALL: [Self; 4] = [Self::DisplayP3, Self::AdobeRgb, Self::ProPhoto, Self::Bt2020];

    /// Settles in which space `pixels` are that came with the profile `icc`: a known one, or sRGB, to which they are
    /// converted if they were in another.
    pub(super) fn settle(pixels: &mut DynamicImage, icc: &[u8]) -> Option<Self> {
        match Space::of(icc) {
            Space::Plain => None,
            Space::Wide(profile) => Some(profile),
            Space::Other(source) => {
                convert_to_srgb(pixels, &source);
                None
            }
        }
    }

    /// The profile as a file, the same bytes for every picture.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn encode(self) -> Result<Vec<u8>, Error> {
        self.definition()
            .encode()
            .map_err(|error| Error::internal(format!("{self:?}: {error:?}")))
    }

    /// Whether a profile found in a written file is one of those made here, byte by byte.
    pub(super) fn is_ours(icc: &[u8]) -> bool {
        Self::ALL
            .into_iter()
            .any(|profile| profile.encode().is_ok_and(|ours| ours == icc))
    }

    fn definition(self) -> ColorProfile {
        let mut profile = match self {
            Self::DisplayP3 => ColorProfile::new_display_p3(),
            Self::AdobeRgb => ColorProfile::new_adobe_rgb(),
            Self::ProPhoto => ColorProfile::new_pro_photo_rgb(),
            Self::Bt2020 => ColorProfile::new_bt2020(),
        };
        profile.creation_date_time = NO_DATE;
        profile
    }
}

/// In which colours a picture is, by its profile.
pub enum Space {
    /// sRGB, grey or inks, which need no profile; also with one that cannot be read, as in browsers.
    Plain,
    Wide(Profile),
    /// Another RGB space, which nobody would know without its profile.
    Other(Box<ColorProfile>),
}

impl Space {
    pub fn of(icc: &[u8]) -> Self {
        let source = ColorProfile::new_from_slice(icc).ok();
        let Some(source) = source.filter(|profile| profile.color_space == DataColorSpace::Rgb) else {
            return Self::Plain;
        };
        if alike(&source, &ColorProfile::new_srgb()) {
            return Self::Plain;
        }
        let known = Profile::ALL
            .into_iter()
            .find(|known| alike(&source, &known.definition()));
        known.map_or_else(|| Self::Other(Box::new(source)), Self::Wide)
    }
}

/// Whether two profiles have the same primaries and tone curves, as far as an eye could tell.
fn alike(a: &ColorProfile, b: &ColorProfile) -> bool {
    let primaries = |profile: &ColorProfile| {
        [profile.red_colorant, profile.green_colorant, profile.blue_colorant].map(|xyz| [xyz.x, xyz.y, xyz.z])
    };
    let near = primaries(a)
        .as_flattened()
        .iter()
        .zip(primaries(b).as_flattened())
        .all(|(a, b)| (a - b).abs() < 0.003);
    near && [
        (&a.red_trc, &b.red_trc),
        (&a.green_trc, &b.green_trc),
        (&a.blue_trc, &b.blue_trc),
    ]
    .into_iter()
    .all(|(a, b)| matches!((a, b), (Some(a), Some(b)) if same_curve(a, b)))
}

fn same_curve(a: &ToneReprCurve, b: &ToneReprCurve) -> bool {
    let (Ok(a), Ok(b)) = (a.make_linear_evaluator(), b.make_linear_evaluator()) else {
        return false;
    };
    [0.1, 0.25, 0.5, 0.75, 0.9]
        .into_iter()
        .all(|level| (a.evaluate_value(level) - b.evaluate_value(level)).abs() < 0.01)
}

fn convert_to_srgb(pixels: &mut DynamicImage, source: &ColorProfile) {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    macro_rules! convert {
        ($pixels:expr, $create:ident, $layout:expr) => {
            if let Ok(transform) = source.$create($layout, &srgb, $layout, options) {
                convert_rows($pixels.as_flat_samples_mut().samples, &*transform);
            }
        };
    }
    match pixels {
        DynamicImage::ImageRgb8(pixels) => convert!(pixels, create_transform_8bit, Layout::Rgb),
        DynamicImage::ImageRgba8(pixels) => convert!(pixels, create_transform_8bit, Layout::Rgba),
        DynamicImage::ImageRgb16(pixels) => convert!(pixels, create_transform_16bit, Layout::Rgb),
        DynamicImage::ImageRgba16(pixels) => convert!(pixels, create_transform_16bit, Layout::Rgba),
        _ => {}
    }
}

/// Converts a stretch at a time, so that no second picture is held.
fn convert_rows<S: Copy + Default>(samples: &mut [S], transform: &(impl TransformExecutor<S> + ?Sized)) {
    for stretch in samples.chunks_mut(STRETCH) {
        let source = stretch.to_vec();
        // Fails only for lengths that are not whole pixels, which these are.
        let _ = transform.transform(&source, stretch);
    }
}

/// Samples converted at a time: whole pixels of three or four.
const STRETCH: usize = 12 * 4096;

/// When a profile was made is nobody's business.
const NO_DATE: ColorDateTime = ColorDateTime {
    year: 2000,
    month: 1,
    day_of_the_month: 1,
    hours: 0,
    minutes: 0,
    seconds: 0,
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_known_space_is_written_anew_without_what_was_in_the_source() {
        let mut source = ColorProfile::new_display_p3();
        source.copyright = source.description.clone();
        let mut pixels = flat();
        let profile = Profile::settle(&mut pixels, &source.encode().unwrap()).unwrap();
        assert_eq!(profile, Profile::DisplayP3);
        assert_eq!(pixels, flat());
        assert!(Profile::is_ours(&profile.encode().unwrap()));
        assert!(!Profile::is_ours(&source.encode().unwrap()));
    }

    #[test]
    fn srgb_needs_no_profile_and_an_unreadable_one_is_none() {
        let mut pixels = flat();
        assert_eq!(
            Profile::settle(&mut pixels, &ColorProfile::new_srgb().encode().unwrap()),
            None
        );
        assert_eq!(Profile::settle(&mut pixels, b"not a profile"), None);
        assert_eq!(pixels, flat());
    }

    #[test]
    fn pixels_in_an_unknown_space_become_srgb() {
        let mut source = ColorProfile::new_srgb();
        std::mem::swap(&mut source.red_colorant, &mut source.blue_colorant);
        let mut pixels = flat();
        assert_eq!(Profile::settle(&mut pixels, &source.encode().unwrap()), None);
        let [red, green, blue] = pixels.as_rgb8().unwrap().get_pixel(0, 0).0;
        assert!(
            red < 60 && green.abs_diff(100) < 5 && blue > 190,
            "{red} {green} {blue}"
        );
    }

    fn flat() -> DynamicImage {
        RgbImage::from_pixel(4, 4, Rgb([200, 100, 50])).into()
    }
}
