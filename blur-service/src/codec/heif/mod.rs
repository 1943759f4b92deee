//! Stills in boxes, AVIF and HEIC: every sampling, alpha, pictures of several tiles, turned and mirrored ones. Of the items of a
//! file only the primary one and its alpha are looked at: depth maps, gain maps, thumbnails and further pictures are left
//! behind. The boxes are read here; what decodes is in `av1` and `hevc`.

#[cfg(feature = "avif")]
mod av1;
mod bits;
mod frame;
mod hevc;
mod numbers;
mod parameters;
mod planes;
#[cfg(feature = "avif")]
mod sequence;
#[cfg(feature = "avif")]
mod write;

use image::{DynamicImage, RgbImage, RgbaImage, metadata::Orientation};

#[cfg(feature = "avif")]
pub(super) use self::write::{encode, prove};
use self::{
    frame::{Coder, Frame, UNUSUAL, damaged, unclear},
    hevc::Hevc,
    planes::Planes,
};
pub use self::{hevc::start as start_hevc, numbers::Numbers};
use super::{
    Format, Header, Picture, Space,
    boxes::{Items, Reader},
};
use crate::{error::Error, geometry::Size, jpeg::Channels};

/// What files can be read, as a matter of how this program was built and of what lies beside it.
pub fn formats_read() -> &'static [&'static str] {
    match (cfg!(feature = "avif"), hevc::is_there()) {
        (true, true) => &["jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic"],
        (true, false) => &["jpeg", "png", "webp", "gif", "tiff", "bmp", "avif"],
        (false, true) => &["jpeg", "png", "webp", "gif", "tiff", "bmp", "heic"],
        (false, false) => &["jpeg", "png", "webp", "gif", "tiff", "bmp"],
    }
}

pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    if file.get(8..12) == Some(b"avis") {
        return Err(Error::UnsupportedFormat(
            "animated AVIF is not supported: send an animated WebP, PNG or GIF",
        ));
    }
    // A file that says first of all that it is HEIC need not be read to know that it cannot be.
    if !hevc::is_there() && Format::sniff(file).ok() == Some(Format::Heic) {
        return Err(hevc::NO_DECODER);
    }
    let items = items(file)?;
    let format = format(&items)?;
    let whole = size(&items, items.primary)?;
    let (_, size) = aperture(&items, whole)?;
    // Planes of up to 16 bits and their copy, the pixels, their alpha, their turned copy, three views.
    let of_its_own = if format == Format::Heic { hevc::LIBRARIES } else { 0 };
    let work_bytes = whole
        .pixels()
        .saturating_mul(4 * 6 + 4 + 4 + 4 + 9)
        .saturating_add(of_its_own);
    Ok(Header {
        orientation: orientation(&items),
        quality: Some(QUALITY),
        ..Header::new(format, size, work_bytes)
    })
}

/// By the coded pictures that the primary one is made of.
fn format(items: &Items) -> Result<Format, Error> {
    let kind = items.kind(items.primary).ok_or_else(unclear)?;
    let coded = match &kind {
        b"grid" => items
            .referred(items.primary, b"dimg")
            .first()
            .and_then(|tile| items.kind(*tile)),
        _ => Some(kind),
    };
    match &coded.ok_or_else(unclear)? {
        b"av01" if cfg!(feature = "avif") => Ok(Format::Avif),
        b"av01" => Err(NO_AVIF),
        b"hvc1" | b"hev1" if hevc::is_there() => Ok(Format::Heic),
        b"hvc1" | b"hev1" => Err(hevc::NO_DECODER),
        _ => Err(UNUSUAL),
    }
}

fn coder(format: Format, whole: Size) -> Result<Box<dyn Coder>, Error> {
    match format {
        Format::Heic => Ok(Box::new(Hevc::new(whole))),
        #[cfg(feature = "avif")]
        Format::Avif => Ok(Box::new(av1::Av1)),
        _ => Err(Error::internal("neither HEIC nor AVIF")),
    }
}

pub(super) fn decode(file: &[u8], header: &Header, go_on: &dyn Fn() -> bool) -> Result<Picture, Error> {
    let items = items(file)?;
    let told = items.properties(items.primary, b"colr").find_map(Numbers::told);
    let icc = items.properties(items.primary, b"colr").find_map(profile);
    let whole = size(&items, items.primary)?;
    let mut painter = Painter {
        items: &items,
        coder: coder(header.format, whole)?,
        told,
        used: None,
        go_on,
    };
    let pixels = painter.colours(items.primary, whole)?;
    let numbers = painter.used.or(told);
    let alpha = items
        .referring(items.primary, b"auxl")
        .find(|item| is_alpha(&items, *item));
    let pixels = match alpha {
        None => DynamicImage::from(pixels),
        Some(alpha) => {
            let levels = painter.levels(alpha, whole)?;
            let is_multiplied = items.referred(items.primary, b"prem").contains(&alpha);
            with_alpha(&pixels, &levels, is_multiplied).into()
        }
    };
    let ((left, top), Size { width, height }) = aperture(&items, whole)?;
    let pixels = match header.size == whole {
        true => pixels,
        false => pixels.crop_imm(left, top, width, height),
    };
    let space = match (icc, numbers) {
        (Some(icc), _) => Space::of(icc, Channels::Rgb)?,
        (None, Some(numbers)) => numbers.space()?,
        (None, None) => Space::Plain,
    };
    Picture::new(pixels, space)
}

fn items(file: &[u8]) -> Result<Items<'_>, Error> {
    Items::of(file).ok_or_else(unclear)
}

fn size(items: &Items, item: u32) -> Result<Size, Error> {
    let told = items.properties(item, b"ispe").next().ok_or_else(unclear)?;
    let mut reader = Reader(told.get(4..).unwrap_or_default());
    let mut side = || reader.number(4).map(|side| side as u32).ok_or_else(unclear);
    Ok(Size {
        width: side()?,
        height: side()?,
    })
}

/// The first pixel and the size of what is shown (ISO/IEC 14496-12, 12.1.4): as fractions, its width and height, and how
/// far its middle lies off the whole's.
fn aperture(items: &Items, whole: Size) -> Result<((u32, u32), Size), Error> {
    let Some(told) = items.properties(items.primary, b"clap").next() else {
        return Ok(((0, 0), whole));
    };
    let mut reader = Reader(told);
    let mut fraction = || {
        let (over, under) = (reader.number(4)? as i32, reader.number(4)? as u32);
        (under > 0).then(|| f64::from(over) / f64::from(under))
    };
    let mut next = || fraction().ok_or_else(unclear);
    let (width, height, right, down) = (next()?, next()?, next()?, next()?);
    let left = (f64::from(whole.width) - width) / 2.0 + right;
    let top = (f64::from(whole.height) - height) / 2.0 + down;
    let is_within = |from: f64, length: f64, side: u32| from >= 0.0 && length >= 1.0 && from + length <= side.into();
    if !is_within(left, width, whole.width) || !is_within(top, height, whole.height) {
        return Err(unclear());
    }
    let (width, height) = (width as u32, height as u32);
    let shown = Size { width, height };
    if is_far_more(whole, shown) {
        return Err(CUT_OUT);
    }
    Ok(((left as u32, top as u32), shown))
}

/// Turned against the clock in quarters, then mirrored (ISO/IEC 23008-12, 6.5.10 and 6.5.12).
fn orientation(items: &Items) -> Orientation {
    use Orientation::{
        FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270, Rotate270FlipH,
    };
    let told = |kind| {
        items
            .properties(items.primary, kind)
            .next()
            .and_then(|data| data.first().copied())
    };
    let quarters = told(b"irot").unwrap_or(0) & 3;
    // Whether left and right are exchanged, and not top and bottom.
    let is_sideways = told(b"imir").map(|axis| axis & 1 == 1);
    match (quarters, is_sideways) {
        (0, None) => NoTransforms,
        (1, None) => Rotate270,
        (2, None) => Rotate180,
        (_, None) => Rotate90,
        (0, Some(true)) | (2, Some(false)) => FlipHorizontal,
        (0, Some(false)) | (2, Some(true)) => FlipVertical,
        (1, Some(true)) | (3, Some(false)) => Rotate270FlipH,
        (_, Some(_)) => Rotate90FlipH,
    }
}

fn is_alpha(items: &Items, item: u32) -> bool {
    let mut told = items.properties(item, b"auxC");
    told.any(|data| {
        ALPHA
            .iter()
            .any(|name| data.get(4..).is_some_and(|data| data.starts_with(name)))
    })
}

fn profile(colr: &[u8]) -> Option<&[u8]> {
    colr.strip_prefix(b"prof").or_else(|| colr.strip_prefix(b"rICC"))
}

/// A coded picture, and where it lies in the whole.
struct Tile {
    item: u32,
    left: u32,
    top: u32,
}

/// Decodes items.
struct Painter<'a> {
    items: &'a Items<'a>,
    coder: Box<dyn Coder>,
    told: Option<Numbers>,
    /// Of the picture that was decoded last.
    used: Option<Numbers>,
    go_on: &'a dyn Fn() -> bool,
}

impl Painter<'_> {
    fn colours(&mut self, item: u32, size: Size) -> Result<RgbImage, Error> {
        let mut whole = RgbImage::new(size.width, size.height);
        for Tile { item, left, top } in self.tiles(item, size)? {
            let frame = self.frame(item, size)?;
            let numbers = self.told.unwrap_or(frame.numbers);
            self.used = Some(numbers);
            let planes = Planes::of(&frame, numbers)?;
            planes.paint(&mut whole, (left, top))?;
        }
        Ok(whole)
    }

    /// The brightness alone, 0 to 255.
    fn levels(&mut self, item: u32, size: Size) -> Result<Vec<u8>, Error> {
        let mut whole = vec![0; usize::try_from(size.pixels()).map_err(Error::internal)?];
        for Tile { item, left, top } in self.tiles(item, size)? {
            let frame = self.frame(item, size)?;
            let planes = Planes::of(&frame, frame.numbers)?;
            for y in top..(top + frame.size.height).min(size.height) {
                for x in left..(left + frame.size.width).min(size.width) {
                    let level = planes.brightness(x - left, y - top) * 255.0;
                    whole[(y * size.width + x) as usize] = level.round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        Ok(whole)
    }

    /// The coded pictures of an item, and where they lie in it.
    fn tiles(&self, item: u32, size: Size) -> Result<Vec<Tile>, Error> {
        if self.items.kind(item) != Some(*b"grid") {
            let (left, top) = (0, 0);
            return Ok(vec![Tile { item, left, top }]);
        }
        let data = self.items.data(item).ok_or_else(unclear)?;
        let &[_, _, rows, columns, ..] = &*data else {
            return Err(unclear());
        };
        let (rows, columns) = (u32::from(rows) + 1, u32::from(columns) + 1);
        let tiles = self.items.referred(item, b"dimg");
        if tiles.len() != (rows * columns) as usize {
            return Err(unclear());
        }
        if tiles.len() > MOST_TILES {
            return Err(UNUSUAL);
        }
        let tile = self::size(self.items, tiles[0])?;
        let is_covered = |tile: u32, count: u32, side: u32| {
            u64::from(tile) * u64::from(count) >= side.into() && u64::from(tile) * u64::from(count - 1) < side.into()
        };
        if !is_covered(tile.width, columns, size.width) || !is_covered(tile.height, rows, size.height) {
            return Err(unclear());
        }
        let place = |(item, index): (&u32, u32)| Tile {
            item: *item,
            left: index % columns * tile.width,
            top: index / columns * tile.height,
        };
        Ok(tiles.iter().zip(0..).map(place).collect())
    }

    fn frame(&mut self, item: u32, size: Size) -> Result<Frame, Error> {
        if !(self.go_on)() {
            return Err(Error::Stopped);
        }
        let told = self::size(self.items, item)?;
        if told.pixels() == 0 || is_far_more(told, size) {
            return Err(damaged());
        }
        self.coder.frame(self.items, item, told, self.go_on)
    }
}

/// Whether decoding takes far more than a picture of what is shown.
fn is_far_more(coded: Size, shown: Size) -> bool {
    coded.pixels() > shown.pixels().saturating_mul(MOST_OVERHANG).max(ALWAYS_ALLOWED)
}

fn with_alpha(pixels: &RgbImage, levels: &[u8], is_multiplied: bool) -> RgbaImage {
    let mut levels = levels.iter().copied();
    let mut whole = RgbaImage::new(pixels.width(), pixels.height());
    for (pixel, whole) in pixels.pixels().zip(whole.pixels_mut()) {
        let alpha = levels.next().unwrap_or(0);
        let plain = |level: u8| match is_multiplied {
            true => (u32::from(level) * 255).checked_div(alpha.into()).unwrap_or(0).min(255) as u8,
            false => level,
        };
        let [red, green, blue] = pixel.0.map(plain);
        whole.0 = [red, green, blue, alpha];
    }
    whole
}

const CUT_OUT: Error = Error::UnsupportedFormat(
    "the file shows a small part of the picture that is coded in it: send that part as a picture of its own",
);
const NO_AVIF: Error = Error::UnsupportedFormat("this build has no AVIF: send JPEG, PNG or WebP");
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
];
/// Of what is written in another format.
const QUALITY: u8 = 92;
/// A camera has a few dozen. The decoder loses 48 bytes with each (see decisions/re_rav1d.md).
const MOST_TILES: usize = 1024;
/// The last tiles of a picture may reach out of it, and so may what is shown be less than what is coded.
const MOST_OVERHANG: u64 = 4;
/// Pixels of a tile, or of the whole, however small the picture is.
const ALWAYS_ALLOWED: u64 = 1 << 20;
