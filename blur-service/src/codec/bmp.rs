//! BMP of 1 to 32 bits and palettes, by `image`, which does not see run lengths; it is never written.

use std::{borrow::Cow, io::Cursor};

use image::{DynamicImage, ImageDecoder, codecs::bmp::BmpDecoder};

use super::{
    Density, Format, Header, Picture, Space,
    bmp_head::{self, density, profile, runs, usual, without_runs},
    bmp_runs::End,
    broken,
    colour::channels_of,
    unreadable,
    webp::limits,
};
use crate::{error::Error, geometry::Size, jpeg::Leniency};

/// Reads the head and the palette.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let usual = usual(file);
    let (width, height) = decoder(&usual)?.dimensions();
    let size = Size { width, height };
    let runs = match runs(&usual, size).map(|runs| (runs.check(), runs.is_upside_down)) {
        Some((End::Cut, _)) => return Err(broken("the file ends before its picture does")),
        Some((End::Broken, _) | (_, true)) => Some(Leniency::BrokenRuns),
        Some((End::Unmarked, _)) => Some(Leniency::NoEnd),
        Some((End::Marked, _)) | None => None,
    };
    let head = (!bmp_head::is_whole(file)).then_some(Leniency::NoFileHead);
    // Pixels, their copy without alpha or the file that is written, three views.
    let work_bytes = size.pixels() * (4 + 4 + 9);
    Ok(Header {
        density: density(&usual).and_then(Density::of_bmp),
        leniencies: head.into_iter().chain(runs).collect(),
        ..Header::new(Format::Bmp, size, work_bytes)
    })
}

pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let file = usual(file);
    let mut decoder = decoder(&file)?;
    let pixels: DynamicImage = match (runs(&file, header.size), decoder.get_palette()) {
        (Some(runs), Some(palette)) => runs.draw(palette).into(),
        _ => {
            decoder.set_limits(limits(header)).map_err(unreadable)?;
            DynamicImage::from_decoder(decoder).map_err(unreadable)?
        }
    };
    let channels = channels_of(&pixels);
    Picture::new(pixels, Space::of(profile(&file).unwrap_or_default(), channels)?)
}

/// Of the head, and of pixels that are not in runs: of those it is told that they are none, since it refuses some.
fn decoder(usual: &[u8]) -> Result<BmpDecoder<Cursor<Cow<'_, [u8]>>>, Error> {
    let file = without_runs(usual).map_or(Cow::Borrowed(usual), Cow::Owned);
    BmpDecoder::new(Cursor::new(file)).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codec::Profile;

    #[test]
    fn a_picture_upside_down_in_the_file_is_upright() {
        let file = sample(2, &[[1, 2, 3], [4, 5, 6]]);
        let header = read_header(&file).unwrap();
        assert_eq!(header.size, Size { width: 1, height: 2 });
        assert!(header.density.is_some());
        let pixels = decode(&file, &header).unwrap().pixels.to_rgb8();
        assert_eq!(
            (pixels.get_pixel(0, 0).0, pixels.get_pixel(0, 1).0),
            ([6, 5, 4], [3, 2, 1])
        );
    }

    #[test]
    fn the_longer_head_of_os_2_and_any_number_of_planes_are_read() {
        let file = sample(1, &[[1, 2, 3]]);
        let mut planes = file.clone();
        planes[26] = 187;
        let mut longer = [&file[..54], &[0; 24], &file[54..]].concat();
        (longer[14], longer[10]) = (64, 78);
        for file in [planes, longer] {
            let header = read_header(&file).unwrap();
            let pixels = decode(&file, &header).unwrap().pixels.to_rgb8();
            assert_eq!(pixels.get_pixel(0, 0).0, [3, 2, 1]);
        }
    }

    #[test]
    fn masks_with_one_for_alpha_are_read_and_a_profile_counts() {
        let file = sample(1, &[[1, 2, 3]]);
        let masks = [0xff_u32 << 16, 0xff << 8, 0xff, 0xff << 24]
            .map(u32::to_le_bytes)
            .concat();
        let mut with_alpha = [&file[..54], &masks, &[1, 2, 3, 200]].concat();
        (with_alpha[28], with_alpha[30], with_alpha[10]) = (32, 6, 70);
        for file in [&with_alpha[..], &with_alpha[14..]] {
            let pixels = decode(file, &Header::read(file).unwrap()).unwrap().pixels;
            assert_eq!(pixels.as_rgba8().unwrap().get_pixel(0, 0).0, [3, 2, 1, 200]);
        }

        let icc = Profile::AdobeRgb.file();
        let numbers = [128, icc.len() as u32, 0].map(u32::to_le_bytes).concat();
        let rest = [
            &[0; 16],
            &b"DEBM"[..],
            &[0; 48],
            &[4, 0, 0, 0],
            &numbers,
            &[1, 2, 3, 0],
            icc,
        ]
        .concat();
        let mut with_profile = [&file[..54], &rest].concat();
        (with_profile[14], with_profile[10]) = (124, 138);
        let profile = |file: &[u8]| decode(file, &read_header(file).unwrap()).unwrap().profile;
        assert_eq!(profile(&with_profile), Some(Profile::AdobeRgb));
        assert!(bmp_head::has_profile(&with_profile) && !bmp_head::has_profile(&file));
        // Beyond the file's end there is none.
        with_profile.truncate(with_profile.len() - 1);
        assert_eq!(profile(&with_profile), None);
    }

    #[test]
    fn the_head_of_the_picture_is_enough() {
        let file = sample(1, &[[1, 2, 3]]);
        let header = Header::read(&file[14..]).unwrap();
        assert_eq!(
            (header.format, header.leniencies.as_slice()),
            (Format::Bmp, &[Leniency::NoFileHead][..])
        );
        let pixels = [decode(&file, &header), decode(&file[14..], &header)].map(|picture| picture.unwrap().pixels);
        assert_eq!(pixels[0], pixels[1]);
        assert!(Header::read(&[&[40, 0, 0, 0][..], &[7; 60]].concat()).is_err());
    }

    #[test]
    fn runs_are_read_from_above_too_and_their_faults_named() {
        let mut file = sample(2, &[]);
        (file[18], file[28], file[30], file[46], file[10]) = (2, 8, 1, 2, 62);
        file.extend([0, 0, 0, 0, 7, 8, 9, 0]);
        let read = |file: &[u8], runs: &[u8]| {
            let file = [file, runs].concat();
            let header = Header::read(&file)?;
            let pixels = decode(&file, &header)?.pixels.to_rgb8();
            Ok::<_, Error>((header.leniencies, pixels.get_pixel(0, 0).0))
        };
        let runs = [2, 0, 0, 0, 2, 1, 0, 1];
        assert_eq!(read(&file, &runs).unwrap(), (Vec::new(), [9, 8, 7]));
        assert_eq!(read(&file, &runs[..6]).unwrap(), (vec![Leniency::NoEnd], [9, 8, 7]));
        assert_eq!(
            read(&file, &[2, 0, 0, 0, 5, 1, 0, 1]).unwrap().0,
            [Leniency::BrokenRuns]
        );
        assert!(read(&file, &runs[..4]).is_err());
        file[22..26].copy_from_slice(&(-2i32).to_le_bytes());
        assert_eq!(read(&file, &runs).unwrap(), (vec![Leniency::BrokenRuns], [0; 3]));
    }

    #[test]
    fn a_head_that_promises_too_much_is_read_without_allocating() {
        let file = sample(i32::MAX, &[[1, 2, 3]]);
        match read_header(&file) {
            Ok(header) => assert!(header.check_pixels(1 << 26).is_err()),
            Err(error) => assert_eq!(error.status(), 422),
        }
    }

    /// A picture one pixel wide, its rows from the lowest up.
    fn sample(height: i32, rows: &[[u8; 3]]) -> Vec<u8> {
        let numbers = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut file = b"BM".to_vec();
        file.extend(numbers(&[54 + 4 * rows.len() as u32, 0, 54, 40, 1, height as u32]));
        file.extend([1, 0, 24, 0]);
        file.extend(numbers(&[0, 0, 2835, 2835, 0, 0]));
        rows.iter().for_each(|row| file.extend([&row[..], &[0]].concat()));
        file
    }
}
