//! TIFF of one page or more, of both kinds: strips and tiles, side by side and in planes, grey, colours, palettes, inks and
//! Lab of 1 to 32 bits, plain or under LZW, Deflate, PackBits, the fax codes or JPEG. Several pages are written as a TIFF
//! again, under Deflate, since no other format has pages; one page in another format. Reduced pictures and masks are left
//! behind.

mod chunks;
mod directory;
mod fax;
mod jpeg;
mod layout;
mod raster;
mod samples;
mod writer;
mod ycbcr;

use std::collections::BTreeSet;

use image::metadata::Orientation;

pub use self::writer::Writer;
pub(super) use self::writer::prove;
use self::{
    directory::{Directory, File},
    layout::Layout,
};
use super::{
    Density, Format, Header, Parts, Picture,
    density::Unit,
    header::{broken, guarded},
};
use crate::error::Error;

/// Walks all pages.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let mut pages = Pages::open(file)?;
    let (mut count, mut pixels, mut work_bytes, mut pixel_bits) = (0, 0u64, 0, 0);
    let mut first = None;
    while let Some(header) = pages.next_header()? {
        count += 1;
        pixels = pixels.saturating_add(header.size.pixels());
        work_bytes = header.work_bytes.max(work_bytes);
        pixel_bits = header.pixel_bits.max(pixel_bits);
        first.get_or_insert(header);
    }
    let first = first.ok_or_else(|| broken("it has no page"))?;
    if count == 1 {
        return Ok(first);
    }
    Ok(Header {
        parts: Parts::Pages { count, pixels },
        pixel_bits,
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
    file: File<'a>,
    next: u64,
    /// What kinds of pictures are no pages.
    passed_over: u64,
    /// Directories may stand in a circle.
    seen: BTreeSet<u64>,
}

impl<'a> Pages<'a> {
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`].
    pub fn open(file: &'a [u8]) -> Result<Self, Error> {
        let file = File::open(file).ok_or_else(damaged)?;
        let next = file.first().ok_or_else(damaged)?;
        let passed_over = REDUCED | MASK;
        let mut pages = Self {
            file,
            next,
            passed_over,
            seen: BTreeSet::new(),
        };
        // One made smaller, of which there is no larger one, is the page.
        if pages.next_directory()?.is_none() {
            pages.passed_over = MASK;
        }
        pages.next = next;
        pages.seen.clear();
        Ok(pages)
    }

    /// The next page, as stored: the orientation is the header's.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`].
    pub fn next_page(&mut self) -> Result<Option<(Header, Picture)>, Error> {
        let Some(page) = self.next_directory()? else {
            return Ok(None);
        };
        let layout = Layout::of(&page)?;
        let header = header(&page, &layout);
        let picture = guarded(|| {
            let samples = chunks::read(&self.file, &page, &layout, header.work_bytes)?;
            raster::picture(samples, &layout, &page)
        })?;
        Ok(Some((header, picture)))
    }

    fn next_header(&mut self) -> Result<Option<Header>, Error> {
        let Some(page) = self.next_directory()? else {
            return Ok(None);
        };
        Ok(Some(header(&page, &Layout::of(&page)?)))
    }

    fn next_directory(&mut self) -> Result<Option<Directory<'a>>, Error> {
        while self.next != 0 && self.seen.insert(self.next) {
            if self.seen.len() > MOST_DIRECTORIES {
                return Err(Error::TooMany {
                    what: "pages",
                    found: self.seen.len() as u64,
                    limit: MOST_DIRECTORIES as u64,
                });
            }
            let (page, next) = self.file.directory(self.next).ok_or_else(damaged)?;
            self.next = next;
            if page.value(SUBFILE_KIND).unwrap_or(0) & self.passed_over == 0 {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }
}

fn header(page: &Directory, layout: &Layout) -> Header {
    // A strip as high as the page, pixels, their turned copy or the file that is written, three views.
    let pixel_bits = layout.samples as u32 * u32::from(layout.bits);
    let strip = u64::from(pixel_bits.div_ceil(8));
    let work_bytes = layout
        .size
        .pixels()
        .saturating_mul(strip + 2 * layout.pixel_bytes() + 9);
    let told = page.value(ORIENTATION).and_then(|told| u8::try_from(told).ok());
    Header {
        orientation: told
            .and_then(Orientation::from_exif)
            .unwrap_or(Orientation::NoTransforms),
        density: density(page),
        pixel_bits,
        ..Header::new(Format::Tiff, layout.size, work_bytes)
    }
}

fn density(page: &Directory) -> Option<Density> {
    let unit = match page.value(DENSITY_UNIT).unwrap_or(2) {
        2 => Unit::Inch,
        3 => Unit::Centimetre,
        _ => return None,
    };
    let number = |tag| page.values(tag)?.fraction(0).map(|number| number.round() as u32);
    let (across, down) = (number(ACROSS)?, number(DOWN)?);
    (across > 0 && down > 0).then_some(Density { unit, across, down })
}

fn damaged() -> Error {
    broken("its directories are damaged")
}

fn unsupported(reason: &'static str) -> Error {
    Error::UnsupportedFormat(reason)
}

/// Pages, reduced pictures and masks.
const MOST_DIRECTORIES: usize = 10_000;
/// A page is another one made smaller, or the mask of one.
const REDUCED: u64 = 0b001;
const MASK: u64 = 0b100;
const SUBFILE_KIND: u16 = 254;
const ORIENTATION: u16 = 274;
const ACROSS: u16 = 282;
const DOWN: u16 = 283;
const DENSITY_UNIT: u16 = 296;
/// Of a pixel of a written page, at most.
const WRITTEN_BYTES: u64 = 8;
