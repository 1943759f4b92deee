//! How the samples of a page lie in its file, and what they stand for.

use super::{
    directory::{Directory, Values},
    unsupported,
};
use crate::{codec::header::broken, error::Error, geometry::Size};

/// What a page's directory says of its samples.
pub struct Layout {
    pub size: Size,
    pub bits: u8,
    /// Of a pixel, those that are no colours among them.
    pub samples: usize,
    pub meaning: Meaning,
    /// The first sample behind the colours, if it is an alpha.
    pub alpha: Option<Alpha>,
    /// Each colour by itself, one after the other.
    pub is_planar: bool,
    pub compression: Compression,
    pub predictor: Predictor,
    /// The first bit of a byte is its lowest one.
    pub is_reversed: bool,
    /// Strips, or tiles: the last ones of tiles reach out of the picture.
    pub chunk: Size,
    pub is_tiled: bool,
}

/// What the colours of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Grey { is_white_zero: bool },
    Rgb,
    Palette,
    Inks,
    YCbCr { unit: (u32, u32) },
    Lab { is_signed: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpha {
    Plain,
    /// The colours were multiplied with it.
    Multiplied,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Fax(super::fax::Scheme),
    Lzw,
    Deflate,
    PackBits,
    Jpeg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    None,
    Horizontal,
}

impl Meaning {
    pub fn colours(self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette => 1,
            Self::Rgb | Self::YCbCr { .. } | Self::Lab { .. } => 3,
            Self::Inks => 4,
        }
    }
}

impl Layout {
    pub fn of(page: &Directory) -> Result<Self, Error> {
        let size = size(page)?;
        let compression = compression(page)?;
        let samples = page.value(SAMPLES).unwrap_or(1);
        let samples = usize::try_from(samples)
            .ok()
            .filter(|count| (1..=MOST_SAMPLES).contains(count));
        let samples = samples.ok_or_else(|| unsupported("TIFF with more than 64 samples a pixel is not supported"))?;
        let meaning = meaning(page, samples, compression)?;
        check_samples(page, meaning)?;
        let is_planar = page.value(PLANES) == Some(2) && samples > 1;
        if samples < meaning.colours() {
            return Err(broken("it has fewer samples than colours"));
        }
        if is_planar && matches!(meaning, Meaning::YCbCr { unit } if unit != (1, 1)) && compression != Compression::Jpeg
        {
            return Err(unsupported(
                "TIFF with brightness and colour differences in planes is not supported: send it as RGB",
            ));
        }
        let (chunk, is_tiled) = chunk(page, size)?;
        Ok(Self {
            size,
            bits: bits(page, samples)?,
            samples,
            meaning,
            alpha: alpha(page, samples, meaning),
            is_planar,
            compression,
            predictor: predictor(page, compression)?,
            is_reversed: page.value(FILL_ORDER) == Some(2),
            chunk,
            is_tiled,
        })
    }

    /// How many samples of a pixel are kept.
    pub fn kept(&self) -> usize {
        self.meaning.colours() + usize::from(self.alpha.is_some())
    }

    /// Of a pixel in memory.
    pub fn pixel_bytes(&self) -> u64 {
        let colours = if self.meaning == Meaning::Palette { 2 } else { 0 };
        (self.kept() + colours) as u64 * if self.bits > 8 { 2 } else { 1 }
    }

    /// Whether colours come as red, green and blue already.
    pub fn is_painted(&self) -> bool {
        self.compression == Compression::Jpeg && !self.is_planar
    }

    /// How many samples stand side by side.
    pub fn side_by_side(&self) -> usize {
        if self.is_planar { 1 } else { self.samples }
    }

    /// Bytes of a row of a strip or tile.
    pub fn row_bytes(&self) -> u64 {
        (u64::from(self.chunk.width) * self.side_by_side() as u64 * u64::from(self.bits)).div_ceil(8)
    }
}

fn size(page: &Directory) -> Result<Size, Error> {
    let side = |tag| page.value(tag).and_then(|side| u32::try_from(side).ok());
    match (side(WIDTH), side(HEIGHT)) {
        (Some(width), Some(height)) if width > 0 && height > 0 => Ok(Size { width, height }),
        _ => Err(broken("it does not say how large it is")),
    }
}

fn bits(page: &Directory, samples: usize) -> Result<u8, Error> {
    let Some(told) = page.values(BITS) else {
        return Ok(1);
    };
    let first = told.whole(0).unwrap_or(1);
    let is_same = (1..told.count().min(samples)).all(|index| told.whole(index) == Some(first));
    match u8::try_from(first) {
        Ok(bits @ 1..=32) if is_same => Ok(bits),
        _ => Err(unsupported(
            "TIFF with samples of different sizes, or of more than 32 bits, is not supported: send 8 or 16 bits a sample",
        )),
    }
}

fn check_samples(page: &Directory, meaning: Meaning) -> Result<(), Error> {
    match page.value(SAMPLE_FORMAT).unwrap_or(1) {
        1 | 4 => Ok(()),
        2 if matches!(meaning, Meaning::Lab { .. }) => Ok(()),
        _ => Err(unsupported(
            "TIFF with signed or floating-point samples is not supported: what is black and white in it is not said; send 8 or 16 bits a sample",
        )),
    }
}

fn meaning(page: &Directory, samples: usize, compression: Compression) -> Result<Meaning, Error> {
    let usual = match compression {
        Compression::Fax(_) => 0,
        _ if samples < 3 => 1,
        _ => 2,
    };
    Ok(match page.value(PHOTOMETRY).unwrap_or(usual) {
        0 => Meaning::Grey { is_white_zero: true },
        1 | 4 => Meaning::Grey { is_white_zero: false },
        2 => Meaning::Rgb,
        3 => Meaning::Palette,
        5 if page.value(INK_SET).unwrap_or(1) == 1 => Meaning::Inks,
        5 => {
            return Err(unsupported(
                "TIFF with inks other than CMYK is not supported: send it as RGB",
            ));
        }
        6 => {
            let unit = page.values(SUBSAMPLING);
            let side = |index| unit.and_then(|unit| unit.whole(index)).unwrap_or(2) as u32;
            match (side(0), side(1)) {
                unit @ (1 | 2 | 4, 1 | 2 | 4) => Meaning::YCbCr { unit },
                _ => return Err(broken("its colours are sampled in a way that cannot be")),
            }
        }
        8 => Meaning::Lab { is_signed: true },
        9 => Meaning::Lab { is_signed: false },
        32_803 | 34_892 => {
            return Err(unsupported(
                "RAW is not supported: send the developed picture as JPEG, PNG or TIFF",
            ));
        }
        32_844 | 32_845 => {
            return Err(unsupported(
                "HDR is not supported: send the picture as a screen shows it",
            ));
        }
        _ => {
            return Err(unsupported(
                "TIFF of these colours is not supported: send grey, RGB or CMYK",
            ));
        }
    })
}

fn alpha(page: &Directory, samples: usize, meaning: Meaning) -> Option<Alpha> {
    if samples <= meaning.colours() || meaning == Meaning::Inks {
        return None;
    }
    match page.value(EXTRA_SAMPLES) {
        Some(1) => Some(Alpha::Multiplied),
        Some(2) => Some(Alpha::Plain),
        // Viewers take a fourth sample of which nothing is said for an alpha.
        None if meaning == Meaning::Rgb && samples == 4 => Some(Alpha::Plain),
        _ => None,
    }
}

fn compression(page: &Directory) -> Result<Compression, Error> {
    use super::fax::Scheme;
    Ok(match page.value(COMPRESSION).unwrap_or(1) {
        1 => Compression::None,
        2 => Compression::Fax(Scheme::Rows),
        3 => Compression::Fax(Scheme::Group3 {
            is_two_dimensional: page.value(GROUP_3_OPTIONS).unwrap_or(0) & 1 == 1,
        }),
        4 => Compression::Fax(Scheme::Group4),
        5 => Compression::Lzw,
        6 => {
            return Err(unsupported(
                "TIFF with JPEG of the old kind (compression 6) is not supported: send it as JPEG, or under another compression",
            ));
        }
        7 => Compression::Jpeg,
        8 | 32_946 => Compression::Deflate,
        32_773 => Compression::PackBits,
        _ => {
            return Err(unsupported(
                "TIFF under this compression is not supported: send LZW, Deflate, PackBits, fax codes, JPEG or none",
            ));
        }
    })
}

fn predictor(page: &Directory, compression: Compression) -> Result<Predictor, Error> {
    match page.value(PREDICTOR).unwrap_or(1) {
        2 if matches!(compression, Compression::Lzw | Compression::Deflate) => Ok(Predictor::Horizontal),
        3 => Err(unsupported(
            "TIFF with a predictor for fractions is not supported: send whole numbers",
        )),
        _ => Ok(Predictor::None),
    }
}

/// The size of a strip or a tile, and whether it is a tile.
fn chunk(page: &Directory, size: Size) -> Result<(Size, bool), Error> {
    let side = |values: Option<Values>| values.and_then(|values| values.whole(0)).filter(|side| *side > 0);
    let within = |side: u64| u32::try_from(side).map_err(|_| broken("its tiles are too large"));
    if let Some(width) = side(page.values(TILE_WIDTH)) {
        let height = side(page.values(TILE_HEIGHT)).ok_or_else(|| broken("its tiles have no height"))?;
        let (width, height) = (within(width)?, within(height)?);
        return Ok((Size { width, height }, true));
    }
    let rows = side(page.values(ROWS)).unwrap_or(u64::MAX).min(size.height.into());
    let height = within(rows)?;
    Ok((Size { height, ..size }, false))
}

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRY: u16 = 262;
const FILL_ORDER: u16 = 266;
const SAMPLES: u16 = 277;
const ROWS: u16 = 278;
const PLANES: u16 = 284;
const GROUP_3_OPTIONS: u16 = 292;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const INK_SET: u16 = 332;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const SUBSAMPLING: u16 = 530;
const MOST_SAMPLES: usize = 64;
