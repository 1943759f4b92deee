//! Which colours a picture's samples mean. A profile is a file of its own in which anything can be hidden, so none is
//! copied. One of a few well-known spaces is written anew, always the same bytes; pixels in any other are converted to
//! sRGB. What a viewer takes no notice of is taken no notice of here.

use image::{DynamicImage, RgbImage};
use moxcms::{
    CicpProfile, ColorProfile, DataColorSpace, Layout, ToneReprCurve, TransferCharacteristics, TransformExecutor,
    TransformOptions,
};

use crate::{error::Error, jpeg::Channels};

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

    /// The profile as a file, the same bytes for every picture.
    pub fn file(self) -> &'static [u8] {
        match self {
            Self::DisplayP3 => include_bytes!("profiles/display-p3.icc"),
            Self::AdobeRgb => include_bytes!("profiles/adobe-rgb.icc"),
            Self::ProPhoto => include_bytes!("profiles/prophoto.icc"),
            Self::Bt2020 => include_bytes!("profiles/bt2020.icc"),
        }
    }

    /// Whether a profile found in a written file is one of those made here, byte by byte.
    pub(super) fn is_ours(icc: &[u8]) -> bool {
        Self::of_ours(icc).is_some()
    }

    /// Which of those made here a profile is.
    pub(super) fn of_ours(icc: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.file() == icc)
    }

    /// Converts `pixels` that are in this space to sRGB, for eyes that know no other.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn show(self, pixels: &mut RgbImage) -> Result<(), Error> {
        let transform = self
            .definition()
            .create_transform_8bit(Layout::Rgb, &ColorProfile::new_srgb(), Layout::Rgb, options())
            .map_err(|error| Error::internal(format!("{self:?}: {error:?}")))?;
        convert_rows(pixels.as_flat_samples_mut().samples, &*transform)
    }

    fn definition(self) -> ColorProfile {
        match self {
            Self::DisplayP3 => ColorProfile::new_display_p3(),
            Self::AdobeRgb => ColorProfile::new_adobe_rgb(),
            Self::ProPhoto => ColorProfile::new_pro_photo_rgb(),
            Self::Bt2020 => ColorProfile::new_bt2020(),
        }
    }
}

/// In which colours a picture is.
#[derive(Clone)]
pub enum Space {
    /// sRGB, or grey or inks that say nothing; also with a profile that viewers take no notice of, since it cannot be read
    /// or is for another kind of samples.
    Plain,
    Wide(Profile),
    /// Another space, which nobody would know without its profile.
    Other(Box<ColorProfile>),
}

impl Space {
    /// Of a picture of these channels that comes with the profile `icc`, which is empty if there is none.
    ///
    /// # Errors
    /// [`Error::UnsupportedFormat`] for colours brighter than a screen's white, which would come out too dark.
    pub fn of(icc: &[u8], channels: Channels) -> Result<Self, Error> {
        if icc.is_empty() {
            return Ok(Self::Plain);
        }
        ColorProfile::new_from_slice(icc).map_or(Ok(Self::Plain), |profile| Self::meant(profile, channels))
    }

    /// Of a picture whose file tells its primaries and transfer by these numbers (ITU-T H.273).
    ///
    /// # Errors
    /// As in [`Space::of`].
    pub(super) fn of_numbers(numbers: CicpProfile, channels: Channels) -> Result<Self, Error> {
        refuse_high_range(numbers.transfer_characteristics)?;
        let mut profile = ColorProfile::new_srgb();
        profile.update_rgb_colorimetry_from_cicp(numbers);
        if let Some(curve) = shown_curve(numbers.transfer_characteristics) {
            // The numbers would count for more than the curves.
            profile.cicp = None;
            let curve = Some(curve);
            (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
        }
        Self::meant(grey_if_so(profile, channels), channels)
    }

    /// # Errors
    /// As in [`Space::of`].
    pub(super) fn meant(profile: ColorProfile, channels: Channels) -> Result<Self, Error> {
        if let Some(numbers) = profile.cicp {
            refuse_high_range(numbers.transfer_characteristics)?;
        }
        Ok(match (profile.color_space, channels) {
            (DataColorSpace::Rgb, Channels::Rgb) => Self::of_rgb(profile),
            // Viewers take no notice of grey that is told by its lightness.
            (DataColorSpace::Gray, Channels::Grey) if profile.pcs == DataColorSpace::Xyz => Self::of_grey(profile),
            // Its curves count for grey too.
            (DataColorSpace::Rgb, Channels::Grey) => Self::of_grey(grey_if_so(profile, channels)),
            (DataColorSpace::Cmyk, Channels::Inks) if has_table(&profile) => Self::Other(Box::new(profile)),
            _ => Self::Plain,
        })
    }

    fn of_rgb(profile: ColorProfile) -> Self {
        if has_table(&profile) {
            return Self::Other(Box::new(profile));
        }
        if [&profile.red_trc, &profile.green_trc, &profile.blue_trc].contains(&&None) {
            return Self::Plain;
        }
        if alike(&profile, &ColorProfile::new_srgb()) {
            return Self::Plain;
        }
        let known = Profile::ALL
            .into_iter()
            .find(|known| alike(&profile, &known.definition()));
        known.map_or_else(|| Self::Other(Box::new(profile)), Self::Wide)
    }

    fn of_grey(profile: ColorProfile) -> Self {
        let srgb = ColorProfile::new_srgb();
        match (&profile.gray_trc, &srgb.red_trc) {
            (Some(curve), Some(usual)) if !same_curve(curve, usual) => Self::Other(Box::new(profile)),
            _ => Self::Plain,
        }
    }

    /// Brings pixels that come in this space into one that is kept: the one returned, or sRGB.
    ///
    /// # Errors
    /// [`Error::UnsupportedFormat`] if there is no way: the picture would come out in wrong colours.
    pub(super) fn settle(self, pixels: &mut DynamicImage) -> Result<Option<Profile>, Error> {
        match self {
            Self::Plain => Ok(None),
            Self::Wide(profile) => Ok(Some(profile)),
            Self::Other(source) => convert_to_srgb(pixels, &source).map(|()| None),
        }
    }
}

/// Converts pixels of inks upon white paper, as every viewer shows them that knows no profile, to what their profile
/// means: as Chromium does, with the black ink as equal parts of the others.
///
/// # Errors
/// [`Error::UnsupportedFormat`] if the profile gives no way to tell.
pub(super) fn print(pixels: &mut [u8], source: &ColorProfile) -> Result<(), Error> {
    let transform = source
        .create_transform_8bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgb, options())
        .map_err(|_| NO_WAY)?;
    for stretch in pixels.chunks_mut(12 * STRETCH) {
        let (pixels, _) = stretch.as_chunks::<3>();
        let inks: Vec<[u8; 4]> = pixels.iter().map(|[r, g, b]| [255 - r, 255 - g, 255 - b, 0]).collect();
        transform.transform(inks.as_flattened(), stretch).map_err(|_| NO_WAY)?;
    }
    Ok(())
}

/// What the samples of decoded pixels are for.
pub(super) fn channels_of(pixels: &DynamicImage) -> Channels {
    if pixels.color().has_color() {
        Channels::Rgb
    } else {
        Channels::Grey
    }
}

/// A profile made from what a file says in numbers, as one for grey if there is nothing but grey.
pub(super) fn grey_if_so(mut profile: ColorProfile, channels: Channels) -> ColorProfile {
    if channels == Channels::Grey {
        profile.color_space = DataColorSpace::Gray;
        profile.gray_trc = profile.green_trc.clone();
    }
    profile
}

/// How a screen shows what a film camera's curve was for (ITU-R BT.1886), where it is not the curve's inverse.
fn shown_curve(transfer: TransferCharacteristics) -> Option<ToneReprCurve> {
    use TransferCharacteristics::{Bt601, Bt709, Bt202010bit, Bt202012bit};
    matches!(transfer, Bt709 | Bt601 | Bt202010bit | Bt202012bit).then(|| ToneReprCurve::Parametric(vec![2.4]))
}

fn refuse_high_range(transfer: TransferCharacteristics) -> Result<(), Error> {
    match transfer {
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg => Err(Error::UnsupportedFormat(
            "HDR pictures (PQ or HLG) are not supported: send the picture with an ordinary range of brightness",
        )),
        _ => Ok(()),
    }
}

fn has_table(profile: &ColorProfile) -> bool {
    profile.lut_a_to_b_perceptual.is_some()
        || profile.lut_a_to_b_colorimetric.is_some()
        || profile.lut_a_to_b_saturation.is_some()
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

/// Within one step of 255 on a screen, the darkest levels too.
fn same_curve(a: &ToneReprCurve, b: &ToneReprCurve) -> bool {
    let (Ok(a), Ok(b)) = (a.make_linear_evaluator(), b.make_linear_evaluator()) else {
        return false;
    };
    (1..32).map(|level| level as f32 / 32.0).all(|level| {
        let (a, b) = (a.evaluate_value(level), b.evaluate_value(level));
        (on_screen(a) - on_screen(b)).abs() < 1.0 / 255.0
    })
}

/// The sRGB level of so much light, 0 to 1.
fn on_screen(light: f32) -> f32 {
    if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

fn options() -> TransformOptions {
    TransformOptions::default()
}

fn convert_to_srgb(pixels: &mut DynamicImage, source: &ColorProfile) -> Result<(), Error> {
    let srgb = ColorProfile::new_srgb();
    macro_rules! convert {
        ($pixels:expr, $create:ident, $layout:expr) => {{
            let transform = source.$create($layout, &srgb, $layout, options()).map_err(|_| NO_WAY)?;
            convert_rows($pixels.as_flat_samples_mut().samples, &*transform)
        }};
    }
    match pixels {
        DynamicImage::ImageRgb8(pixels) => convert!(pixels, create_transform_8bit, Layout::Rgb),
        DynamicImage::ImageRgba8(pixels) => convert!(pixels, create_transform_8bit, Layout::Rgba),
        DynamicImage::ImageRgb16(pixels) => convert!(pixels, create_transform_16bit, Layout::Rgb),
        DynamicImage::ImageRgba16(pixels) => convert!(pixels, create_transform_16bit, Layout::Rgba),
        DynamicImage::ImageLuma8(pixels) => {
            let table = grey_levels(source, u8::MAX.into())?;
            pixels
                .iter_mut()
                .for_each(|level| *level = table[usize::from(*level)] as u8);
            Ok(())
        }
        DynamicImage::ImageLumaA8(pixels) => {
            let table = grey_levels(source, u8::MAX.into())?;
            pixels
                .pixels_mut()
                .for_each(|pixel| pixel.0[0] = table[usize::from(pixel.0[0])] as u8);
            Ok(())
        }
        DynamicImage::ImageLuma16(pixels) => {
            let table = grey_levels(source, u16::MAX)?;
            pixels.iter_mut().for_each(|level| *level = table[usize::from(*level)]);
            Ok(())
        }
        DynamicImage::ImageLumaA16(pixels) => {
            let table = grey_levels(source, u16::MAX)?;
            pixels
                .pixels_mut()
                .for_each(|pixel| pixel.0[0] = table[usize::from(pixel.0[0])]);
            Ok(())
        }
        _ => Err(NO_WAY),
    }
}

/// What each level of grey, 0 to `most`, is in sRGB.
fn grey_levels(source: &ColorProfile, most: u16) -> Result<Vec<u16>, Error> {
    let curve = source.gray_trc.as_ref().ok_or(NO_WAY)?;
    let curve = curve.make_linear_evaluator().map_err(|_| NO_WAY)?;
    let level = |level: u16| {
        let light = curve.evaluate_value(f32::from(level) / f32::from(most));
        (on_screen(light.clamp(0.0, 1.0)) * f32::from(most)).round() as u16
    };
    Ok((0..=most).map(level).collect())
}

/// Converts a stretch at a time, so that no second picture is held.
fn convert_rows<S: Copy + Default>(
    samples: &mut [S],
    transform: &(impl TransformExecutor<S> + ?Sized),
) -> Result<(), Error> {
    for stretch in samples.chunks_mut(12 * STRETCH) {
        let source = stretch.to_vec();
        transform.transform(&source, stretch).map_err(|_| NO_WAY)?;
    }
    Ok(())
}

/// Whole pixels of three or four samples converted at a time, by the dozen samples.
const STRETCH: usize = 4096;

const NO_WAY: Error = Error::UnsupportedFormat(
    "the picture's colour profile cannot be applied: send it in sRGB or another common colour space",
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_known_space_is_written_anew_without_what_was_in_the_source() {
        let mut source = ColorProfile::new_display_p3();
        source.copyright = source.description.clone();
        let (pixels, profile) = settled(flat().into(), &source.encode().unwrap(), Channels::Rgb);
        assert_eq!(profile, Some(Profile::DisplayP3));
        assert_eq!(pixels, flat().into());
        assert!(Profile::is_ours(Profile::DisplayP3.file()));
        assert!(!Profile::is_ours(&source.encode().unwrap()));
    }

    #[test]
    fn each_file_of_ours_is_the_space_it_is_for_and_holds_no_time() {
        for profile in Profile::ALL {
            let written = ColorProfile::new_from_slice(profile.file()).unwrap();
            assert!(alike(&written, &profile.definition()), "{profile:?}");
            assert_eq!(profile.file()[24..36], [7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
            assert!(matches!(Space::of(profile.file(), Channels::Rgb), Ok(Space::Wide(known)) if known == profile));
        }
    }

    #[test]
    fn srgb_needs_no_profile_and_an_unreadable_one_or_one_for_other_samples_is_none() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        for icc in [&srgb[..], b"not a profile", &grey] {
            assert_eq!(settled(flat().into(), icc, Channels::Rgb), (flat().into(), None));
        }
        for icc in [&srgb, &p3] {
            assert_eq!(
                settled(grey_flat().into(), icc, Channels::Grey),
                (grey_flat().into(), None)
            );
        }
        let prophoto = settled(grey_flat().into(), Profile::ProPhoto.file(), Channels::Grey).0;
        assert_ne!(prophoto, grey_flat().into());
    }

    #[test]
    fn pixels_in_an_unknown_space_become_srgb() {
        let mut source = ColorProfile::new_srgb();
        std::mem::swap(&mut source.red_colorant, &mut source.blue_colorant);
        let (pixels, profile) = settled(flat().into(), &source.encode().unwrap(), Channels::Rgb);
        assert_eq!(profile, None);
        let [red, green, blue] = pixels.as_rgb8().unwrap().get_pixel(0, 0).0;
        assert!(
            red < 60 && green.abs_diff(100) < 5 && blue > 190,
            "{red} {green} {blue}"
        );
    }

    #[test]
    fn grey_of_another_curve_becomes_that_of_srgb() {
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let (pixels, _) = settled(grey_flat().into(), &linear, Channels::Grey);
        // Half the light.
        assert_eq!(pixels.as_luma8().unwrap().get_pixel(0, 0).0, [188]);
        let deep = DynamicImage::from(grey_flat()).into_luma16();
        let (pixels, _) = settled(deep.into(), &linear, Channels::Grey);
        assert_eq!(pixels.as_luma16().unwrap().get_pixel(0, 0).0[0] >> 8, 188);
    }

    #[test]
    fn a_curve_of_lightness_changes_nothing_as_in_browsers() {
        let mut lightness = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        lightness[20..24].copy_from_slice(b"Lab ");
        assert!(ColorProfile::new_from_slice(&lightness).is_ok());
        assert_eq!(
            settled(grey_flat().into(), &lightness, Channels::Grey).0,
            grey_flat().into()
        );
    }

    #[test]
    fn colours_brighter_than_white_are_refused() {
        for profile in [ColorProfile::new_bt2020_pq(), ColorProfile::new_bt2020_hlg()] {
            let refused = Space::of(&profile.encode().unwrap(), Channels::Rgb);
            assert!(matches!(refused, Err(Error::UnsupportedFormat(_))));
        }
    }

    fn settled(mut pixels: DynamicImage, icc: &[u8], channels: Channels) -> (DynamicImage, Option<Profile>) {
        let profile = Space::of(icc, channels).unwrap().settle(&mut pixels).unwrap();
        (pixels, profile)
    }

    fn flat() -> RgbImage {
        RgbImage::from_pixel(4, 4, Rgb([200, 100, 50]))
    }

    fn grey_flat() -> GrayImage {
        GrayImage::from_pixel(4, 4, Luma([128]))
    }
}
