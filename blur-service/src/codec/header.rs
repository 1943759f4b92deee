//! What a file is, by its first bytes, and what its head says; which files are refused, and in which words.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{ImageError, metadata::Orientation};

use super::{Boxes, Density, JpegFacts, bmp_head, turns_sides};
use crate::{error::Error, geometry::Size, jpeg::Leniency, redact::Blocks};

/// The formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
    Avif,
    Heic,
}

/// How many pictures a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    One,
    /// Those of an animation, each as large as the whole.
    Frames(u32),
    /// Each of a size of its own; how many pixels they have together.
    Pages {
        count: u32,
        pixels: u64,
    },
}

impl Parts {
    pub fn count(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Frames(count) | Self::Pages { count, .. } => count,
        }
    }
}

/// What a file's head says, read without decoding a pixel.
#[derive(Clone, Debug)]
pub struct Header {
    pub format: Format,
    /// As stored, before the orientation is applied.
    pub size: Size,
    /// What a pixel takes in the file where it is not compressed.
    pub pixel_bits: u32,
    /// How to turn the stored picture upright.
    pub orientation: Orientation,
    /// The most memory that decoding, redacting and encoding hold at a time, in bytes, without the file itself.
    pub work_bytes: u64,
    /// As stored, before the orientation is applied.
    pub density: Option<Density>,
    /// What a JPEG needs to be written again like itself.
    pub jpeg: Option<JpegFacts>,
    /// The estimated quality, 1 to 100, of a picture that is coded with loss and is no JPEG.
    pub quality: Option<u8>,
    pub parts: Parts,
    /// Whether the picture is too large to be decoded whole.
    pub is_spliced_only: bool,
    /// What is wrong with the file and was read all the same.
    pub leniencies: Vec<Leniency>,
}

impl Header {
    /// Of a picture that lies upright in its file and is coded without loss.
    pub(super) fn new(format: Format, size: Size, work_bytes: u64) -> Self {
        Self {
            format,
            size,
            pixel_bits: MOST_PIXEL_BITS,
            orientation: Orientation::NoTransforms,
            work_bytes,
            density: None,
            jpeg: None,
            quality: None,
            parts: Parts::One,
            is_spliced_only: false,
            leniencies: Vec::new(),
        }
    }

    /// Of the whole file: of one frame of an animation, of all pages of a TIFF.
    pub fn pixels(&self) -> u64 {
        match self.parts {
            Parts::One | Parts::Frames(_) => self.size.pixels(),
            Parts::Pages { pixels, .. } => pixels,
        }
    }

    /// The quality of a picture that is coded with loss.
    pub(super) fn loss(&self) -> Option<u8> {
        self.jpeg.map(|facts| facts.quality).or(self.quality)
    }

    /// The size of the picture as people see it.
    pub fn upright_size(&self) -> Size {
        if turns_sides(self.orientation) {
            self.size.turned()
        } else {
            self.size
        }
    }

    /// The density of the picture as people see it.
    pub fn upright_density(&self) -> Option<Density> {
        if turns_sides(self.orientation) {
            self.density.map(Density::turned)
        } else {
            self.density
        }
    }

    /// The picture as stored, in the pixels that are coded together in the answer: what is hidden covers whole blocks, since
    /// one that is hidden in part would ring with what is beneath.
    pub fn blocks(&self) -> Blocks {
        Blocks {
            picture: self.size,
            block: self.jpeg.map_or(SMALLEST_BLOCK, |facts| facts.block()),
        }
    }

    /// Refuses a picture with more than `limit` pixels, or with none.
    ///
    /// # Errors
    /// [`Error::TooManyPixels`], [`Error::BrokenPicture`].
    pub fn check_pixels(&self, limit: u64) -> Result<(), Error> {
        match self.pixels() {
            0 => Err(Error::BrokenPicture("it has no pixels".into())),
            pixels if pixels > limit => Err(Error::TooManyPixels { pixels, limit }),
            _ => Ok(()),
        }
    }

    /// Refuses more than `most` frames or pages, and an animation whose frames have more than `pixels` together.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::TooManyPixels`].
    pub fn check_parts(&self, most: u32, pixels: u64) -> Result<(), Error> {
        let (what, found, together) = match self.parts {
            Parts::One => return Ok(()),
            Parts::Frames(count) => ("frames", count, self.size.pixels().saturating_mul(count.into())),
            Parts::Pages { count, .. } => ("pages", count, 0),
        };
        if found > most {
            return Err(Error::TooMany {
                what,
                found: found.into(),
                limit: most.into(),
            });
        }
        match together > pixels {
            true => Err(Error::TooManyPixels {
                pixels: together,
                limit: pixels,
            }),
            false => Ok(()),
        }
    }

    /// Refuses a picture that unfolds to very much more than its coded data, as no real one does.
    ///
    /// # Errors
    /// [`Error::TooCompressed`].
    pub fn check_ratio(&self, coded: u64) -> Result<(), Error> {
        let unfolded = self.pixels() * u64::from(self.pixel_bits.min(MOST_PIXEL_BITS)) / 8;
        let ratio = unfolded / coded.max(1);
        if unfolded > ALWAYS_ALLOWED && ratio > MOST_RATIO {
            return Err(Error::TooCompressed {
                ratio,
                limit: MOST_RATIO,
            });
        }
        Ok(())
    }
}

impl Format {
    /// Tells a format by its first bytes; names the ones that are known and not read.
    pub(super) fn sniff(file: &[u8]) -> Result<Self, Error> {
        match file {
            [] => Err(Error::BadRequest(
                "the request has no picture: its body is empty".into(),
            )),
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Self::Tiff),
            [b'B', b'M', ..] => Ok(Self::Bmp),
            _ if bmp_head::is_without_file_head(file) => Ok(Self::Bmp),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] if has_brand(file, b"avi") => Ok(Self::Avif),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] if has_brand(file, b"hei") || has_brand(file, b"mif1") => {
                Ok(Self::Heic)
            }
            _ => Err(Error::UnsupportedFormat(reason_against(file))),
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
        }
    }
}

/// What a decoder makes that is not ours: if it panics, the file is to blame.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(broken("its coded data is damaged")))
}

fn reason_against(file: &[u8]) -> &'static str {
    match file {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
            [b'h', b'e', ..] | [b'm', b'i', b'f', ..] | [b'm', b's', b'f', b'1', ..] => HEIC,
            [b'a', b'v', b'c', b'i' | b's', ..] | [b'j', b'p', b'e' | b'g', ..] => HEIC,
            [b'c', b'r', b'x', ..] => RAW,
            _ => "video is not supported: send a picture as JPEG, PNG or WebP",
        },
        [0, 0, 1 | 2, 0, ..] => "ICO is not supported: send JPEG, PNG or WebP",
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => "JPEG XL is not supported: send JPEG, PNG or WebP",
        [0, 0, 0, 12, b'j', b'P', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
            "JPEG 2000 is not supported: send JPEG, PNG or WebP"
        }
        [b'8', b'B', b'P', b'S', ..] => "PSD is not supported: send the flattened picture as JPEG, PNG or TIFF",
        [b'%', b'P', b'D', b'F', ..] => "PDF is not supported: send its pages as JPEG, PNG or TIFF",
        [b'I', b'I', b'R', b'O' | b'S', ..]
        | [b'I', b'I', b'U', 0, ..]
        | [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', ..] => RAW,
        [b'P', b'1'..=b'7' | b'F' | b'f', b' ' | b'\n' | b'\r' | b'\t', ..] => NETPBM,
        [0x76, 0x2f, 0x31, 0x01, ..] | [b'#', b'?', b'R', b'A' | b'G', ..] => {
            "HDR is not supported: send the picture as a screen shows it, as JPEG, PNG or TIFF"
        }
        [b'q', b'o', b'i', b'f', ..] => "QOI is not supported: send JPEG, PNG or WebP",
        [b'D', b'D', b'S', b' ', ..] => "DDS is not supported: send JPEG, PNG or WebP",
        [b'i', b'c', b'n', b's', ..] => "ICNS is not supported: send JPEG, PNG or WebP",
        [b'g', b'i', b'm', b'p', b' ', b'x', b'c', b'f', ..] => "XCF is not supported: send JPEG, PNG or WebP",
        [0x0a, 0..=5, 0..=1, 1 | 2 | 4 | 8, ..] => "PCX is not supported: send JPEG, PNG or WebP",
        [0x01, 0xda, 0..=1, 1..=2, ..] => "SGI is not supported: send JPEG, PNG or WebP",
        [b'%', b'!', b'P', b'S', ..] | [0xc5, 0xd0, 0xd3, 0xc6, ..] => {
            "PostScript is not supported: send its pages as JPEG, PNG or TIFF"
        }
        _ if is_drawing(file) => "SVG is not supported: it is a drawing and no picture; send it as PNG",
        _ => "the first bytes are not those of a picture of a known format",
    }
}

/// Whether a text begins with an SVG's element, perhaps behind a declaration and comments.
fn is_drawing(file: &[u8]) -> bool {
    let head = &file[..file.len().min(DRAWING_HEAD)];
    let text = head.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    text.trim_ascii_start().starts_with(b"<") && head.windows(4).any(|window| window == b"<svg")
}

/// Whether a file of boxes says first of all that it is of a kind whose name begins so.
fn has_brand(file: &[u8], start: &[u8]) -> bool {
    let first = Boxes::of(file).next();
    first.is_some_and(|(_, brands)| brands.as_chunks::<4>().0.iter().any(|brand| brand.starts_with(start)))
}

const HEIC: &str = "HEIC of this kind is not supported: send JPEG, PNG or WebP";
const NETPBM: &str = "PBM, PGM and PPM are not supported: send JPEG, PNG or WebP";
const RAW: &str = "RAW is not supported: send the developed picture as JPEG, PNG or TIFF";
/// How far into a text its first element is looked for.
const DRAWING_HEAD: usize = 1024;

/// Of the formats that have none: no cell is smaller.
const SMALLEST_BLOCK: Size = Size { width: 8, height: 8 };

/// Of those that are counted.
const MOST_PIXEL_BITS: u32 = 24;
/// A blank page of a one-bit scan has a row a bit in the best of the fax codes.
const MOST_RATIO: u64 = 10_000;
/// So many bytes of pixels are no danger, however small their file is.
const ALWAYS_ALLOWED: u64 = 64 << 20;

pub(super) fn broken(what: impl ToString) -> Error {
    Error::BrokenPicture(what.to_string())
}

/// What a decoder of `image` has against a file, in a sentence.
pub(super) fn unreadable(error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            broken("the file ends before its picture does")
        }
        ImageError::Unsupported(_) => Error::UnsupportedFormat("the picture is coded in a way that is not supported"),
        ImageError::Limits(_) => broken("its picture would take more memory than its head says"),
        _ => broken("its coded data is damaged"),
    }
}
