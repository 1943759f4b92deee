//! PNG of 8 and 16 bits, palettes, alpha and interlacing, by the `png` crate under `image`; written as 8 or 16 bits
//! without a palette.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder},
    metadata::Orientation,
};
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients, ToneReprCurve,
    TransferCharacteristics,
};

use super::{Density, Format, Header, Parts, Picture, Space, broken, colour, frames, png_faults, unreadable};
use crate::{
    error::Error,
    geometry::Size,
    jpeg::{Channels, Leniency, exif_density, exif_orientation},
};

/// Walks the chunks up to the picture data.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let mut frame = None;
    let mut density = None;
    let mut exif = None;
    let mut leniencies = Vec::new();
    let mut parts = Parts::One;
    for (kind, data) in png_faults::heeded(file) {
        match &kind {
            b"IHDR" => frame = Some(Frame::read(data)?),
            // As if it was not there.
            b"acTL" if !is_possible(data) => leniencies.push(Leniency::WrongFrameCount),
            b"acTL" if breaks_off(file, data) => return Err(broken("the file ends before its animation does")),
            b"acTL" if is_of_one_frame(file) => leniencies.push(Leniency::SingleFrame),
            b"acTL" => {
                parts = Parts::Frames(count_frames(file));
                if told_frames(data) != parts.count() {
                    leniencies.push(Leniency::WrongFrameCount);
                }
            }
            // Only the first of them counts.
            b"eXIf" => exif = exif.or(Some(data)),
            b"pHYs" => density = Density::of_png(data),
            b"IDAT" => break,
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| broken("it has no header chunk"))?;
    let faults = png_faults::of(file);
    // It is mended in a copy.
    let copied = if faults.is_empty() { 0 } else { file.len() as u64 };
    leniencies.extend(faults);
    let work_bytes = match parts {
        Parts::One => frame.work_bytes().saturating_add(copied),
        _ => frames::work_bytes(frame.size, file),
    };
    let orientation = exif.and_then(exif_orientation).and_then(Orientation::from_exif);
    Ok(Header {
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        density: density.or_else(|| exif.and_then(exif_density).map(Density::of_jpeg)),
        leniencies,
        parts,
        pixel_bits: frame.pixel_bits,
        ..Header::new(Format::Png, frame.size, work_bytes)
    })
}

/// Whether viewers find no frame but the picture itself.
fn is_of_one_frame(file: &[u8]) -> bool {
    count_frames(file) == 0 || !Chunks::of(file).any(|(kind, _)| kind == *b"fdAT")
}

/// Whether an animation without an end has fewer frames than it says.
fn breaks_off(file: &[u8], control: &[u8]) -> bool {
    !png_faults::has_end(file) && count_frames(file) < told_frames(control)
}

/// Whether an animation's numbers are such as there can be: of frames, and of how often they are shown (PNG 3, 11.3.6.1).
fn is_possible(control: &[u8]) -> bool {
    let plays = control.get(4..).and_then(<[u8]>::first_chunk);
    let plays = plays.map_or(u32::MAX, |plays| u32::from_be_bytes(*plays));
    (1..=MOST).contains(&told_frames(control)) && plays <= MOST
}

fn told_frames(control: &[u8]) -> u32 {
    control.first_chunk().map_or(0, |count| u32::from_be_bytes(*count))
}

/// Heads of frames that data follow.
fn count_frames(file: &[u8]) -> u32 {
    let (mut count, mut is_begun) = (0, false);
    for (kind, _) in Chunks::of(file) {
        match &kind {
            b"fcTL" => is_begun = true,
            b"IDAT" | b"fdAT" => count += u32::from(std::mem::take(&mut is_begun)),
            _ => {}
        }
    }
    count
}

/// The file, whose animation says how many frames it has.
pub(super) fn with_frames(file: &[u8], count: u32) -> Option<Vec<u8>> {
    let mut chunks = Chunks::of(file);
    let (_, control) = chunks.by_ref().find(|(kind, _)| kind == b"acTL")?;
    let end = file.len() - chunks.rest().len();
    let body = end - CHECKSUM - control.len();
    let mut file = file.to_vec();
    file.get_mut(body..body + 4)?.copy_from_slice(&count.to_be_bytes());
    let sum = crc32fast::hash(&file[body - 4..end - CHECKSUM]);
    file[end - CHECKSUM..end].copy_from_slice(&sum.to_be_bytes());
    Some(file)
}

pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let file = png_faults::mended(file);
    let mut decoder = PngDecoder::with_limits(Cursor::new(&*file), super::webp::limits(header)).map_err(unreadable)?;
    let icc = decoder.icc_profile().ok().flatten().unwrap_or_default();
    let pixels = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let channels = colour::channels_of(&pixels);
    Picture::new(pixels, space(&file, &icc, channels)?)
}

/// In which colours the picture is: by the chunk that counts most (PNG 3, 4.3).
pub(super) fn space(file: &[u8], icc: &[u8], channels: Channels) -> Result<Space, Error> {
    let told = || png_faults::heeded(file).take_while(|(kind, _)| kind != b"IDAT");
    let find = |wanted: &[u8; 4]| told().find(|(kind, _)| kind == wanted).map(|(_, data)| data);
    if let Some(numbers) = find(b"cICP").and_then(coding_numbers) {
        return Space::of_numbers(numbers, channels);
    }
    if !icc.is_empty() {
        return Space::of(icc, channels);
    }
    match (find(b"sRGB"), find(b"gAMA").and_then(gamma)) {
        (None, Some(gamma)) => of_gamma(gamma, find(b"cHRM").and_then(primaries), channels),
        _ => Ok(Space::Plain),
    }
}

/// Nothing for numbers that mean nothing, or that a picture of red, green and blue cannot have.
fn coding_numbers(data: &[u8]) -> Option<CicpProfile> {
    let [primaries, transfer, 0, full_range] = *data else {
        return None;
    };
    let numbers = CicpProfile {
        color_primaries: primaries.try_into().ok()?,
        transfer_characteristics: transfer.try_into().ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: full_range == 1,
    };
    let is_known = numbers.color_primaries != CicpColorPrimaries::Unspecified
        && numbers.transfer_characteristics != TransferCharacteristics::Unspecified;
    (is_known && numbers.full_range).then_some(numbers)
}

/// In 100 000ths; none is none.
fn gamma(data: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*data.first_chunk()?)).filter(|gamma| *gamma > 0)
}

/// White, red, green and blue.
fn primaries(data: &[u8]) -> Option<[(f32, f32); 4]> {
    let (numbers, _) = data.as_chunks::<4>();
    let number = |index: usize| Some(u32::from_be_bytes(*numbers.get(index)?) as f32 / 100_000.0);
    let pair = |index: usize| Some((number(2 * index)?, number(2 * index + 1)?)).filter(|(_, y)| *y > 0.0);
    Some([pair(0)?, pair(1)?, pair(2)?, pair(3)?])
}

fn of_gamma(gamma: u32, primaries: Option<[(f32, f32); 4]>, channels: Channels) -> Result<Space, Error> {
    if primaries.is_none() && gamma == USUAL_GAMMA {
        return Ok(Space::Plain);
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some([white, red, green, blue]) = primaries {
        let point = |(x, y): (f32, f32)| Chromaticity { x, y };
        let primaries = ColorPrimaries {
            red: point(red),
            green: point(green),
            blue: point(blue),
        };
        profile.update_rgb_colorimetry(point(white).to_xyyb(), primaries);
    }
    let curve = Some(ToneReprCurve::Parametric(vec![100_000.0 / gamma as f32]));
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    Space::meant(colour::grey_if_so(profile, channels), channels)
}

pub(super) fn encode(picture: &Picture, density: Option<Density>) -> Result<Vec<u8>, Error> {
    let mut written = Vec::with_capacity(picture.pixels.as_bytes().len() / 2);
    let mut encoder = PngEncoder::new_with_quality(&mut written, CompressionType::Fast, FilterType::Adaptive);
    if let Some(profile) = picture.profile {
        encoder
            .set_icc_profile(profile.file().to_vec())
            .map_err(Error::internal)?;
    }
    picture.pixels.write_with_encoder(encoder).map_err(Error::internal)?;
    if let Some(data) = density.map(Density::in_png) {
        written.splice(BEHIND_HEADER..BEHIND_HEADER, chunk(b"pHYs", &data));
    }
    Ok(written)
}

/// A chunk as it stands in a file.
pub(super) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    let checked = [kind, data].concat();
    [&length[..], &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
}

/// Nothing but a header, our own profile, a density and picture data, and the end chunk at the very end.
pub(super) fn prove(written: &[u8]) -> Option<()> {
    let mut length = SIGNATURE;
    let mut last = *b"none";
    for (kind, data) in Chunks::of(written) {
        match &kind {
            b"IHDR" | b"iCCP" | b"IDAT" | b"IEND" => {}
            b"pHYs" => drop(Density::of_png(data)?),
            _ => return None,
        }
        length += CHUNK_OVERHEAD + data.len();
        last = kind;
    }
    (last == *b"IEND" && length == written.len()).then_some(())
}

struct Frame {
    size: Size,
    /// In the file.
    pixel_bits: u32,
    bytes_per_pixel: u64,
}

impl Frame {
    fn read(data: &[u8]) -> Result<Self, Error> {
        let [w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, ..] = data else {
            return Err(broken("its header chunk is too short"));
        };
        let (stored, channels) = match colour {
            0 => (1, 1),
            2 => (3, 3),
            // A palette may come with alpha.
            3 => (1, 4),
            4 => (2, 2),
            6 => (4, 4),
            _ => return Err(broken(format!("there is no colour type {colour}"))),
        };
        Ok(Self {
            size: Size {
                width: u32::from_be_bytes([*w3, *w2, *w1, *w0]),
                height: u32::from_be_bytes([*h3, *h2, *h1, *h0]),
            },
            pixel_bits: stored * u32::from(*depth),
            bytes_per_pixel: channels * if *depth == 16 { 2 } else { 1 },
        })
    }

    /// Pixels, their turned copy or the file that is written, and what the detector sees: up to three views, and one of them softened.
    fn work_bytes(&self) -> u64 {
        self.size.pixels().saturating_mul(2 * self.bytes_per_pixel + 10)
    }
}

/// The chunks of a PNG: kind and data. Ends at the first one that is cut off.
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    pub fn of(file: &'a [u8]) -> Self {
        Self {
            rest: file.get(SIGNATURE..).unwrap_or_default(),
        }
    }

    /// The bytes behind the last chunk so far.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.rest = rest.get(4..)?;
        Some((*kind, data))
    }
}

/// That of sRGB, as its chunk has it: alone it says that the picture is sRGB.
const USUAL_GAMMA: u32 = 45_455;
/// Of any number in a PNG.
const MOST: u32 = i32::MAX as u32;
const SIGNATURE: usize = 8;
/// The signature and the header chunk.
const BEHIND_HEADER: usize = SIGNATURE + 25;
/// Bytes behind the data of a chunk.
pub(super) const CHECKSUM: usize = 4;
/// Length, kind and checksum.
const CHUNK_OVERHEAD: usize = 12;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn what_is_written_is_proven_and_what_is_added_is_not() {
        let pixels = RgbaImage::from_fn(20, 10, |x, y| Rgba([x as u8, y as u8, 7, 255]));
        let mut written = encode(
            &Picture {
                pixels: pixels.into(),
                profile: None,
            },
            None,
        )
        .unwrap();
        assert!(prove(&written).is_some());
        assert_eq!(read_header(&written).unwrap().size, Size { width: 20, height: 10 });
        written.extend(b"tail");
        assert!(prove(&written).is_none());
    }

    #[test]
    fn a_density_is_kept() {
        let picture = Picture {
            pixels: DynamicImage::new_luma8(3, 2),
            profile: None,
        };
        let density = Density::of_png(&[0, 0, 0x2e, 0x23, 0, 0, 0x2e, 0x22, 1]);
        let written = encode(&picture, density).unwrap();
        assert!(density.is_some() && prove(&written).is_some());
        assert_eq!(read_header(&written).unwrap().density, density);
        assert!(image::load_from_memory(&written).is_ok());
    }

    #[test]
    fn a_head_that_promises_too_much_is_read_without_allocating() {
        let mut file = encode(
            &Picture {
                pixels: DynamicImage::new_luma8(1, 1),
                profile: None,
            },
            None,
        )
        .unwrap();
        for side in [0x7f, 0xff] {
            file[16..24].copy_from_slice(&[side, 0xff, 0xff, 0xff, side, 0xff, 0xff, 0xff]);
            let header = read_header(&file).unwrap();
            assert!(matches!(header.check_pixels(1 << 26), Err(Error::TooManyPixels { .. })));
            assert!(header.work_bytes > header.size.pixels());
        }
    }

    #[test]
    fn the_first_of_two_orientations_counts() {
        let pixels = RgbaImage::from_fn(20, 10, |x, y| Rgba([x as u8, y as u8, 7, 255])).into();
        let written = encode(&Picture { pixels, profile: None }, None).unwrap();
        let exif = |orientation: u8| {
            let data = [
                b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0",
                &[orientation][..],
                &[0; 6],
            ]
            .concat();
            let named = [b"eXIf", &data[..]].concat();
            let sum = crc32fast::hash(&named).to_be_bytes();
            [&(data.len() as u32).to_be_bytes()[..], &named, &sum].concat()
        };
        let (head, rest) = written.split_at(8 + 25);
        let file = [head, &exif(6), &exif(3), rest].concat();
        assert_eq!(read_header(&file).unwrap().orientation, Orientation::Rotate90);
    }
}
