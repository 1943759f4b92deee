//! PNG of 8 and 16 bits, palettes, alpha and interlacing, by the `png` crate under `image`; written as 8 or 16 bits
//! without a palette. Animated ones are refused: a face could hide in any frame.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder},
    metadata::Orientation,
};

use super::{Format, Header, Picture, broken};
use crate::{error::Error, geometry::Size};

/// Walks the chunks up to the picture data.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let mut frame = None;
    let mut orientation = Orientation::NoTransforms;
    for (kind, data) in Chunks::of(file) {
        match &kind {
            b"IHDR" => frame = Some(Frame::read(data)?),
            b"acTL" => {
                return Err(Error::UnsupportedFormat(
                    "animated PNG is not supported: a face could hide in any frame",
                ));
            }
            b"eXIf" => orientation = Orientation::from_exif_chunk(data).unwrap_or(orientation),
            b"IDAT" => break,
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| broken("no header chunk"))?;
    let work_bytes = frame.work_bytes();
    Ok(Header {
        format: Format::Png,
        size: frame.size,
        orientation,
        work_bytes,
        jpeg: None,
    })
}

pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let mut decoder = PngDecoder::with_limits(Cursor::new(file), super::webp::limits(header)).map_err(broken)?;
    let icc = decoder.icc_profile().ok().flatten();
    let pixels = DynamicImage::from_decoder(decoder).map_err(broken)?;
    Ok(Picture::new(pixels, icc.as_deref()))
}

pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>, Error> {
    let mut written = Vec::with_capacity(picture.pixels.as_bytes().len() / 2);
    let mut encoder = PngEncoder::new_with_quality(&mut written, CompressionType::Fast, FilterType::Adaptive);
    if let Some(profile) = &picture.profile {
        encoder.set_icc_profile(profile.encode()?).map_err(Error::internal)?;
    }
    picture.pixels.write_with_encoder(encoder).map_err(Error::internal)?;
    Ok(written)
}

/// Nothing but a header, our own profile and picture data, and the end chunk at the very end.
pub(super) fn prove(written: &[u8]) -> Option<()> {
    let mut length = SIGNATURE;
    let mut last = *b"none";
    for (kind, data) in Chunks::of(written) {
        if !matches!(&kind, b"IHDR" | b"iCCP" | b"IDAT" | b"IEND") {
            return None;
        }
        length += CHUNK_OVERHEAD + data.len();
        last = kind;
    }
    (last == *b"IEND" && length == written.len()).then_some(())
}

struct Frame {
    size: Size,
    bytes_per_pixel: u64,
}

impl Frame {
    fn read(data: &[u8]) -> Result<Self, Error> {
        let [w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, ..] = data else {
            return Err(broken("its header chunk is too short"));
        };
        let channels = match colour {
            0 => 1,
            2 => 3,
            // A palette may come with alpha.
            3 | 6 => 4,
            4 => 2,
            _ => return Err(broken(format!("no such colour type as {colour}"))),
        };
        Ok(Self {
            size: Size {
                width: u32::from_be_bytes([*w3, *w2, *w1, *w0]),
                height: u32::from_be_bytes([*h3, *h2, *h1, *h0]),
            },
            bytes_per_pixel: channels * if *depth == 16 { 2 } else { 1 },
        })
    }

    /// Pixels, their turned copy or the file that is written, and what the detector sees: up to three views.
    fn work_bytes(&self) -> u64 {
        self.size.pixels().saturating_mul(2 * self.bytes_per_pixel + 9)
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

const SIGNATURE: usize = 8;
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
        let mut written = encode(&Picture {
            pixels: pixels.into(),
            profile: None,
        })
        .unwrap();
        assert!(prove(&written).is_some());
        assert_eq!(read_header(&written).unwrap().size, Size { width: 20, height: 10 });
        written.extend(b"tail");
        assert!(prove(&written).is_none());
    }

    #[test]
    fn a_head_that_promises_too_much_is_read_without_allocating() {
        let mut file = encode(&Picture {
            pixels: DynamicImage::new_luma8(1, 1),
            profile: None,
        })
        .unwrap();
        for side in [0x7f, 0xff] {
            file[16..24].copy_from_slice(&[side, 0xff, 0xff, 0xff, side, 0xff, 0xff, 0xff]);
            let header = read_header(&file).unwrap();
            assert!(matches!(header.check_pixels(1 << 26), Err(Error::TooManyPixels { .. })));
            assert!(header.work_bytes > header.size.pixels());
        }
    }
}
