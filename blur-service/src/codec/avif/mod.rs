//! AVIF stills by `re_rav1d`, dav1d in Rust without assembler: 8 to 12 bits, every sampling, alpha, pictures of several tiles,
//! turned and mirrored ones. Of the items of a file only the primary one and its alpha are looked at: depth
//! maps, gain maps, thumbnails and further pictures are left behind.

mod numbers;
mod planes;
mod write;

use image::{DynamicImage, RgbImage, RgbaImage, metadata::Orientation};
use re_rav1d::dav1d::{Decoder, Error as Av1Error, Picture as Frame, Settings};

pub(super) use self::write::{encode, prove};
use self::{
    numbers::Numbers,
    planes::{Planes, samples},
};
use super::{
    Format, Header, Picture, Space,
    boxes::{Items, Reader},
    header::{HEIC, broken},
};
use crate::{error::Error, geometry::Size, jpeg::Channels};

pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    if file.get(8..12) == Some(b"avis") {
        return Err(Error::UnsupportedFormat(
            "animated AVIF is not supported: send an animated WebP, PNG or GIF",
        ));
    }
    let items = items(file)?;
    match &items.kind(items.primary).ok_or_else(unclear)? {
        b"av01" | b"grid" => {}
        b"hvc1" | b"hev1" => return Err(Error::UnsupportedFormat(HEIC)),
        _ => return Err(UNUSUAL),
    }
    if items.properties(items.primary, b"clap").next().is_some() {
        return Err(Error::UnsupportedFormat(
            "AVIF with a clean aperture is not supported: send the picture cut",
        ));
    }
    let size = size(&items, items.primary)?;
    // Planes of up to 16 bits and their copy with film grain, the pixels, their alpha, their turned copy, three views.
    let work_bytes = size.pixels().saturating_mul(4 * 6 + 4 + 4 + 4 + 9);
    Ok(Header {
        orientation: orientation(&items),
        quality: Some(QUALITY),
        ..Header::new(Format::Avif, size, work_bytes)
    })
}

pub(super) fn decode(file: &[u8], header: &Header, go_on: &dyn Fn() -> bool) -> Result<Picture, Error> {
    let items = items(file)?;
    let told = items.properties(items.primary, b"colr").find_map(Numbers::told);
    let icc = items.properties(items.primary, b"colr").find_map(profile);
    let mut painter = Painter {
        items: &items,
        told,
        used: None,
        go_on,
    };
    let pixels = painter.colours(items.primary, header.size)?;
    let numbers = painter.used.or(told);
    let alpha = items
        .referring(items.primary, b"auxl")
        .find(|item| is_alpha(&items, *item));
    let pixels = match alpha {
        None => DynamicImage::from(pixels),
        Some(alpha) => {
            let levels = painter.levels(alpha, header.size)?;
            let is_multiplied = items.referred(items.primary, b"prem").contains(&alpha);
            with_alpha(&pixels, &levels, is_multiplied).into()
        }
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
            let numbers = self.told.unwrap_or_else(|| Numbers::coded(&frame));
            self.used = Some(numbers);
            let samples = samples(&frame);
            let planes = Planes::of(&frame, &samples, numbers)?;
            planes.paint(&mut whole, (left, top))?;
        }
        Ok(whole)
    }

    /// The brightness alone, 0 to 255.
    fn levels(&mut self, item: u32, size: Size) -> Result<Vec<u8>, Error> {
        let mut whole = vec![0; usize::try_from(size.pixels()).map_err(Error::internal)?];
        for Tile { item, left, top } in self.tiles(item, size)? {
            let frame = self.frame(item, size)?;
            let samples = samples(&frame);
            let planes = Planes::of(&frame, &samples, Numbers::coded(&frame))?;
            for y in top..(top + frame.height()).min(size.height) {
                for x in left..(left + frame.width()).min(size.width) {
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

    fn frame(&self, item: u32, size: Size) -> Result<Frame, Error> {
        if !(self.go_on)() {
            return Err(Error::Stopped);
        }
        let data = self.items.data(item).ok_or_else(unclear)?.into_owned();
        let told = self::size(self.items, item)?;
        let mut settings = Settings::new();
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_all_layers(false);
        let limit = told.pixels().min(size.pixels().saturating_mul(MOST_OVERHANG));
        settings.set_frame_size_limit(u32::try_from(limit).unwrap_or(u32::MAX));
        let mut decoder = Decoder::with_settings(&settings).map_err(|_| Error::internal("no AV1 decoder"))?;
        let mut sent = decoder.send_data(data, None, None, None);
        loop {
            match decoder.get_picture() {
                Ok(frame) if (frame.width(), frame.height()) == (told.width, told.height) => return Ok(frame),
                Ok(_) => return Err(damaged()),
                Err(Av1Error::Again) if sent == Err(Av1Error::Again) => sent = decoder.send_pending_data(),
                Err(_) => return Err(damaged()),
            }
        }
    }
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

fn unclear() -> Error {
    broken("its boxes do not tell where its picture is")
}

fn damaged() -> Error {
    broken("its coded data is damaged, or breaks off")
}

const UNUSUAL: Error = Error::UnsupportedFormat("AVIF of this kind is not supported: send it as JPEG, PNG or WebP");
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
];
/// Of what is written in another format.
const QUALITY: u8 = 92;
/// A camera has a few dozen. The decoder loses 48 bytes with each (see decisions/re_rav1d.md).
const MOST_TILES: usize = 1024;
/// The last tiles of a picture may reach out of it.
const MOST_OVERHANG: u64 = 4;
