//! BMP of 1 to 32 bits, run lengths and palettes, by `image`; it is never written.

use std::{borrow::Cow, io::Cursor, ops::Range};

use image::{DynamicImage, ImageDecoder, codecs::bmp::BmpDecoder};

use super::{Density, Format, Header, Picture, Space, unreadable, webp::limits};
use crate::{error::Error, geometry::Size};

/// Reads the head and the palette.
pub(super) fn read_header(file: &[u8]) -> Result<Header, Error> {
    let decoder = BmpDecoder::new(Cursor::new(usual(file))).map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let size = Size { width, height };
    // Pixels, their copy without alpha or the file that is written, three views.
    let work_bytes = size.pixels() * (4 + 4 + 9);
    Ok(Header {
        density: file.get(DENSITY..DENSITY + 8).and_then(Density::of_bmp),
        ..Header::new(Format::Bmp, size, work_bytes)
    })
}

pub(super) fn decode(file: &[u8], header: &Header) -> Result<Picture, Error> {
    let mut decoder = BmpDecoder::new(Cursor::new(usual(file))).map_err(unreadable)?;
    decoder.set_limits(limits(header)).map_err(unreadable)?;
    let pixels = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    Picture::new(pixels, Space::Plain)
}

/// The file as Windows would have written it: OS/2 has a longer head, whose beginning is the same, and some programs write
/// any number of planes, which means nothing.
fn usual(file: &[u8]) -> Cow<'_, [u8]> {
    let head = file
        .get(HEAD)
        .map(|length| u32::from_le_bytes([length[0], length[1], length[2], length[3]]));
    match (head, file.get(PLANES)) {
        (Some(OS2_HEAD), _) => without_rest_of_head(file).map_or(Cow::Borrowed(file), Cow::Owned),
        (Some(WINDOWS_HEAD..), Some(planes)) if planes != ONE_PLANE => {
            let mut changed = file.to_vec();
            changed[PLANES].copy_from_slice(ONE_PLANE);
            Cow::Owned(changed)
        }
        _ => Cow::Borrowed(file),
    }
}

fn without_rest_of_head(file: &[u8]) -> Option<Vec<u8>> {
    let compression = file.get(COMPRESSION)?;
    // From three on the numbers mean something else than in Windows.
    if compression.iter().any(|byte| *byte > 2) {
        return None;
    }
    let start = u32::from_le_bytes(*file.get(START)?.first_chunk()?);
    let start = start.checked_sub(OS2_HEAD - WINDOWS_HEAD)?.to_le_bytes();
    let behind = file.get(HEAD.start + OS2_HEAD as usize..)?;
    let kept = file.get(HEAD.end..HEAD.start + WINDOWS_HEAD as usize)?;
    let head = [&file[..START.start], &start, &WINDOWS_HEAD.to_le_bytes(), kept];
    let mut file = [head.concat(), behind.to_vec()].concat();
    file.get_mut(PLANES)?.copy_from_slice(ONE_PLANE);
    Some(file)
}

/// Where pixels begin, how long the head is, how many planes and which compression it tells.
const START: Range<usize> = 10..14;
const HEAD: Range<usize> = 14..18;
const PLANES: Range<usize> = 26..28;
const COMPRESSION: Range<usize> = 30..34;
const WINDOWS_HEAD: u32 = 40;
const OS2_HEAD: u32 = 64;
const ONE_PLANE: &[u8] = &[1, 0];
/// Where pixels a metre are, across and down.
const DENSITY: usize = 38;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

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
        planes[PLANES].copy_from_slice(&[187, 0]);
        let mut longer = [&file[..54], &[0; 24], &file[54..]].concat();
        longer[HEAD].copy_from_slice(&OS2_HEAD.to_le_bytes());
        longer[START].copy_from_slice(&78u32.to_le_bytes());
        for file in [planes, longer] {
            let header = read_header(&file).unwrap();
            let pixels = decode(&file, &header).unwrap().pixels.to_rgb8();
            assert_eq!(pixels.get_pixel(0, 0).0, [3, 2, 1]);
        }
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
