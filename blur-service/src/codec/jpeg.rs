//! JPEG through pixels: written anew by jpeg-encoder with fresh tables of like quality and the same chroma sampling.
//! What reads it, on this road as on the lossless one, is `crate::jpeg`.

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::{Density, Format, Header, JpegFacts, Picture, Profile, Space, colour, output::opaque};
use crate::{
    error::Error,
    geometry::Size,
    jpeg::{
        Channels, Jpeg, JpegError, Limits, Pixels, Unsupported,
        syntax::{
            density::JFIF_LENGTH,
            marker::{self, Segments},
        },
    },
};

/// Reads the head, up to the first scan.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let jpeg = Jpeg::parse(file, &ANY_SIZE)?;
    if let Err(kind) = jpeg.supported()
        && !kind.may_be_recoded()
    {
        return Err(JpegError::from(kind).into());
    }
    let facts = JpegFacts::of(&jpeg);
    Ok(Header {
        orientation: Orientation::from_exif(jpeg.orientation()).unwrap_or(Orientation::NoTransforms),
        density: jpeg.density.map(Density::of_jpeg),
        jpeg: Some(facts),
        leniencies: jpeg.leniencies().to_vec(),
        ..Header::new(Format::Jpeg, jpeg.size(), facts.work_bytes(jpeg.size()))
    })
}

pub(super) fn decode(file: &[u8], header: &Header, go_on: &dyn Fn() -> bool) -> Result<Picture, Error> {
    let limits = Limits {
        // The service's own limit was kept before.
        pixels: header.size.pixels(),
        ..Limits::default()
    };
    let jpeg = Jpeg::parse(file, &limits)?;
    let space = Space::of(&jpeg.icc().unwrap_or_default(), jpeg.channels())?;
    let mut pixels = decoded(&jpeg, &limits, go_on)?;
    match &space {
        Space::Other(profile) if pixels.channels == Channels::Inks => {
            colour::print(&mut pixels.samples, profile)?;
            Picture::new(image(pixels)?, Space::Plain)
        }
        _ => Picture::new(image(pixels)?, space),
    }
}

/// All pixels, as stored.
fn decoded(jpeg: &Jpeg, limits: &Limits, go_on: &dyn Fn() -> bool) -> Result<Pixels, Error> {
    match jpeg.supported() {
        Ok(()) => Ok(jpeg.pixels(go_on)?),
        Err(kind) if kind.may_be_recoded() => {
            let file = jpeg.in_one_scan(go_on)?;
            Ok(Jpeg::parse(&file, limits)?.pixels(go_on)?)
        }
        Err(kind) => Err(JpegError::from(kind).into()),
    }
}

fn image(pixels: Pixels) -> Result<DynamicImage, Error> {
    let Size { width, height } = pixels.size;
    let image = match pixels.channels {
        Channels::Grey => GrayImage::from_raw(width, height, pixels.samples).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels.samples).map(DynamicImage::from),
    };
    image.ok_or_else(|| Error::internal("fewer samples than pixels"))
}

/// Writes the pixels, upon white where they have an alpha channel.
pub(super) fn encode(
    picture: &Picture,
    quality: u8,
    sampling: SamplingFactor,
    density: Option<Density>,
) -> Result<Vec<u8>, Error> {
    let pixels = opaque(&picture.pixels);
    let mut written = Vec::with_capacity(pixels.as_bytes().len() / 4);
    let mut encoder = Encoder::new(&mut written, quality);
    encoder.set_sampling_factor(sampling);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if let Some(density) = density.and_then(Density::in_jpeg) {
        encoder.set_density(density);
    }
    if let Some(profile) = picture.profile {
        encoder.add_icc_profile(profile.file()).map_err(Error::internal)?;
    }
    let (width, height) = picture.size().in_16_bits()?;
    let colour = match pixels.color() {
        image::ColorType::L8 => ColorType::Luma,
        _ => ColorType::Rgb,
    };
    encoder
        .encode(pixels.as_bytes(), width, height, colour)
        .map_err(Error::internal)?;
    Ok(written)
}

/// Nothing but a plain JFIF head, our own profile, tables, one frame and its one scan, and nothing behind the end.
pub(super) fn prove(written: &[u8]) -> Option<()> {
    let mut segments = Segments::new(written, 2);
    loop {
        let at = segments.at();
        let segment = segments.next().ok()??;
        // Nothing stands between two segments.
        (segment.at == at + 4).then_some(())?;
        match segment.marker {
            marker::APP0 => (segment.body.len() == JFIF_LENGTH && segment.body.starts_with(b"JFIF\0")).then_some(())?,
            marker::APP2 => Profile::is_ours(segment.body.strip_prefix(b"ICC_PROFILE\0\x01\x01")?).then_some(())?,
            0xc0 | marker::QUANTISATION_TABLES | marker::HUFFMAN_TABLES | marker::RESTART_INTERVAL => {}
            marker::START_OF_SCAN => break,
            _ => return None,
        }
    }
    let jpeg = Jpeg::parse(written, &ANY_SIZE).ok()?;
    let end = match jpeg.scan(None, &|| true) {
        Ok(scan) => scan.is_tidy().then_some(scan.end())?,
        // The encoder has a scan for each component where a unit would be large.
        Err(JpegError::Unsupported(Unsupported::MultipleScans)) => end_of_scans(written, segments.at())?,
        Err(_) => return None,
    };
    (written.get(end..)? == [0xff, marker::END_OF_IMAGE]).then_some(())
}

/// Where the coded data of the last scan ends, if nothing but scans follows the first one, which begins at `at`.
fn end_of_scans(written: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        let (next, behind) = marker::next_marker(written, at)?;
        match next {
            marker::FIRST_RESTART..=marker::LAST_RESTART => at = behind,
            marker::START_OF_SCAN => {
                let mut segments = Segments::new(written, behind - 2);
                segments.next().ok()??;
                at = segments.at();
            }
            marker::END_OF_IMAGE => return Some(behind - 2),
            _ => return None,
        }
    }
}

/// How many pixels a file may say to have, where that is judged later.
const ANY_SIZE: Limits = Limits {
    pixels: u64::MAX,
    ..Limits::DEFAULT
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SOF0: u8 = 0xc0;
    const SOF2: u8 = 0xc2;
    const SOF9: u8 = 0xc9;
    const SOF10: u8 = 0xca;
    const SOS: u8 = marker::START_OF_SCAN;

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
        let picture = decode(&sample(90, SamplingFactor::F_2_2), &header, &|| true).unwrap();
        let mut written = encode(&picture, 90, SamplingFactor::F_2_2, header.density).unwrap();
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
        // One component of the three.
        (file[scan + 3], file[scan + 4]) = (8, 1);
        file.drain(scan + 7..scan + 11);
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
