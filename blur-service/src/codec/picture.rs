//! A decoded picture: pixels of 8 or 16 bits with or without alpha, and the colour profile they are meant in.

use std::borrow::Cow;

use image::{DynamicImage, GenericImageView, Rgb, RgbImage, imageops};

use super::Profile;
use crate::{
    error::Error,
    geometry::Size,
    redact::{Canvas, Effect, Noise, Region, Tone},
};

pub struct Picture {
    pub pixels: DynamicImage,
    pub profile: Option<Profile>,
}

impl Picture {
    /// Pixels as decoded and the profile that came with them.
    pub fn new(mut pixels: DynamicImage, icc: Option<&[u8]>) -> Self {
        let profile = icc.and_then(|icc| Profile::settle(&mut pixels, icc));
        Self { pixels, profile }
    }

    pub fn size(&self) -> Size {
        let (width, height) = self.pixels.dimensions();
        Size { width, height }
    }

    /// All that a face may be seen in: the pixels as they are, which shows also what lies under a clear alpha, and with
    /// an alpha channel also the picture on white and on black, since the alpha alone can draw a face. A picture of dots,
    /// such as a one-bit scan, is shown as soft as it looks from afar: networks do not know faces drawn with dots.
    pub fn views(&self) -> Vec<Cow<'_, RgbImage>> {
        let plain = match &self.pixels {
            DynamicImage::ImageRgb8(pixels) => Cow::Borrowed(pixels),
            other => Cow::Owned(other.to_rgb8()),
        };
        if has_two_tones(&plain) {
            return vec![Cow::Owned(imageops::fast_blur(&*plain, DOTS_BLUR))];
        }
        if !self.has_clear_pixels() {
            return vec![plain];
        }
        let on = |ground| Cow::Owned(composed(&self.pixels, &plain, ground));
        vec![on(255), on(0), plain]
    }

    /// Blackens the colour of every fully clear pixel: nobody sees it, so nobody may find a face there.
    pub fn clear_hidden_colour(&mut self) {
        match &mut self.pixels {
            DynamicImage::ImageLumaA8(pixels) => clear_colour(pixels.as_flat_samples_mut().samples, 2),
            DynamicImage::ImageRgba8(pixels) => clear_colour(pixels.as_flat_samples_mut().samples, 4),
            DynamicImage::ImageLumaA16(pixels) => clear_colour(pixels.as_flat_samples_mut().samples, 2),
            DynamicImage::ImageRgba16(pixels) => clear_colour(pixels.as_flat_samples_mut().samples, 4),
            _ => {}
        }
    }

    /// Replaces `region` in all channels, alpha included.
    ///
    /// # Errors
    /// [`Error::Internal`] if the noise cannot be had or the pixels are of a kind no decoder here makes.
    pub fn hide(&mut self, region: Region, effect: &dyn Effect, noise: &mut Noise) -> Result<(), Error> {
        let width = self.size().width;
        macro_rules! hide {
            ($pixels:expr, $channels:expr) => {{
                let samples = $pixels.as_flat_samples_mut().samples;
                Canvas {
                    samples,
                    width,
                    channels: $channels,
                }
                .hide(region, effect, noise)
            }};
        }
        match &mut self.pixels {
            DynamicImage::ImageLuma8(pixels) => hide!(pixels, GREY),
            DynamicImage::ImageLumaA8(pixels) => hide!(pixels, GREY_ALPHA),
            DynamicImage::ImageRgb8(pixels) => hide!(pixels, COLOUR),
            DynamicImage::ImageRgba8(pixels) => hide!(pixels, COLOUR_ALPHA),
            DynamicImage::ImageLuma16(pixels) => hide!(pixels, GREY),
            DynamicImage::ImageLumaA16(pixels) => hide!(pixels, GREY_ALPHA),
            DynamicImage::ImageRgb16(pixels) => hide!(pixels, COLOUR),
            DynamicImage::ImageRgba16(pixels) => hide!(pixels, COLOUR_ALPHA),
            other => Err(Error::internal(format!("no way to paint on {:?}", other.color()))),
        }
    }

    fn has_clear_pixels(&self) -> bool {
        match &self.pixels {
            DynamicImage::ImageLumaA8(pixels) => pixels.pixels().any(|pixel| pixel[1] < u8::MAX),
            DynamicImage::ImageRgba8(pixels) => pixels.pixels().any(|pixel| pixel[3] < u8::MAX),
            DynamicImage::ImageLumaA16(pixels) => pixels.pixels().any(|pixel| pixel[1] < u16::MAX),
            DynamicImage::ImageRgba16(pixels) => pixels.pixels().any(|pixel| pixel[3] < u16::MAX),
            _ => false,
        }
    }
}

/// Whether there are only black and white, or any other two colours. Most pictures say no within a few pixels.
fn has_two_tones(pixels: &RgbImage) -> bool {
    let mut pixels = pixels.pixels();
    let Some(first) = pixels.next() else {
        return false;
    };
    let Some(second) = pixels.find(|pixel| *pixel != first) else {
        return false;
    };
    pixels.all(|pixel| pixel == first || pixel == second)
}

/// Standard deviation in pixels. Of 48 dithered faces CenterFace finds 31 unblurred, and all from 1.0 to 3.0.
const DOTS_BLUR: f32 = 1.5;

const GREY: &[Tone] = &[Tone::Colour];
const GREY_ALPHA: &[Tone] = &[Tone::Colour, Tone::Alpha];
const COLOUR: &[Tone] = &[Tone::Colour; 3];
const COLOUR_ALPHA: &[Tone] = &[Tone::Colour, Tone::Colour, Tone::Colour, Tone::Alpha];

/// The picture as it looks upon an even ground.
fn composed(pixels: &DynamicImage, plain: &RgbImage, ground: u8) -> RgbImage {
    let mut result = plain.clone();
    for (x, y, pixel) in result.enumerate_pixels_mut() {
        let alpha = u16::from(pixels.get_pixel(x, y)[3]);
        let mixed = |level: u8| ((u16::from(level) * alpha + u16::from(ground) * (255 - alpha) + 127) / 255) as u8;
        *pixel = Rgb(pixel.0.map(mixed));
    }
    result
}

/// Blackens pixels of `channels` samples whose last one, the alpha, is zero.
fn clear_colour<S: Copy + Default + PartialEq>(samples: &mut [S], channels: usize) {
    for pixel in samples.chunks_exact_mut(channels) {
        if pixel[channels - 1] == S::default() {
            pixel.fill(S::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn colour_under_clear_alpha_is_seen_by_the_detector_and_gone_from_the_picture() {
        let pixels = RgbaImage::from_fn(4, 4, |x, _| Rgba([200, 100, 50, if x < 2 { 0 } else { 255 }]));
        let mut picture = Picture {
            pixels: pixels.into(),
            profile: None,
        };
        assert!(
            picture
                .views()
                .iter()
                .any(|view| view.get_pixel(0, 0) == &Rgb([200, 100, 50]))
        );
        picture.clear_hidden_colour();
        assert_eq!(picture.pixels.get_pixel(0, 0), Rgba([0, 0, 0, 0]));
        assert_eq!(picture.pixels.get_pixel(3, 0), Rgba([200, 100, 50, 255]));
    }

    #[test]
    fn a_shape_drawn_by_alpha_alone_is_seen_on_white() {
        let pixels = RgbaImage::from_fn(4, 4, |x, _| Rgba([0, 0, 0, if x < 2 { 10 } else { 255 }]));
        let picture = Picture {
            pixels: pixels.into(),
            profile: None,
        };
        let views = picture.views();
        assert!(views.iter().any(|view| view.get_pixel(0, 0) != view.get_pixel(3, 0)));
    }

    #[test]
    fn dots_are_seen_as_the_grey_they_stand_for() {
        let dots = RgbImage::from_fn(40, 40, |x, y| Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3]));
        let picture = Picture {
            pixels: dots.into(),
            profile: None,
        };
        let views = picture.views();
        assert!(views.len() == 1 && views[0].get_pixel(20, 20)[0].abs_diff(128) < 20);
    }

    #[test]
    fn an_opaque_picture_has_one_view() {
        let pixels = RgbaImage::from_pixel(4, 4, Rgba([1, 2, 3, 255]));
        assert_eq!(
            Picture {
                pixels: pixels.into(),
                profile: None
            }
            .views()
            .len(),
            1
        );
    }
}
