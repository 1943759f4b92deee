//! JPEG through pixels: decoded by zune-jpeg, written anew by jpeg-encoder with fresh tables of like quality and the
//! same chroma sampling. The lossless road is `crate::jpeg`, which also decodes what zune-jpeg does not.

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{Format, Header, Picture, Profile, broken};
use crate::{error::Error, geometry::Size};

/// What a JPEG needs to be written again like itself.
#[derive(Clone, Copy, Debug)]
pub struct JpegFacts {
    /// 1 to 100 on libjpeg's scale, estimated from the table of the first component.
    pub quality: u8,
    /// How many times wider and higher the first component is sampled than the others.
    pub sampling: (u8, u8),
    /// Whether only `crate::jpeg` decodes it: it has arithmetic codes, or 12 bits a sample.
    pub is_uncommon: bool,
    components: u8,
    /// Whether its coefficients are in memory all at once.
    keeps_coefficients: bool,
}

impl JpegFacts {
    pub fn is_grey(&self) -> bool {
        self.components == 1
    }

    /// The pixels that are coded together: what is hidden covers whole ones.
    pub fn block(&self) -> Size {
        Size {
            width: 8 * u32::from(self.sampling.0),
            height: 8 * u32::from(self.sampling.1),
        }
    }
}

/// Walks the segments up to the first scan.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let mut orientation = None;
    let mut tables = [None; 4];
    let mut frame = None;
    for segment in Segments::of(file) {
        match segment? {
            (APP1, data) => {
                if let Some(tiff) = data.strip_prefix(b"Exif\0\0") {
                    orientation = orientation.or(Orientation::from_exif_chunk(tiff));
                }
            }
            (DQT, data) => read_tables(data, &mut tables),
            (SOF0..=SOF2 | SOF9 | SOF10, data) if frame.is_some() => {
                return Err(broken(format!("a second frame of {} bytes", data.len())));
            }
            (marker @ (SOF0..=SOF2 | SOF9 | SOF10), data) => frame = Some(Frame::read(marker, data)?),
            (0xc3 | 0xc5..=0xc7 | 0xcb | 0xcd..=0xcf, _) => {
                return Err(Error::UnsupportedFormat(
                    "lossless and hierarchical JPEG are not supported",
                ));
            }
            (SOS, data) => {
                if let Some(frame) = &mut frame {
                    let components = data.first().copied().map_or(0, usize::from);
                    frame.keeps_coefficients |= components < frame.components.len();
                }
                break;
            }
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| broken("no frame before the end"))?;
    let facts = frame.facts(&tables);
    Ok(Header {
        format: Format::Jpeg,
        size: frame.size,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        work_bytes: facts.work_bytes(frame.size),
        jpeg: Some(facts),
    })
}

pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let Size { width, height } = header.size;
    let options = DecoderOptions::default()
        .set_max_width(width as usize)
        .set_max_height(height as usize)
        .jpeg_set_max_scans(MAX_SCANS)
        .set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(unreadable)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    decoder.set_options(options.jpeg_set_out_colorspace(if grey { ColorSpace::Luma } else { ColorSpace::RGB }));
    let samples = decoder.decode().map_err(unreadable)?;
    let pixels = if grey {
        GrayImage::from_raw(width, height, samples).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, samples).map(DynamicImage::from)
    };
    let pixels = pixels.ok_or_else(|| broken("fewer pixels than its frame says"))?;
    Ok(Picture::new(pixels, decoder.icc_profile().as_deref()))
}

pub(super) fn encode(picture: &Picture, header: &Header) -> Result<Vec<u8>, Error> {
    let facts = header.jpeg.ok_or_else(|| Error::internal("a JPEG without its facts"))?;
    let mut written = Vec::with_capacity(picture.pixels.as_bytes().len() / 4);
    let mut encoder = Encoder::new(&mut written, facts.quality);
    encoder.set_sampling_factor(facts.sampling_factor(header.orientation));
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if let Some(profile) = &picture.profile {
        encoder.add_icc_profile(&profile.encode()?).map_err(Error::internal)?;
    }
    let side = |length: u32| u16::try_from(length).map_err(Error::internal);
    let Size { width, height } = picture.size();
    let (samples, colour) = match &picture.pixels {
        DynamicImage::ImageLuma8(pixels) => (pixels.as_raw(), ColorType::Luma),
        DynamicImage::ImageRgb8(pixels) => (pixels.as_raw(), ColorType::Rgb),
        other => return Err(Error::internal(format!("no JPEG of {:?}", other.color()))),
    };
    encoder
        .encode(samples, side(width)?, side(height)?, colour)
        .map_err(Error::internal)?;
    Ok(written)
}

/// Nothing but a plain JFIF head, our own profile, tables, one frame and its scans, and nothing behind the end.
pub(super) fn prove(written: &[u8]) -> Option<()> {
    let (mut frames, mut scans, mut ends) = (0, 0, 0);
    for segment in Segments::of(written) {
        match segment.ok()? {
            (APP0, data) => (data.len() == JFIF_WITHOUT_THUMBNAIL && data.starts_with(b"JFIF\0")).then_some(())?,
            (APP2, data) => Profile::is_ours(data.strip_prefix(b"ICC_PROFILE\0\x01\x01")?).then_some(())?,
            (SOF0, _) => frames += 1,
            (SOS, _) => scans += 1,
            (EOI, []) => ends += 1,
            (DQT | DHT | DRI, _) => {}
            _ => return None,
        }
    }
    (frames == 1 && scans >= 1 && ends == 1).then_some(())
}

impl JpegFacts {
    /// Pixels, their turned copy or the coefficients, and the file that is written.
    fn work_bytes(&self, size: Size) -> u64 {
        let pixels = size.pixels();
        let components = u64::from(self.components);
        let coefficients = if self.keeps_coefficients {
            2 * components * pixels
        } else {
            0
        };
        pixels * 6 + coefficients + pixels
    }

    /// The sampling as the encoder names it; a picture turned on its side has it turned too.
    fn sampling_factor(&self, orientation: Orientation) -> SamplingFactor {
        let (across, down) = self.sampling;
        let (across, down) = if super::turns_sides(orientation) {
            (down, across)
        } else {
            (across, down)
        };
        SamplingFactor::from_factors(across, down).unwrap_or(SamplingFactor::F_1_1)
    }
}

struct Frame {
    size: Size,
    /// Bits a sample.
    precision: u8,
    is_uncommon: bool,
    keeps_coefficients: bool,
    /// Sampling and table of each component.
    components: Vec<(u8, u8, u8)>,
}

impl Frame {
    fn read(marker: u8, data: &[u8]) -> Result<Self, Error> {
        let [precision, h1, h0, w1, w0, count, components @ ..] = data else {
            return Err(broken("its frame is too short"));
        };
        if *precision != 8 && (*precision != 12 || marker == SOF0) {
            return Err(Error::UnsupportedFormat(
                "JPEG with other than 8 or 12 bits a sample is not supported",
            ));
        }
        let size = Size {
            width: u32::from(u16::from_be_bytes([*w1, *w0])),
            height: u32::from(u16::from_be_bytes([*h1, *h0])),
        };
        let components: Vec<_> = components
            .chunks_exact(3)
            .take(usize::from(*count))
            .map(|component| (component[1] >> 4, component[1] & 15, component[2] & 3))
            .collect();
        if components.len() != usize::from(*count)
            || components.iter().any(|(across, down, _)| *across == 0 || *down == 0)
        {
            return Err(broken("its frame does not describe its components"));
        }
        match components.len() {
            1 | 3 | 4 => Ok(Self {
                size,
                precision: *precision,
                is_uncommon: matches!(marker, SOF9 | SOF10) || *precision != 8,
                keeps_coefficients: matches!(marker, SOF2 | SOF9 | SOF10),
                components,
            }),
            _ => Err(Error::UnsupportedFormat(
                "JPEG with other than 1, 3 or 4 components is not supported",
            )),
        }
    }

    fn facts(&self, tables: &[Option<u32>; 4]) -> JpegFacts {
        let (across, down, table) = self.components[0];
        let sampling = match self.components.get(1) {
            Some((chroma_across, chroma_down, _)) => ((across / chroma_across).max(1), (down / chroma_down).max(1)),
            None => (1, 1),
        };
        JpegFacts {
            // A step of 16 in 12 bits is one of 1 in 8 bits.
            quality: tables[usize::from(table)].map_or(DEFAULT_QUALITY, |sum| quality_of(sum >> (self.precision - 8))),
            sampling,
            is_uncommon: self.is_uncommon,
            components: self.components.len() as u8,
            keeps_coefficients: self.keeps_coefficients,
        }
    }
}

/// Keeps the sum of every quantisation table in a DQT segment.
fn read_tables(mut data: &[u8], sums: &mut [Option<u32>; 4]) {
    while let [head, rest @ ..] = data {
        let bytes = if head >> 4 == 0 { 1 } else { 2 };
        let Some((table, next)) = rest.split_at_checked(64 * bytes) else {
            return;
        };
        let value = |entry: &[u8]| entry.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        sums[usize::from(head & 3)] = Some(table.chunks_exact(bytes).map(value).sum());
        data = next;
    }
}

/// The quality at which libjpeg's scaling of the standard brightness table has this sum, within sane bounds.
fn quality_of(sum: u32) -> u8 {
    let scale = sum * 100 / STANDARD_TABLE_SUM;
    let quality = if scale <= 100 { 100 - scale / 2 } else { 5000 / scale };
    (quality as u8).clamp(LEAST_QUALITY, MOST_QUALITY)
}

/// The marker segments of a JPEG: marker and payload; coded data is passed over. The payload of the end marker is all
/// that lies behind it.
struct Segments<'a> {
    rest: Option<&'a [u8]>,
    /// What comes next begins with coded data.
    in_scan: bool,
}

impl<'a> Segments<'a> {
    fn of(file: &'a [u8]) -> Self {
        Self {
            rest: file.get(2..),
            in_scan: false,
        }
    }

    fn step(&mut self, bytes: &'a [u8]) -> Option<(u8, &'a [u8])> {
        let marker_at = bytes.iter().position(|byte| *byte != 0xff).filter(|at| *at > 0)?;
        let (marker, behind) = (bytes[marker_at], &bytes[marker_at + 1..]);
        if marker == EOI {
            return Some((EOI, behind));
        }
        let length = usize::from(u16::from_be_bytes(*behind.first_chunk()?));
        let (segment, rest) = behind.split_at_checked(length)?;
        self.rest = Some(rest);
        Some((marker, segment.get(2..)?))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<(u8, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest.take()?;
        let coded = bytes
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | RST0..=RST7));
        let segment = coded
            .filter(|at| *at == 0 || self.in_scan)
            .and_then(|at| self.step(&bytes[at..]));
        self.in_scan = matches!(segment, Some((SOS, _)));
        Some(segment.ok_or_else(|| broken("its segments cannot be followed")))
    }
}

fn unreadable(error: zune_jpeg::errors::DecodeErrors) -> Error {
    broken(format!("{error:?}"))
}

const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const DHT: u8 = 0xc4;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;
const EOI: u8 = 0xd9;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const SOF9: u8 = 0xc9;
const SOF10: u8 = 0xca;
const SOS: u8 = 0xda;

/// Version, density and a thumbnail of 0 × 0 pixels.
const JFIF_WITHOUT_THUMBNAIL: usize = 14;
/// A progressive picture needs about ten; hostile ones bring thousands to keep the decoder busy.
const MAX_SCANS: usize = 64;
const DEFAULT_QUALITY: u8 = 90;
const LEAST_QUALITY: u8 = 60;
const MOST_QUALITY: u8 = 95;
/// Of the brightness table in Annex K of ITU-T T.81.
const STANDARD_TABLE_SUM: u32 = 3688;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn quality_and_sampling_are_read_from_the_file() {
        for quality in [65, 75, 85, 90, 95] {
            let header = read_header(&sample(quality, SamplingFactor::F_2_1)).unwrap();
            let facts = header.jpeg.unwrap();
            assert!(
                facts.quality.abs_diff(quality) <= 1,
                "{quality} read as {}",
                facts.quality
            );
            assert_eq!(facts.sampling, (2, 1));
            assert_eq!(header.size, Size { width: 40, height: 24 });
        }
    }

    #[test]
    fn what_is_written_is_proven_and_what_is_added_is_not() {
        let header = read_header(&sample(90, SamplingFactor::F_2_2)).unwrap();
        let picture = decode(&sample(90, SamplingFactor::F_2_2), &header).unwrap();
        let mut written = encode(&picture, &header).unwrap();
        assert!(prove(&written).is_some());
        written.extend(b"tail");
        assert!(prove(&written).is_none());
    }

    #[test]
    fn a_comment_is_no_part_of_a_proven_picture() {
        let mut written = sample(90, SamplingFactor::F_1_1);
        written.splice(2..2, [0xff, 0xfe, 0, 4, b'h', b'i']);
        assert!(prove(&written).is_none());
    }

    #[test]
    fn a_file_of_several_scans_is_counted_with_its_coefficients() {
        let mut file = sample(90, SamplingFactor::F_1_1);
        let whole = read_header(&file).unwrap().work_bytes;
        let scan = file.windows(2).position(|pair| pair == [0xff, SOS]).unwrap();
        file[scan + 4] = 1;
        assert_eq!(read_header(&file).unwrap().work_bytes, whole + 40 * 24 * 3 * 2);
    }

    #[test]
    fn the_sampling_is_turned_with_the_picture() {
        let facts = read_header(&sample(90, SamplingFactor::F_2_1)).unwrap().jpeg.unwrap();
        assert_eq!(facts.sampling_factor(Orientation::Rotate90), SamplingFactor::F_1_2);
    }

    #[test]
    fn what_has_no_such_coefficients_is_refused_by_name() {
        let file = sample(90, SamplingFactor::F_1_1);
        let frame = file.windows(2).position(|pair| pair == [0xff, SOF0]).unwrap();
        let with = |marker: u8, precision: u8| {
            let mut file = file.clone();
            (file[frame + 1], file[frame + 4]) = (marker, precision);
            read_header(&file)
        };
        for (marker, precision) in [(SOF0, 12), (0xc1, 10), (0xc3, 8), (0xcb, 8), (0xc5, 8), (0xcd, 8)] {
            assert!(
                matches!(with(marker, precision), Err(Error::UnsupportedFormat(_))),
                "{marker:#x} {precision}"
            );
        }
        for marker in [0xc1, SOF2, SOF9, SOF10] {
            assert!(with(marker, 12).is_ok());
        }
    }

    #[test]
    fn an_arithmetic_file_is_counted_with_its_coefficients() {
        let mut file = sample(90, SamplingFactor::F_1_1);
        let whole = read_header(&file).unwrap().work_bytes;
        let frame = file.windows(2).position(|pair| pair == [0xff, SOF0]).unwrap();
        file[frame + 1] = SOF9;
        let header = read_header(&file).unwrap();
        assert!(header.jpeg.unwrap().is_uncommon);
        assert_eq!(header.work_bytes, whole + 40 * 24 * 3 * 2);
    }

    fn sample(quality: u8, sampling: SamplingFactor) -> Vec<u8> {
        let mut written = Vec::new();
        let mut encoder = Encoder::new(&mut written, quality);
        encoder.set_sampling_factor(sampling);
        let samples: Vec<u8> = (0..40 * 24 * 3).map(|index| (index % 251) as u8).collect();
        encoder.encode(&samples, 40, 24, ColorType::Rgb).unwrap();
        written
    }
}
