//! TIFF of one page or more, by the `tiff` crate: baseline, LZW, Deflate, PackBits, fax codes of group 4 and JPEG inside, strips and
//! tiles, grey, colour, palettes and inks, 1 to 16 bits. Several pages are written as a TIFF again, under Deflate, since no
//! other format has pages; one page in another format. Reduced pictures and masks are left behind.

mod raster;
mod writer;

use std::{borrow::Cow, io::Cursor};

use image::metadata::Orientation;
use tiff::{
    TiffError,
    decoder::{Decoder, DecodingResult, Limits, ifd::Value},
    tags::{CompressionMethod, ExtraSamples, SampleFormat, Tag},
};

use self::raster::Raster;
pub use self::writer::Writer;
pub(super) use self::writer::prove;
use super::{
    Density, Format, Header, Parts, Picture, Space,
    density::Unit,
    header::{broken, guarded},
};
use crate::{
    error::Error,
    geometry::Size,
    jpeg::{
        Channels,
        syntax::{exif::Tiff, marker::Segments},
    },
};

/// Walks all pages.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let mut pages = Pages::open(file)?;
    let (mut count, mut pixels, mut work_bytes) = (0, 0u64, 0);
    let mut first = None;
    while let Some(header) = pages.next_header()? {
        count += 1;
        if count > MOST_PAGES {
            return Err(Error::TooMany {
                what: "pages",
                found: count.into(),
                limit: MOST_PAGES.into(),
            });
        }
        pixels = pixels.saturating_add(header.size.pixels());
        work_bytes = header.work_bytes.max(work_bytes);
        first.get_or_insert(header);
    }
    let first = first.ok_or_else(|| broken("it has no page"))?;
    if count == 1 {
        return Ok(first);
    }
    Ok(Header {
        parts: Parts::Pages { count, pixels },
        // The page that is worked on, and all that is written.
        work_bytes: work_bytes.saturating_add(pixels.saturating_mul(WRITTEN_BYTES)),
        ..first
    })
}

/// The first page.
pub(super) fn decode(file: &[u8]) -> Result<Picture, Error> {
    let page = Pages::open(file)?
        .next_page()?
        .ok_or_else(|| broken("it has no page"))?;
    Ok(page.1)
}

/// The pages of a file, but for those that are another one made smaller, or its mask.
pub struct Pages<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    /// Of each directory, whether its samples are places in a palette.
    palettes: Vec<bool>,
    at: usize,
    is_begun: bool,
}

impl<'a> Pages<'a> {
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`].
    pub fn open(file: &'a [u8]) -> Result<Self, Error> {
        let (file, palettes) = without_palettes(file);
        let mut limits = Limits::default();
        // No tag has more values than the file bytes. What a picture takes is judged before it is decoded.
        limits.decoding_buffer_size = file.len().saturating_mul(VALUE_BYTES).min(MOST_VALUE_BYTES);
        limits.ifd_value_size = limits.decoding_buffer_size;
        limits.intermediate_buffer_size = file.len();
        let decoder = Decoder::new(Cursor::new(file)).map_err(unreadable)?.with_limits(limits);
        Ok(Self {
            decoder,
            palettes,
            at: 0,
            is_begun: false,
        })
    }

    /// The next page, as stored: the orientation is the header's.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`].
    pub fn next_page(&mut self) -> Result<Option<(Header, Picture)>, Error> {
        let Some(header) = self.next_header()? else {
            return Ok(None);
        };
        let picture = guarded(|| self.picture(&header))?;
        Ok(Some((header, picture)))
    }

    fn next_header(&mut self) -> Result<Option<Header>, Error> {
        loop {
            if self.is_begun {
                if !self.decoder.more_images() {
                    return Ok(None);
                }
                self.decoder.next_image().map_err(unreadable)?;
                self.at += 1;
            }
            self.is_begun = true;
            let kind: Option<u32> = self.tag(Tag::NewSubfileType);
            if kind.unwrap_or(0) & (REDUCED | MASK) == 0 {
                return self.header().map(Some);
            }
        }
    }

    fn header(&mut self) -> Result<Header, Error> {
        let (width, height) = self.decoder.dimensions().map_err(unreadable)?;
        let size = Size { width, height };
        let bits: Option<u16> = self.tag(Tag::BitsPerSample);
        let samples: u64 = self.tag(Tag::SamplesPerPixel).unwrap_or(1u16).into();
        let bytes = samples * u64::from(bits.unwrap_or(1).div_ceil(8));
        let orientation: Option<u8> = self.tag(Tag::Orientation);
        Ok(Header {
            orientation: orientation
                .and_then(Orientation::from_exif)
                .unwrap_or(Orientation::NoTransforms),
            density: self.density(),
            // Samples as decoded, their strip, pixels, their turned copy or the file that is written, three views.
            ..Header::new(Format::Tiff, size, size.pixels().saturating_mul(2 * bytes + 8 + 8 + 9))
        })
    }

    fn tag<T: TryFrom<u64>>(&mut self, tag: Tag) -> Option<T> {
        let values = self.decoder.find_tag(tag).ok()??.into_u64_vec().ok()?;
        values.first().and_then(|value| T::try_from(*value).ok())
    }

    fn density(&mut self) -> Option<Density> {
        let unit = match self.tag(Tag::ResolutionUnit).unwrap_or(2u16) {
            2 => Unit::Inch,
            3 => Unit::Centimetre,
            _ => return None,
        };
        let mut number = |tag| match self.decoder.find_tag(tag).ok()?? {
            Value::Rational(number, parts) if parts > 0 => Some((f64::from(number) / f64::from(parts)).round() as u32),
            _ => None,
        };
        let (across, down) = (number(Tag::XResolution)?, number(Tag::YResolution)?);
        (across > 0 && down > 0).then_some(Density { unit, across, down })
    }

    fn picture(&mut self, header: &Header) -> Result<Picture, Error> {
        let format: Option<u16> = self.tag(Tag::SampleFormat);
        if format.is_some_and(|format| format != SampleFormat::Uint.to_u16()) {
            return Err(Error::UnsupportedFormat(
                "TIFF with samples that are no whole numbers is not supported: send 8 or 16 bits a sample",
            ));
        }
        let colour = self.decoder.colortype().map_err(unreadable)?;
        let budget = usize::try_from(header.work_bytes).unwrap_or(usize::MAX);
        let layout = self.decoder.image_buffer_layout().map_err(unreadable)?;
        if layout.complete_len > budget {
            return Err(broken("its picture would take more memory than its head says"));
        }
        self.check_coded_sizes()?;
        let mut samples = match colour.bit_depth() {
            0..=8 => DecodingResult::U8(vec![0; layout.complete_len]),
            16 => DecodingResult::U16(vec![0; layout.complete_len / 2]),
            _ => return Err(UNUSUAL),
        };
        self.decoder
            .read_image_bytes(samples.as_buffer(0).as_bytes_mut())
            .map_err(unreadable)?;
        let icc = self.decoder.find_tag(Tag::IccProfile).ok().flatten();
        let icc = icc.and_then(|value| value.into_u8_vec().ok()).unwrap_or_default();
        let raster = Raster {
            size: header.size,
            planes: layout.planes,
            alpha: self.tag(Tag::ExtraSamples).and_then(ExtraSamples::from_u16),
        };
        match samples {
            DecodingResult::U8(samples) if self.palettes.get(self.at) == Some(&true) => {
                let palette = self.decoder.get_tag_u16_vec(Tag::ColorMap).map_err(unreadable)?;
                Picture::new(
                    raster.in_palette(&samples, colour, &palette)?,
                    Space::of(&icc, Channels::Rgb)?,
                )
            }
            DecodingResult::U8(samples) => raster.of_bytes(samples, colour, &icc),
            DecodingResult::U16(samples) => raster.of_words(samples, colour, &icc),
            _ => Err(UNUSUAL),
        }
    }
}

impl Pages<'_> {
    /// JPEGs inside a page that are larger than the place they have would be decoded all the same.
    fn check_coded_sizes(&mut self) -> Result<(), Error> {
        if self.tag(Tag::Compression) != Some(CompressionMethod::ModernJPEG.to_u16()) {
            return Ok(());
        }
        let (width, height) = self.decoder.chunk_dimensions();
        let room = Size { width, height }.pixels() + SLACK;
        let mut places = |strips, tiles| {
            let values = self.decoder.find_tag(strips).ok().flatten();
            let values = values.or_else(|| self.decoder.find_tag(tiles).ok().flatten());
            values.and_then(|values| values.into_u64_vec().ok()).unwrap_or_default()
        };
        let starts = places(Tag::StripOffsets, Tag::TileOffsets);
        let lengths = places(Tag::StripByteCounts, Tag::TileByteCounts);
        let file = self.decoder.inner().get_ref();
        for (start, length) in starts.into_iter().zip(lengths) {
            let coded = file.get(start as usize..).unwrap_or_default();
            let coded = &coded[..coded.len().min(length as usize)];
            if largest_frame(coded) > room {
                return Err(broken("a JPEG inside it is larger than its place"));
            }
        }
        Ok(())
    }
}

/// The pixels of the largest frame that any segment of a JPEG announces.
fn largest_frame(jpeg: &[u8]) -> u64 {
    let mut segments = Segments::new(jpeg, 2);
    let mut largest = 0;
    while let Ok(Some(segment)) = segments.next() {
        let is_frame = matches!(segment.marker, 0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&segment.marker));
        if let (true, &[_, h1, h0, w1, w0, ..]) = (is_frame, segment.body) {
            let side = |high, low| u64::from(u16::from_be_bytes([high, low]));
            largest = largest.max(side(h1, h0) * side(w1, w0));
        }
    }
    largest
}

/// The file with its palettes' pictures said to be grey, since the decoder knows no palettes; and which ones they are.
fn without_palettes(file: &[u8]) -> (Cow<'_, [u8]>, Vec<bool>) {
    let places = photometry(file).unwrap_or_default();
    let is_palette = |place: &Option<(usize, u16)>| place.is_some_and(|(_, kind)| kind == PALETTE);
    let palettes: Vec<bool> = places.iter().map(is_palette).collect();
    if !palettes.contains(&true) {
        return (Cow::Borrowed(file), palettes);
    }
    let mut changed = file.to_vec();
    let grey = if file.starts_with(b"MM") {
        GREY.to_be_bytes()
    } else {
        GREY.to_le_bytes()
    };
    for (at, _) in places.into_iter().filter(is_palette).flatten() {
        changed[at..at + 2].copy_from_slice(&grey);
    }
    (Cow::Owned(changed), palettes)
}

/// Of each directory, where it says what its samples mean, and what. Nothing for the kind of more than 4 GB.
fn photometry(file: &[u8]) -> Option<Vec<Option<(usize, u16)>>> {
    let tiff = Tiff::open(file).filter(|tiff| tiff.short(2) == Some(42))?;
    let mut places = Vec::new();
    let mut next = tiff.first_directory()?;
    while next != 0 && places.len() <= MOST_PAGES as usize * 2 {
        let Some((entries, following)) = tiff.directory(next) else {
            break;
        };
        let entry = entries
            .into_iter()
            .find(|entry| entry.tag == PHOTOMETRY && entry.kind == 3);
        places.push(entry.and_then(|entry| Some((entry.at, tiff.short(entry.at)?))));
        next = following as usize;
    }
    Some(places)
}

/// What the decoder has against a file, in a sentence.
fn unreadable(error: TiffError) -> Error {
    match error {
        TiffError::IoError(_) => broken("the file ends before its picture does, or its coded data is damaged"),
        TiffError::UnsupportedError(_) => UNUSUAL,
        TiffError::LimitsExceeded => broken("its picture would take more memory than its head says"),
        TiffError::FormatError(_) | TiffError::IntSizeError | TiffError::UsageError(_) => {
            broken("its directories or its coded data are damaged")
        }
    }
}

fn short() -> Error {
    broken("it has fewer samples than pixels")
}

const UNUSUAL: Error = Error::UnsupportedFormat(
    "TIFF of this kind is not supported: send grey, colour, palette or CMYK of 1 to 16 bits under a usual compression",
);
/// What a value of a tag takes in memory.
const VALUE_BYTES: usize = size_of::<Value>();
/// Two million values: the strips of any picture, and any colour profile.
const MOST_VALUE_BYTES: usize = 64 << 20;
/// Of a JPEG's padding in a strip.
const SLACK: u64 = 1 << 20;
const MOST_PAGES: u32 = 10_000;
/// A page is another one made smaller, or the mask of one.
const REDUCED: u32 = 0b001;
const MASK: u32 = 0b100;
const PHOTOMETRY: u16 = 0x0106;
const PALETTE: u16 = 3;
const GREY: u16 = 1;
/// Of a pixel of a written page, at most.
const WRITTEN_BYTES: u64 = 8;
