//! From the samples of a page to its pixels.

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, RgbImage, RgbaImage};
use tiff::{ColorType, tags::ExtraSamples};

use super::{
    super::{Picture, Space, colour},
    UNUSUAL, short,
};
use crate::{error::Error, geometry::Size, jpeg::Channels};

/// How the samples of a page lie.
pub struct Raster {
    pub size: Size,
    pub planes: usize,
    /// What the first sample is that is no colour.
    pub alpha: Option<ExtraSamples>,
}

impl Raster {
    pub fn of_bytes(&self, samples: Vec<u8>, colour: ColorType, icc: &[u8]) -> Result<Picture, Error> {
        let (width, height) = (self.size.width, self.size.height);
        let channels = match colour {
            ColorType::Gray(8) => Channels::Grey,
            ColorType::Gray(bits @ (1 | 2 | 4)) => {
                let most = u8::MAX >> (8 - bits);
                let levels = self.unpacked(&samples, bits).map(|level| level * (u8::MAX / most));
                let pixels = GrayImage::from_raw(width, height, levels.collect());
                return Picture::new(pixels.ok_or_else(short)?.into(), Space::of(icc, Channels::Grey)?);
            }
            ColorType::Multiband {
                bit_depth: 8,
                num_samples: 2,
            } => Channels::Grey,
            ColorType::RGB(8) | ColorType::RGBA(8) | ColorType::YCbCr(8) => Channels::Rgb,
            ColorType::CMYK(8) | ColorType::CMYKA(8) => Channels::Inks,
            _ => return Err(UNUSUAL),
        };
        let is_bright = matches!(colour, ColorType::YCbCr(_));
        let mut pixels = self.in_pixels(samples, channels)?;
        if is_bright && let DynamicImage::ImageRgb8(pixels) = &mut pixels {
            pixels.pixels_mut().for_each(|pixel| pixel.0 = red_green_blue(pixel.0));
        }
        self.meant(pixels, channels, icc)
    }

    pub fn of_words(&self, samples: Vec<u16>, colour: ColorType, icc: &[u8]) -> Result<Picture, Error> {
        let channels = match colour {
            ColorType::Gray(16)
            | ColorType::Multiband {
                bit_depth: 16,
                num_samples: 2,
            } => Channels::Grey,
            ColorType::RGB(16) | ColorType::RGBA(16) => Channels::Rgb,
            ColorType::CMYK(16) | ColorType::CMYKA(16) => {
                let bytes = samples.into_iter().map(|sample| (sample >> 8) as u8).collect();
                let pixels = self.in_pixels(bytes, Channels::Inks)?;
                return self.meant(pixels, Channels::Inks, icc);
            }
            _ => return Err(UNUSUAL),
        };
        let (count, has_alpha, samples) = self.chunky(samples, channels)?;
        let Size { width, height } = self.size;
        let mut pixels = match (count, has_alpha) {
            (1, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
            (1, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
            (_, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
            (_, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
        }
        .ok_or_else(short)?;
        if self.is_multiplied() {
            match &mut pixels {
                DynamicImage::ImageLumaA16(pixels) => divided(pixels, 2, u16::MAX.into()),
                DynamicImage::ImageRgba16(pixels) => divided(pixels, 4, u16::MAX.into()),
                _ => {}
            }
        }
        Picture::new(pixels, Space::of(icc, channels)?)
    }

    fn in_pixels(&self, samples: Vec<u8>, channels: Channels) -> Result<DynamicImage, Error> {
        let (count, has_alpha, samples) = self.chunky(samples, channels)?;
        let Size { width, height } = self.size;
        let mut pixels = match (count, has_alpha) {
            (1, false) => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
            (1, true) => GrayAlphaImage::from_raw(width, height, samples).map(DynamicImage::from),
            (3, false) => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
            (3, true) => RgbaImage::from_raw(width, height, samples).map(DynamicImage::from),
            // Their alpha, if there is one, was left out.
            _ => RgbImage::from_raw(
                width,
                height,
                samples.as_chunks::<4>().0.iter().flat_map(printed).collect(),
            )
            .map(DynamicImage::from),
        }
        .ok_or_else(short)?;
        if self.is_multiplied() {
            match &mut pixels {
                DynamicImage::ImageLumaA8(pixels) => divided(pixels, 2, u8::MAX.into()),
                DynamicImage::ImageRgba8(pixels) => divided(pixels, 4, u8::MAX.into()),
                _ => {}
            }
        }
        Ok(pixels)
    }

    fn meant(&self, mut pixels: DynamicImage, channels: Channels, icc: &[u8]) -> Result<Picture, Error> {
        let space = Space::of(icc, channels)?;
        match (&space, &mut pixels) {
            (Space::Other(profile), DynamicImage::ImageRgb8(inks)) if channels == Channels::Inks => {
                colour::print(inks, profile)?;
                Picture::new(pixels, Space::Plain)
            }
            _ => Picture::new(pixels, space),
        }
    }

    /// How many colours a pixel has, whether an alpha follows them, and just those samples, pixel by pixel.
    fn chunky<S: Copy>(&self, samples: Vec<S>, channels: Channels) -> Result<(usize, bool, Vec<S>), Error> {
        let pixels = usize::try_from(self.size.pixels()).map_err(Error::internal)?;
        let there = samples.len() / pixels.max(1);
        let colours = match channels {
            Channels::Grey => 1,
            Channels::Rgb => 3,
            Channels::Inks => 4,
        };
        let is_alpha = matches!(
            self.alpha,
            Some(ExtraSamples::AssociatedAlpha | ExtraSamples::UnassociatedAlpha)
        );
        let has_alpha = there > colours && is_alpha && channels != Channels::Inks;
        let wanted = colours + usize::from(has_alpha);
        if there < wanted {
            return Err(short());
        }
        let samples = match self.planes {
            1 if there == wanted => samples,
            1 => samples
                .chunks_exact(there)
                .flat_map(|pixel| &pixel[..wanted])
                .copied()
                .collect(),
            _ => (0..pixels * wanted)
                .map(|index| samples[index % wanted * pixels + index / wanted])
                .collect(),
        };
        Ok((colours, has_alpha, samples))
    }

    fn is_multiplied(&self) -> bool {
        matches!(self.alpha, Some(ExtraSamples::AssociatedAlpha))
    }

    /// Levels of less than 8 bits, whose rows begin at whole bytes.
    fn unpacked<'s>(&self, samples: &'s [u8], bits: u8) -> impl Iterator<Item = u8> + use<'s> {
        let width = self.size.width as usize;
        let in_a_byte = usize::from(8 / bits);
        let mask = u8::MAX >> (8 - bits);
        samples
            .chunks_exact(width.div_ceil(in_a_byte).max(1))
            .flat_map(move |row| {
                (0..width).map(move |x| {
                    let shift = 8 - bits * (x % in_a_byte + 1) as u8;
                    row[x / in_a_byte] >> shift & mask
                })
            })
    }

    /// A palette has all its reds first, then its greens and blues, of 16 bits each.
    pub fn in_palette(&self, samples: &[u8], colour: ColorType, palette: &[u16]) -> Result<DynamicImage, Error> {
        let bits = match colour {
            ColorType::Gray(bits @ (1 | 2 | 4 | 8)) => bits,
            _ => return Err(UNUSUAL),
        };
        let count = palette.len() / 3;
        let level = |index: usize| palette.get(index).map_or(0, |level| (level >> 8) as u8);
        let colour = |place: u8| [0, 1, 2].map(|plane| level(plane * count + usize::from(place).min(count)));
        let pixels = self.unpacked(samples, bits).flat_map(colour).collect();
        RgbImage::from_raw(self.size.width, self.size.height, pixels)
            .map(DynamicImage::from)
            .ok_or_else(short)
    }
}

/// What viewers show of four inks without a profile.
fn printed([cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let paper = u16::from(u8::MAX - black);
    [cyan, magenta, yellow].map(|ink| ((u16::from(u8::MAX - ink) * paper + 127) / 255) as u8)
}

/// Brightness and two colour differences (ITU-T T.871, 7).
fn red_green_blue([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let (y, blue, red) = (f32::from(y), f32::from(blue) - 128.0, f32::from(red) - 128.0);
    [
        y + 1.402 * red,
        y - 0.344_136 * blue - 0.714_136 * red,
        y + 1.772 * blue,
    ]
    .map(|level| level.round().clamp(0.0, 255.0) as u8)
}

/// Takes the alpha out of colours that were multiplied with it.
fn divided<S: Copy + Into<u32> + TryFrom<u32>>(samples: &mut [S], channels: usize, most: u32) {
    for pixel in samples.chunks_exact_mut(channels) {
        let alpha: u32 = pixel[channels - 1].into();
        for sample in &mut pixel[..channels - 1] {
            let level: u32 = (*sample).into();
            let level = (level * most + alpha / 2).checked_div(alpha).unwrap_or(0).min(most);
            *sample = S::try_from(level).unwrap_or(*sample);
        }
    }
}
