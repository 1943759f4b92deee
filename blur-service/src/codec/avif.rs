//! AVIF stills by `re_rav1d`, dav1d in Rust without assembler: 8 to 12 bits, every sampling, alpha, pictures of several tiles,
//! turned and mirrored ones; never written. Of the items of a file only the primary one and its alpha are looked at: depth
//! maps, gain maps, thumbnails and further pictures are left behind.

use image::{DynamicImage, RgbImage, RgbaImage, metadata::Orientation};
use moxcms::{CicpColorPrimaries, CicpProfile, MatrixCoefficients, TransferCharacteristics};
use re_rav1d::dav1d::{
    Decoder, Error as Av1Error, Picture as Frame, PixelLayout, PlanarImageComponent, Settings, pixel,
};

use super::{
    Format, Header, Picture, Space,
    boxes::{Items, Reader},
    broken,
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
        b"hvc1" | b"hev1" => return Err(Error::UnsupportedFormat(super::HEIC)),
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

/// What a picture's numbers mean (ITU-T H.273).
#[derive(Clone, Copy)]
struct Numbers {
    primaries: u8,
    transfer: u8,
    matrix: u8,
    is_full: bool,
}

impl Numbers {
    fn told(colr: &[u8]) -> Option<Self> {
        match *colr.strip_prefix(b"nclx")? {
            [_, primaries, _, transfer, _, matrix, range, ..] => Some(Self {
                primaries,
                transfer,
                matrix,
                is_full: range & 0x80 != 0,
            }),
            _ => None,
        }
    }

    /// Those in the coded data.
    fn coded(frame: &Frame) -> Self {
        Self {
            primaries: match frame.color_primaries() {
                pixel::ColorPrimaries::BT709 => 1,
                pixel::ColorPrimaries::BT2020 => 9,
                pixel::ColorPrimaries::P3DCI => 11,
                pixel::ColorPrimaries::P3Display => 12,
                _ => UNSPECIFIED,
            },
            transfer: match frame.transfer_characteristic() {
                pixel::TransferCharacteristic::BT1886 => 1,
                pixel::TransferCharacteristic::Linear => 8,
                pixel::TransferCharacteristic::SRGB => 13,
                pixel::TransferCharacteristic::PerceptualQuantizer => 16,
                pixel::TransferCharacteristic::HybridLogGamma => 18,
                _ => UNSPECIFIED,
            },
            matrix: match frame.matrix_coefficients() {
                pixel::MatrixCoefficients::Identity => 0,
                pixel::MatrixCoefficients::BT709 => 1,
                pixel::MatrixCoefficients::BT2020NonConstantLuminance => 9,
                pixel::MatrixCoefficients::BT470BG | pixel::MatrixCoefficients::Unspecified => 6,
                _ => UNKNOWN_MATRIX,
            },
            is_full: frame.color_range() == pixel::YUVRange::Full,
        }
    }

    fn space(self) -> Result<Space, Error> {
        let primaries = CicpColorPrimaries::try_from(self.primaries);
        let transfer = TransferCharacteristics::try_from(self.transfer);
        let (Ok(color_primaries), Ok(transfer_characteristics)) = (primaries, transfer) else {
            return Ok(Space::Plain);
        };
        if self.primaries == UNSPECIFIED || self.transfer == UNSPECIFIED {
            return Ok(Space::Plain);
        }
        Space::of_numbers(
            CicpProfile {
                color_primaries,
                transfer_characteristics,
                matrix_coefficients: MatrixCoefficients::Identity,
                full_range: true,
            },
            Channels::Rgb,
        )
    }

    /// How much red and blue make up of the brightness; nothing where samples are green, blue and red.
    fn weights(self) -> Result<Option<(f32, f32)>, Error> {
        Ok(Some(match self.matrix {
            0 => return Ok(None),
            1 => (0.2126, 0.0722),
            4 => (0.3, 0.11),
            2 | 5 | 6 => (0.299, 0.114),
            7 => (0.212, 0.087),
            9 => (0.2627, 0.0593),
            _ => return Err(UNUSUAL),
        }))
    }
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

/// Brightness, and two differences of colour where there are some.
fn samples(frame: &Frame) -> Vec<re_rav1d::dav1d::Plane> {
    use PlanarImageComponent::{U, V, Y};
    let components: &[PlanarImageComponent] = match frame.pixel_layout() {
        PixelLayout::I400 => &[Y],
        PixelLayout::I420 | PixelLayout::I422 | PixelLayout::I444 => &[Y, U, V],
    };
    components.iter().map(|component| frame.plane(*component)).collect()
}

/// The samples of a decoded picture.
struct Planes<'a> {
    planes: Vec<Plane<'a>>,
    size: Size,
    weights: Option<(f32, f32)>,
    is_full: bool,
    bits: usize,
}

struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    is_wide: bool,
    /// The last column and row that there are.
    last: (u32, u32),
    is_halved: (bool, bool),
}

impl<'a> Planes<'a> {
    fn of(frame: &Frame, samples: &'a [re_rav1d::dav1d::Plane], numbers: Numbers) -> Result<Self, Error> {
        let size = Size {
            width: frame.width(),
            height: frame.height(),
        };
        let bits = frame.bits_per_component().ok_or(UNUSUAL)?.0;
        let halved = match frame.pixel_layout() {
            PixelLayout::I400 | PixelLayout::I444 => (false, false),
            PixelLayout::I420 => (true, true),
            PixelLayout::I422 => (true, false),
        };
        let plane = |(index, samples): (usize, &'a re_rav1d::dav1d::Plane)| {
            let (component, is_halved) = match index {
                0 => (PlanarImageComponent::Y, (false, false)),
                _ => (PlanarImageComponent::U, halved),
            };
            let last = |side: u32, is_halved: bool| (side - 1) / if is_halved { 2 } else { 1 };
            Plane {
                samples,
                stride: frame.stride(component) as usize,
                is_wide: bits > 8,
                last: (last(size.width, is_halved.0), last(size.height, is_halved.1)),
                is_halved,
            }
        };
        let planes = samples.iter().enumerate().map(plane).collect();
        Ok(Self {
            planes,
            size,
            weights: numbers.weights()?,
            is_full: numbers.is_full,
            bits,
        })
    }

    /// From 0 to 1.
    fn brightness(&self, x: u32, y: u32) -> f32 {
        let most = ((1 << self.bits) - 1) as f32;
        let sample = self.planes[0].at(x, y);
        match self.is_full {
            true => sample / most,
            false => (sample - self.step(16)) / self.step(219),
        }
    }

    fn step(&self, of_8_bits: u32) -> f32 {
        (of_8_bits << (self.bits - 8)) as f32
    }

    /// From -0.5 to 0.5.
    fn difference(&self, plane: usize, x: u32, y: u32) -> f32 {
        let sample = self.planes[plane].between(x, y) - self.step(128);
        match self.is_full {
            true => sample / ((1 << self.bits) - 1) as f32,
            false => sample / self.step(224),
        }
    }

    fn paint(&self, whole: &mut RgbImage, (left, top): (u32, u32)) -> Result<(), Error> {
        if self.weights.is_none() && self.planes.iter().any(|plane| plane.is_halved != (false, false)) {
            return Err(UNUSUAL);
        }
        let (width, height) = whole.dimensions();
        for y in 0..self.size.height.min(height.saturating_sub(top)) {
            for x in 0..self.size.width.min(width.saturating_sub(left)) {
                let levels = self
                    .pixel(x, y)
                    .map(|level| (level * 255.0).round().clamp(0.0, 255.0) as u8);
                whole.put_pixel(left + x, top + y, image::Rgb(levels));
            }
        }
        Ok(())
    }

    /// Red, green and blue, from 0 to 1.
    fn pixel(&self, x: u32, y: u32) -> [f32; 3] {
        let bright = self.brightness(x, y);
        if self.planes.len() == 1 {
            return [bright; 3];
        }
        let Some((red, blue)) = self.weights else {
            let plain = |plane: usize| {
                let sample = self.planes[plane].at(x, y);
                match self.is_full {
                    true => sample / ((1 << self.bits) - 1) as f32,
                    false => (sample - self.step(16)) / self.step(219),
                }
            };
            return [plain(2), bright, plain(1)];
        };
        let (of_blue, of_red) = (self.difference(1, x, y), self.difference(2, x, y));
        let r = bright + 2.0 * (1.0 - red) * of_red;
        let b = bright + 2.0 * (1.0 - blue) * of_blue;
        [r, (bright - red * r - blue * b) / (1.0 - red - blue), b]
    }
}

impl Plane<'_> {
    fn at(&self, x: u32, y: u32) -> f32 {
        let (x, y) = (x.min(self.last.0) as usize, y.min(self.last.1) as usize);
        match self.is_wide {
            true => {
                let at = y * self.stride + 2 * x;
                f32::from(u16::from_ne_bytes([self.samples[at], self.samples[at + 1]]))
            }
            false => f32::from(self.samples[y * self.stride + x]),
        }
    }

    /// At a pixel of the whole picture, between the samples about it, which lie in the middle of theirs.
    fn between(&self, x: u32, y: u32) -> f32 {
        let (across, down) = self.is_halved;
        if !across {
            return self.at(x, y);
        }
        let (near, far) = neighbours(x);
        let row = |y: u32| (3.0 * self.at(near, y) + self.at(far, y)) / 4.0;
        if !down {
            return row(y);
        }
        let (near, far) = neighbours(y);
        (3.0 * row(near) + row(far)) / 4.0
    }
}

/// The half-sized sample that a pixel lies in, and the one beside it that is nearer.
fn neighbours(at: u32) -> (u32, u32) {
    let near = at / 2;
    (near, if at % 2 == 1 { near + 1 } else { near.saturating_sub(1) })
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
const UNSPECIFIED: u8 = 2;
const UNKNOWN_MATRIX: u8 = 255;
/// Of what is written in another format.
const QUALITY: u8 = 92;
/// The last tiles of a picture may reach out of it.
const MOST_OVERHANG: u64 = 4;
