//! A decoded picture: pixels of 8 or 16 bits with or without alpha, and the colour profile they are meant in.

use std::borrow::Cow;

use image::{DynamicImage, GenericImageView, Rgb, RgbImage, RgbaImage};

use super::{Header, Profile, Space, to_upright};
use crate::{
    error::Error,
    geometry::{Rect, Size},
    redact::{Area, Canvas, Cells, Effect, Means, Sample, Steps, Tone},
};

pub struct Picture {
    pub pixels: DynamicImage,
    pub profile: Option<Profile>,
}

impl Picture {
    /// Pixels as decoded, and the space that they are in.
    ///
    /// # Errors
    /// Those of [`Space::settle`].
    pub fn new(mut pixels: DynamicImage, space: Space) -> Result<Self, Error> {
        let profile = space.settle(&mut pixels)?;
        Ok(Self { pixels, profile })
    }

    pub fn size(&self) -> Size {
        let (width, height) = self.pixels.dimensions();
        Size { width, height }
    }

    /// All that a face may be seen in: the pixels as they are, which shows also what lies under a clear alpha, and with
    /// an alpha channel also the picture on white and on black, since the alpha alone can draw a face. One that
    /// is dark but keeps 16 bits is shown as bright as it can be made, too.
    ///
    /// # Errors
    /// [`Error::Internal`] if the colours cannot be converted to what a screen shows.
    pub fn views(&self) -> Result<Vec<Cow<'_, RgbImage>>, Error> {
        let mut plain = match &self.pixels {
            DynamicImage::ImageRgb8(pixels) => Cow::Borrowed(pixels),
            other => Cow::Owned(other.to_rgb8()),
        };
        if let Some(profile) = self.profile {
            profile.show(plain.to_mut())?;
        }
        let bright = self.bright().map(Cow::Owned);
        if !self.has_clear_pixels() {
            return Ok([plain].into_iter().chain(bright).collect());
        }
        let on = |ground| Cow::Owned(composed(&self.pixels, &plain, ground));
        let both = [on(255), on(0)];
        Ok(both.into_iter().chain([bright.unwrap_or(plain)]).collect())
    }

    /// What the low bits of 16 hold, where the high ones hold next to nothing.
    fn bright(&self) -> Option<RgbImage> {
        let (samples, channels) = match &self.pixels {
            DynamicImage::ImageLuma16(pixels) => (pixels.as_raw(), 1),
            DynamicImage::ImageLumaA16(pixels) => (pixels.as_raw(), 2),
            DynamicImage::ImageRgb16(pixels) => (pixels.as_raw(), 3),
            DynamicImage::ImageRgba16(pixels) => (pixels.as_raw(), 4),
            _ => return None,
        };
        let colours = if channels < 3 { 1 } else { 3 };
        let pixels = samples.chunks_exact(channels).map(|pixel| &pixel[..colours]);
        let brightest = pixels
            .clone()
            .flatten()
            .copied()
            .max()
            .filter(|most| (1..DARK).contains(most))?;
        let shown = |level: u16| (u32::from(level) * 255 / u32::from(brightest)) as u8;
        let colour = |pixel: &[u16]| [0, colours / 2, colours - 1].map(|channel| shown(pixel[channel]));
        let (width, height) = self.pixels.dimensions();
        RgbImage::from_raw(width, height, pixels.flat_map(colour).collect())
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

    /// How many samples a pixel has.
    pub fn channels(&self) -> usize {
        usize::from(self.pixels.color().channel_count())
    }

    /// What each sample of a pixel stands for.
    ///
    /// # Errors
    /// [`Error::Internal`] if the pixels are of a kind no decoder here makes.
    pub fn tones(&self) -> Result<&'static [Tone], Error> {
        match self.pixels {
            DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_) => Ok(GREY),
            DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => Ok(GREY_ALPHA),
            DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgb16(_) => Ok(COLOUR),
            DynamicImage::ImageRgba8(_) | DynamicImage::ImageRgba16(_) => Ok(COLOUR_ALPHA),
            _ => Err(self.unknown_kind()),
        }
    }

    /// Takes the means of the blocks of an area, but for those that are known.
    ///
    /// # Errors
    /// [`Error::Internal`] if the pixels are of a kind no decoder here makes.
    pub fn measure(&mut self, header: &Header, area: Area, means: &mut Means) -> Result<(), Error> {
        self.on_canvas(header, Measure { area, means })
    }

    /// Replaces an area in all channels, alpha included.
    ///
    /// # Errors
    /// [`Error::Internal`] if the pixels are of a kind no decoder here makes.
    pub fn paint(&mut self, header: &Header, area: Area, cells: &[Cells], effect: &dyn Effect) -> Result<(), Error> {
        self.on_canvas(header, Paint { area, cells, effect })
    }

    fn on_canvas(&mut self, header: &Header, work: impl OnCanvas) -> Result<(), Error> {
        let (steps, blocks, channels) = (steps(header), header.blocks(), self.channels());
        macro_rules! canvas {
            ($pixels:expr) => {
                work.on(Canvas {
                    samples: $pixels.as_flat_samples_mut().samples,
                    channels,
                    blocks,
                    steps,
                })
            };
        }
        match &mut self.pixels {
            DynamicImage::ImageLuma8(pixels) => canvas!(pixels),
            DynamicImage::ImageLumaA8(pixels) => canvas!(pixels),
            DynamicImage::ImageRgb8(pixels) => canvas!(pixels),
            DynamicImage::ImageRgba8(pixels) => canvas!(pixels),
            DynamicImage::ImageLuma16(pixels) => canvas!(pixels),
            DynamicImage::ImageLumaA16(pixels) => canvas!(pixels),
            DynamicImage::ImageRgb16(pixels) => canvas!(pixels),
            DynamicImage::ImageRgba16(pixels) => canvas!(pixels),
            _ => return Err(self.unknown_kind()),
        }
        Ok(())
    }

    fn unknown_kind(&self) -> Error {
        Error::internal(format!("no way to paint on {:?}", self.pixels.color()))
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

/// The pixels without an alpha channel, if it says nothing: what is hidden in them is opaque then.
pub fn without_alpha(pixels: RgbaImage) -> DynamicImage {
    let is_opaque = pixels.pixels().all(|pixel| pixel[3] == u8::MAX);
    let pixels = DynamicImage::from(pixels);
    if is_opaque { pixels.into_rgb8().into() } else { pixels }
}

/// What is done to samples of 8 bits or of 16.
trait OnCanvas {
    fn on<S: Sample>(self, canvas: Canvas<S>);
}

struct Measure<'a> {
    area: Area,
    means: &'a mut Means,
}

impl OnCanvas for Measure<'_> {
    fn on<S: Sample>(self, canvas: Canvas<S>) {
        canvas.measure(self.area, self.means);
    }
}

struct Paint<'a> {
    area: Area,
    cells: &'a [Cells],
    effect: &'a dyn Effect,
}

impl OnCanvas for Paint<'_> {
    fn on<S: Sample>(self, mut canvas: Canvas<S>) {
        canvas.paint(self.area, self.cells, self.effect);
    }
}

/// Where the pixels of the picture as stored lie in the upright one.
fn steps(header: &Header) -> Steps {
    let width = header.upright_size().width as isize;
    let at = |x: f32, y: f32| {
        let upright = to_upright(Rect::new(x, y, 1.0, 1.0), header.size, header.orientation);
        upright.y as isize * width + upright.x as isize
    };
    let first = at(0.0, 0.0);
    Steps {
        first,
        right: at(1.0, 0.0) - first,
        down: at(0.0, 1.0) - first,
    }
}

/// Of 65 535: below it, less than 32 levels of 256 are left.
const DARK: u16 = 1 << 13;
const GREY: &[Tone] = &[Tone::Colour];
const GREY_ALPHA: &[Tone] = &[Tone::Colour, Tone::Alpha];
const COLOUR: &[Tone] = &[Tone::Rgb; 3];
const COLOUR_ALPHA: &[Tone] = &[Tone::Rgb, Tone::Rgb, Tone::Rgb, Tone::Alpha];

/// The picture as it looks upon an even ground.
pub(super) fn composed(pixels: &DynamicImage, plain: &RgbImage, ground: u8) -> RgbImage {
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
    use image::Rgba;

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
                .unwrap()
                .iter()
                .any(|view| view.get_pixel(0, 0) == &Rgb([200, 100, 50]))
        );
        picture.clear_hidden_colour();
        assert_eq!(picture.pixels.get_pixel(0, 0), Rgba([0, 0, 0, 0]));
        assert_eq!(picture.pixels.get_pixel(3, 0), Rgba([200, 100, 50, 255]));
    }

    #[test]
    fn what_only_the_low_bits_hold_is_seen() {
        for (brightest, views) in [(0, 1), (1023, 2), (DARK - 1, 2), (DARK, 1), (u16::MAX, 1)] {
            let pixels = image::ImageBuffer::from_fn(4, 4, |x, _| Rgb([brightest / 4 * x as u16, 0, brightest]));
            let picture = Picture {
                pixels: DynamicImage::ImageRgb16(pixels),
                profile: None,
            };
            assert_eq!(picture.views().unwrap().len(), views, "{brightest}");
        }
        let pixels = image::ImageBuffer::from_fn(4, 4, |x, _| Rgb([x as u16, 100, 200]));
        let picture = Picture {
            pixels: DynamicImage::ImageRgb16(pixels),
            profile: None,
        };
        let seen = picture.views().unwrap();
        assert_eq!(seen.last().unwrap().get_pixel(3, 0), &Rgb([3, 127, 255]));
    }

    #[test]
    fn a_shape_drawn_by_alpha_alone_is_seen_on_white() {
        let pixels = RgbaImage::from_fn(4, 4, |x, _| Rgba([0, 0, 0, if x < 2 { 10 } else { 255 }]));
        let picture = Picture {
            pixels: pixels.into(),
            profile: None,
        };
        let views = picture.views().unwrap();
        assert!(views.iter().any(|view| view.get_pixel(0, 0) != view.get_pixel(3, 0)));
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
            .unwrap()
            .len(),
            1
        );
    }
}
