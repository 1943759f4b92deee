//! WebP, lossy and lossless, read by the `image-webp` crate under `image`, which also writes the lossless kind; the lossy
//! one is written by libwebp, which no byte of a stranger's file ever reaches.

use std::{borrow::Cow, io::Cursor};

use image::{
    DynamicImage, ImageDecoder, ImageEncoder, Limits,
    codecs::webp::{WebPDecoder, WebPEncoder},
    metadata::Orientation,
};

use webp::Encoder;

use super::{Density, Format, Header, Parts, Picture, Profile, Space, broken, frames, unreadable, vp8, webp_frames};
use crate::{
    error::Error,
    geometry::Size,
    jpeg::{Channels, Leniency, exif_density, exif_orientation},
};

/// Walks the chunks; the extended header, where there is one, comes first.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let told = file.get(4..8).and_then(|told| told.first_chunk());
    let told = told.map_or(0, |told| u32::from_le_bytes(*told) as usize + 8);
    if told > file.len() + PADDING {
        return Err(broken("the file ends before its picture does"));
    }
    if let Some(still) = still_of_one_frame(file) {
        let mut header = read_parts(&still)?;
        header.leniencies.push(Leniency::SingleFrame);
        return Ok(header);
    }
    read_parts(file)
}

fn read_parts(file: &[u8]) -> Result<Header, Error> {
    let mut size = None;
    let mut orientation = Orientation::NoTransforms;
    let mut quality = None;
    let mut density = None;
    let mut frames = 0;
    for (kind, data) in Chunks::of(file) {
        match &kind {
            b"VP8X" => size = size.or(extended_size(data)),
            b"VP8L" => size = size.or(lossless_size(data)),
            b"VP8 " => {
                size = size.or(lossy_size(data));
                quality = vp8::quality(data);
            }
            b"ANMF" => frames += 1,
            b"EXIF" if flags(file) & EXIF != 0 => {
                let tiff = data.strip_prefix(b"Exif\0\0").unwrap_or(data);
                orientation = exif_orientation(tiff)
                    .and_then(Orientation::from_exif)
                    .unwrap_or(orientation);
                density = exif_density(tiff).map(Density::of_jpeg);
            }
            _ => {}
        }
    }
    let size = size.ok_or_else(|| broken("it has no picture chunk"))?;
    if is_animation(file) {
        return match frames {
            0 => Err(broken("it has no frame")),
            count => Ok(Header {
                orientation,
                quality: webp_frames::quality(file),
                parts: Parts::Frames(count),
                ..Header::new(Format::WebP, size, frames::work_bytes(size, file))
            }),
        };
    }
    // Four channels, their turned copy or the file that is written, what the decoder keeps beside them, three views.
    let work_bytes = size.pixels() * (4 + 4 + 4 + 9);
    Ok(Header {
        orientation,
        density,
        quality,
        ..Header::new(Format::WebP, size, work_bytes)
    })
}

pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let file = with_true_alpha(still_of_one_frame(file).map_or(Cow::Borrowed(file), Cow::Owned));
    let mut decoder = WebPDecoder::new(Cursor::new(&*file)).map_err(unreadable)?;
    decoder.set_limits(limits(header)).map_err(unreadable)?;
    let pixels = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    Picture::new(pixels, space(&file)?)
}

/// By the profile, which counts if the head tells of one.
fn space(file: &[u8]) -> Result<Space, Error> {
    let icc = match flags(file) & PROFILE {
        0 => None,
        _ => Chunks::of(file).find(|(kind, _)| kind == b"ICCP"),
    };
    Space::of(icc.map_or(&[], |(_, data)| data), Channels::Rgb)
}

/// Lossless without a quality.
pub(super) fn encode(picture: &Picture, quality: Option<u8>) -> Result<Vec<u8>, Error> {
    match quality {
        Some(quality) => with_profile(encode_lossy(picture, quality)?, picture),
        None => encode_lossless(picture),
    }
}

fn encode_lossless(picture: &Picture) -> Result<Vec<u8>, Error> {
    let mut written = Vec::with_capacity(picture.pixels.as_bytes().len() / 2);
    let mut encoder = WebPEncoder::new_lossless(&mut written);
    if let Some(profile) = &picture.profile {
        encoder
            .set_icc_profile(profile.file().to_vec())
            .map_err(Error::internal)?;
    }
    in_8_bits(&picture.pixels)
        .write_with_encoder(encoder)
        .map_err(Error::internal)?;
    Ok(written)
}

fn in_8_bits(pixels: &DynamicImage) -> Cow<'_, DynamicImage> {
    match pixels {
        DynamicImage::ImageLuma16(_) => Cow::Owned(pixels.to_luma8().into()),
        DynamicImage::ImageLumaA16(_) => Cow::Owned(pixels.to_luma_alpha8().into()),
        DynamicImage::ImageRgb16(_) => Cow::Owned(pixels.to_rgb8().into()),
        DynamicImage::ImageRgba16(_) => Cow::Owned(pixels.to_rgba8().into()),
        _ => Cow::Borrowed(pixels),
    }
}

fn encode_lossy(picture: &Picture, quality: u8) -> Result<Vec<u8>, Error> {
    let Size { width, height } = picture.size();
    let quality = f32::from(quality);
    let pixels = &picture.pixels;
    let written = if pixels.color().has_alpha() {
        Encoder::from_rgba(&pixels.to_rgba8(), width, height).encode_simple(false, quality)
    } else {
        let pixels = match pixels {
            DynamicImage::ImageRgb8(pixels) => Cow::Borrowed(pixels),
            other => Cow::Owned(other.to_rgb8()),
        };
        Encoder::from_rgb(&pixels, width, height).encode_simple(false, quality)
    };
    let written = written.map_err(|error| Error::internal(format!("libwebp: {error:?}")))?;
    Ok(written.to_vec())
}

/// A file with the profile of the picture, if it needs one.
fn with_profile(plain: Vec<u8>, picture: &Picture) -> Result<Vec<u8>, Error> {
    let Some(profile) = picture.profile else {
        return Ok(plain);
    };
    let flags = PROFILE | if picture.pixels.color().has_alpha() { ALPHA } else { 0 };
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    put_chunk(
        &mut file,
        *b"VP8X",
        &[&[flags, 0, 0, 0], &sides(picture.size())[..]].concat(),
    );
    put_chunk(&mut file, *b"ICCP", profile.file());
    for (kind, data) in Chunks::of(&plain).filter(|(kind, _)| kind != b"VP8X") {
        put_chunk(&mut file, kind, data);
    }
    finish(file)
}

/// Says how long the file is.
pub(super) fn finish(mut file: Vec<u8>) -> Result<Vec<u8>, Error> {
    let length = u32::try_from(file.len() - CHUNK_HEAD).map_err(Error::internal)?;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(file)
}

/// Width and height less one, in 24 bits each.
pub(super) fn sides(size: Size) -> [u8; 6] {
    let ([w0, w1, w2, _], [h0, h1, h2, _]) = ((size.width - 1).to_le_bytes(), (size.height - 1).to_le_bytes());
    [w0, w1, w2, h0, h1, h2]
}

/// What is written so.
pub(super) fn size_of([w0, w1, w2, h0, h1, h2]: &[u8; 6]) -> Size {
    Size {
        width: u32::from_le_bytes([*w0, *w1, *w2, 0]) + 1,
        height: u32::from_le_bytes([*h0, *h1, *h2, 0]) + 1,
    }
}

/// Nothing but picture data, our own profile and the header that announces it, and no byte behind them.
pub(super) fn prove(written: &[u8]) -> Option<()> {
    let mut length = RIFF_HEAD;
    for (kind, data) in Chunks::of(written) {
        let is_known = match &kind {
            b"VP8X" | b"VP8L" | b"VP8 " | b"ALPH" => true,
            b"ICCP" => Profile::is_ours(data),
            _ => false,
        };
        if !is_known {
            return None;
        }
        length += CHUNK_HEAD + data.len().next_multiple_of(2);
    }
    (length == written.len()).then_some(())
}

/// What a decoder of `image` may allocate for a picture whose header was read.
pub(super) fn limits(header: &Header) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(header.size.width);
    limits.max_image_height = Some(header.size.height);
    limits.max_alloc = Some(header.work_bytes + SMALL_CHANGE);
    limits
}

fn extended_size(data: &[u8]) -> Option<Size> {
    Some(size_of(data.get(4..)?.first_chunk()?))
}

fn lossless_size(data: &[u8]) -> Option<Size> {
    let bits = u32::from_le_bytes(*data.get(1..)?.first_chunk()?);
    Some(Size {
        width: (bits & 0x3fff) + 1,
        height: (bits >> 14 & 0x3fff) + 1,
    })
}

fn lossy_size(data: &[u8]) -> Option<Size> {
    let [w0, w1, h0, h1] = *data.get(6..)?.first_chunk()?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some(Size {
        width: side(w0, w1),
        height: side(h0, h1),
    })
}

/// The picture of an animation that has a single frame, as large as itself: a file without the animation.
fn still_of_one_frame(file: &[u8]) -> Option<Vec<u8>> {
    let chunks = || Chunks::of(file);
    let head = chunks()
        .next()
        .filter(|(kind, data)| kind == b"VP8X" && data.first().is_some_and(is_animated))?
        .1;
    let mut frames = chunks().filter(|(kind, _)| kind == b"ANMF");
    let (_, frame) = frames.next().filter(|_| frames.next().is_none())?;
    let (place, rest) = frame.split_first_chunk::<FRAME_HEAD>()?;
    // It begins in the corner, and has the sides of the whole.
    if place[..6] != [0; 6] || place[6..12] != *head.get(4..10)? {
        return None;
    }
    let mut still = b"RIFF\0\0\0\0WEBP".to_vec();
    for (kind, data) in chunks() {
        match &kind {
            b"VP8X" => put_chunk(&mut still, kind, &[&[head[0] & !ANIMATION], &data[1..]].concat()),
            b"ANMF" => still.extend(rest),
            b"ICCP" | b"EXIF" => put_chunk(&mut still, kind, data),
            _ => {}
        }
    }
    finish(still).ok()
}

/// Without the promise of an alpha that a lossy picture does not have, as viewers read it.
fn with_true_alpha(mut file: Cow<[u8]>) -> Cow<[u8]> {
    let has = |kind: &[u8; 4]| Chunks::of(&file).any(|(found, _)| found == *kind);
    if flags(&file) & ALPHA != 0 && has(b"VP8 ") && !has(b"ALPH") {
        file.to_mut()[RIFF_HEAD + CHUNK_HEAD] &= !ALPHA;
    }
    file
}

/// Whether its extended header says so.
fn is_animation(file: &[u8]) -> bool {
    flags(file) & ANIMATION != 0
}

/// Of the extended head; none without one.
fn flags(file: &[u8]) -> u8 {
    let first = Chunks::of(file).next().filter(|(kind, _)| kind == b"VP8X");
    first.and_then(|(_, data)| data.first().copied()).unwrap_or(0)
}

fn is_animated(flags: &u8) -> bool {
    flags & ANIMATION != 0
}

pub(super) fn put_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend(kind);
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    out.extend(&[0][..data.len() % 2]);
}

/// The chunks of a WebP: kind and data. Ends at the first one that is cut off.
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    pub fn of(file: &'a [u8]) -> Self {
        Self {
            rest: file.get(RIFF_HEAD..).unwrap_or_default(),
        }
    }

    /// Those inside a chunk.
    pub(super) fn within(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The bytes behind the last chunk so far.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, rest) = self.rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let data = rest.get(..length)?;
        self.rest = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
        Some((*kind, data))
    }
}

const RIFF_HEAD: usize = 12;
const CHUNK_HEAD: usize = 8;
/// Some programs leave the last byte out, which fills up to an even number.
const PADDING: usize = 1;
/// Place, sides, time and flags of a frame.
pub(super) const FRAME_HEAD: usize = 16;
pub(super) const ANIMATION: u8 = 0b10;
pub(super) const ALPHA: u8 = 0b1_0000;
const EXIF: u8 = 0b1000;
pub(super) const PROFILE: u8 = 0b10_0000;
/// Room for what decoders keep that does not grow with the picture.
const SMALL_CHANGE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn what_is_written_is_proven_and_what_is_added_is_not() {
        let pixels = RgbaImage::from_fn(21, 10, |x, y| Rgba([x as u8, y as u8, 7, 255]));
        let picture = Picture {
            pixels: pixels.into(),
            profile: None,
        };
        let mut written = encode(&picture, None).unwrap();
        assert!(prove(&written).is_some());
        let header = read_header(&written).unwrap();
        assert_eq!(header.size, Size { width: 21, height: 10 });
        assert_eq!(decode(&written, &header).unwrap().size(), header.size);
        written.extend(b"tail");
        assert!(prove(&written).is_none());
    }

    #[test]
    fn an_animation_of_one_frame_is_a_still_and_one_of_two_is_not() {
        let picture = Picture {
            pixels: RgbaImage::from_fn(21, 10, |x, y| Rgba([x as u8, y as u8, 7, 255])).into(),
            profile: None,
        };
        let plain = encode(&picture, None).unwrap();
        let data = Chunks::of(&plain).find(|(kind, _)| kind == b"VP8L").unwrap().1;
        let sides = [20, 0, 0, 9, 0, 0];
        let animation = |corner: u8, frames: usize| {
            let mut frame = [&[corner, 0, 0, 0, 0, 0], &sides[..], &[100, 0, 0, 0]].concat();
            put_chunk(&mut frame, *b"VP8L", data);
            let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
            put_chunk(&mut file, *b"VP8X", &[&[ANIMATION, 0, 0, 0], &sides[..]].concat());
            put_chunk(&mut file, *b"ANIM", &[0; 6]);
            (0..frames).for_each(|_| put_chunk(&mut file, *b"ANMF", &frame));
            file
        };
        let file = animation(0, 1);
        let header = read_header(&file).unwrap();
        assert_eq!(header.leniencies, [Leniency::SingleFrame]);
        assert_eq!(
            decode(&file, &header).unwrap().pixels.to_rgb8(),
            picture.pixels.to_rgb8()
        );
        for (file, frames) in [(animation(0, 2), 2), (animation(1, 1), 1)] {
            assert_eq!(read_header(&file).unwrap().parts, Parts::Frames(frames));
        }
        assert!(matches!(read_header(&animation(0, 0)), Err(Error::BrokenPicture(_))));
    }

    #[test]
    fn what_the_head_says_of_alpha_and_exif_is_taken_as_viewers_do() {
        let picture = Picture {
            pixels: RgbaImage::from_fn(21, 10, |x, y| Rgba([x as u8 * 9, y as u8 * 9, 7, 255])).into(),
            profile: None,
        };
        let plain = encode(&picture, Some(90)).unwrap();
        let (_, data) = Chunks::of(&plain).find(|(kind, _)| kind == b"VP8 ").unwrap();
        for (flags, sides) in [(ALPHA | EXIF, (10, 21)), (ALPHA, (21, 10)), (0, (21, 10))] {
            let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
            put_chunk(&mut file, *b"VP8X", &[flags, 0, 0, 0, 20, 0, 0, 9, 0, 0]);
            put_chunk(&mut file, *b"VP8 ", data);
            put_chunk(
                &mut file,
                *b"EXIF",
                b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
            );
            let file = finish(file).unwrap();
            let header = read_header(&file).unwrap();
            assert_eq!(header.upright_size(), Size::new(sides.0, sides.1));
            assert_eq!(decode(&file, &header).unwrap().size(), Size::new(21, 10));
        }
    }

    #[test]
    fn a_profile_counts_if_the_head_tells_of_it() {
        let picture = Picture {
            pixels: RgbaImage::from_fn(21, 10, |x, y| Rgba([x as u8, y as u8, 7, 255])).into(),
            profile: Some(Profile::DisplayP3),
        };
        let mut file = encode(&picture, None).unwrap();
        let shown = |file: &[u8]| decode(file, &read_header(file).unwrap()).unwrap().profile;
        assert_eq!(shown(&file), picture.profile);
        let flags = 12 + 8;
        assert_ne!(file[flags] & PROFILE, 0);
        file[flags] &= !PROFILE;
        assert_eq!(shown(&file), None);
    }
}
