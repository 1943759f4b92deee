//! What an answer is written as: the format of the file that came in, or the one that was asked for.

use std::borrow::Cow;

use clap::ValueEnum;
use image::{DynamicImage, RgbImage};
use jpeg_encoder::SamplingFactor;
use serde::Serialize;

#[cfg(feature = "avif")]
use super::heif;
use super::{Format, Header, Parts, Picture, gif, jpeg, png, tiff, webp};
use crate::{error::Error, geometry::Size};

/// The format that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// That of the file, if it can be written; JPEG otherwise, and PNG for a GIF of one frame, whose palette has no room
    /// for more colours.
    #[default]
    Keep,
    Jpeg,
    Png,
    #[value(name = "webp")]
    WebP,
    /// Stills only.
    Avif,
}

impl Wanted {
    /// Bytes that it takes to write it, besides those of [`Header::work_bytes`].
    pub fn work_bytes(self, header: &Header) -> u64 {
        match self {
            Self::Avif => header.pixels().saturating_mul(OF_AN_AVIF),
            _ => 0,
        }
    }
}

/// A format to write, with what it needs to know.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    Jpeg {
        quality: u8,
        /// Of the upright picture.
        sampling: SamplingFactor,
    },
    Png,
    /// Lossless without a quality.
    WebP {
        quality: Option<u8>,
    },
    /// Stills only.
    Avif {
        quality: u8,
    },
    /// Several frames only.
    Gif,
    /// Several pages only.
    Tiff,
}

impl Output {
    /// For the file with this head; `quality` is from 1 to 100 and counts where the picture is coded with loss.
    ///
    /// # Errors
    /// [`Error::UnsupportedFormat`] for several frames or pages in a format that has none, and for a picture with longer
    /// sides than the format can tell.
    pub fn of(header: &Header, wanted: Wanted, quality: Option<u8>) -> Result<Self, Error> {
        let output = match header.parts {
            Parts::One => Self::of_still(header, wanted, quality)?,
            Parts::Frames(_) => Self::of_frames(header, wanted, quality)?,
            Parts::Pages { .. } => match wanted {
                Wanted::Keep => Self::Tiff,
                _ => return Err(ONE_PAGE),
            },
        };
        if header.size.long_side() > output.longest_side() {
            return Err(Error::UnsupportedFormat(
                "the picture's sides are longer than this format allows: ask for PNG",
            ));
        }
        Ok(output)
    }

    fn of_still(header: &Header, wanted: Wanted, quality: Option<u8>) -> Result<Self, Error> {
        Ok(match (wanted, header.format) {
            (Wanted::Keep, Format::Png | Format::Gif) | (Wanted::Png, _) => Self::Png,
            (Wanted::Keep, Format::WebP) | (Wanted::WebP, _) => Self::webp(header, quality),
            (Wanted::Keep | Wanted::Jpeg, _) => Self::jpeg(header, quality),
            (Wanted::Avif, _) if !cfg!(feature = "avif") => return Err(NO_AVIF),
            (Wanted::Avif, _) if header.pixels() > MOST_IN_AVIF => return Err(TOO_LARGE_FOR_AVIF),
            (Wanted::Avif, _) => Self::Avif {
                quality: lossy(header, quality),
            },
        })
    }

    fn of_frames(header: &Header, wanted: Wanted, quality: Option<u8>) -> Result<Self, Error> {
        match (wanted, header.format) {
            (Wanted::Jpeg | Wanted::Avif, _) => Err(ONE_FRAME),
            (Wanted::Png, _) | (Wanted::Keep, Format::Png) => Ok(Self::Png),
            (Wanted::Keep, Format::Gif) => Ok(Self::Gif),
            _ => Ok(Self::webp(header, quality)),
        }
    }

    fn jpeg(header: &Header, quality: Option<u8>) -> Self {
        Self::Jpeg {
            quality: lossy(header, quality),
            sampling: header
                .jpeg
                .map_or(SamplingFactor::F_1_1, |facts| facts.sampling_factor(header.orientation)),
        }
    }

    fn webp(header: &Header, quality: Option<u8>) -> Self {
        Self::WebP {
            quality: quality.or(header.loss()),
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg { .. } => Format::Jpeg,
            Self::Png => Format::Png,
            Self::WebP { .. } => Format::WebP,
            Self::Avif { .. } => Format::Avif,
            Self::Gif => Format::Gif,
            Self::Tiff => Format::Tiff,
        }
        .media_type()
    }

    /// Writes the pixels and, where they need one, a colour profile built anew: nothing else but the density.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn encode(self, picture: &Picture, header: &Header) -> Result<Vec<u8>, Error> {
        let density = header.upright_density();
        match self {
            Self::Jpeg { quality, sampling } => jpeg::encode(picture, quality, sampling, density),
            Self::Png => png::encode(picture, density),
            Self::WebP { quality } => webp::encode(picture, quality),
            #[cfg(feature = "avif")]
            Self::Avif { quality } => heif::encode(picture, quality),
            #[cfg(not(feature = "avif"))]
            Self::Avif { .. } => Err(NO_AVIF),
            Self::Gif | Self::Tiff => Err(Error::internal("a still is not written in this format")),
        }
    }

    /// Reads a file that was written once more and tells what in it has no business there.
    ///
    /// # Errors
    /// [`Error::ProofFailed`].
    pub fn prove(self, written: &[u8]) -> Result<(), Error> {
        match self {
            Self::Jpeg { .. } => jpeg::prove(written),
            Self::Png => png::prove(written),
            Self::WebP { .. } => webp::prove(written),
            #[cfg(feature = "avif")]
            Self::Avif { .. } => heif::prove(written),
            #[cfg(not(feature = "avif"))]
            Self::Avif { .. } => None,
            Self::Gif => gif::prove(written),
            Self::Tiff => tiff::prove(written),
        }
        .ok_or_else(|| Error::ProofFailed(format!("{}: more in the file than a picture", self.media_type())))
    }

    fn longest_side(self) -> u32 {
        match self {
            Self::WebP { .. } => 16_383,
            Self::Jpeg { .. } | Self::Gif | Self::Avif { .. } => u32::from(u16::MAX),
            Self::Png | Self::Tiff => u32::MAX,
        }
    }
}

/// The quality to code at, where something is lost.
fn lossy(header: &Header, quality: Option<u8>) -> u8 {
    quality.or(header.loss()).unwrap_or(FINE)
}

impl Size {
    /// Refuses what a coder of 16-bit sides could not tell; [`Output::of`] did before.
    pub(super) fn in_16_bits(self) -> Result<(u16, u16), Error> {
        let side = |length: u32| u16::try_from(length).map_err(Error::internal);
        Ok((side(self.width)?, side(self.height)?))
    }
}

/// The pixels without an alpha channel, upon white, in 8 bits.
pub(super) fn opaque(pixels: &DynamicImage) -> Cow<'_, DynamicImage> {
    match pixels {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => Cow::Borrowed(pixels),
        DynamicImage::ImageLuma16(_) => Cow::Owned(pixels.to_luma8().into()),
        _ if pixels.color().has_alpha() => Cow::Owned(upon_white(pixels).into()),
        _ => Cow::Owned(pixels.to_rgb8().into()),
    }
}

fn upon_white(pixels: &DynamicImage) -> RgbImage {
    let plain = pixels.to_rgb8();
    super::picture::composed(pixels, &plain, u8::MAX)
}

const ONE_FRAME: Error = Error::UnsupportedFormat(
    "the picture is an animation, which becomes neither JPEG nor AVIF: ask for `format=png` or `webp`, or for none",
);
const NO_AVIF: Error = Error::UnsupportedFormat("this build has no AVIF: ask for JPEG, PNG or WebP");
const TOO_LARGE_FOR_AVIF: Error =
    Error::UnsupportedFormat("AVIF is written up to 12.5 megapixels: ask for JPEG, PNG or WebP");
const ONE_PAGE: Error =
    Error::UnsupportedFormat("the file has several pages, which only a TIFF can hold: ask for no other format");
/// Of a JPEG made from what was coded without loss: at 95 a dithered picture shifts by more than two levels.
const FINE: u8 = 97;
/// Pixels whose coding still ends within the usual deadline.
const MOST_IN_AVIF: u64 = 12_500_000;
/// Bytes a pixel that the coder takes.
const OF_AN_AVIF: u64 = 40;
