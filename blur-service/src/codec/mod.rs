//! Pictures in and out: what a file is, by its first bytes; how large, before a pixel is allocated; its pixels; and the
//! way back, without anything but them. One file per format.

mod animation;
mod apng;
mod bmp;
mod bmp_head;
mod bmp_runs;
mod boxes;
mod coded;
mod colour;
mod density;
mod frames;
mod gif;
mod header;
mod heif;
mod jpeg;
mod jpeg_facts;
mod orientation;
mod output;
mod picture;
mod png;
mod png_faults;
mod shared;
mod tiff;
mod vp8;
mod webp;
mod webp_frames;

use header::{broken, guarded, unreadable};

use crate::error::Error;

pub use animation::{FramesWriter, frames};
pub use bmp_head::has_profile as bmp_has_profile;
pub use boxes::{Boxes, Items};
pub use coded::Coded;
pub use colour::{Profile, Space};
pub use density::Density;
pub use frames::{Delay, Frame, Frames, Plan as FramesPlan};
pub use gif::{Block as GifBlock, Blocks as GifBlocks};
pub use header::{Format, Header, Parts};
pub use heif::{Numbers, formats_read, start_hevc};
pub use jpeg_facts::JpegFacts;
pub use orientation::{to_stored, to_upright, turns_sides};
pub use output::{Output, Wanted};
pub use picture::{Picture, without_alpha};
pub use png::Chunks as PngChunks;
pub use tiff::{Pages, Writer as TiffWriter};
pub use webp::Chunks as WebPChunks;

impl Header {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// [`Error::UnsupportedFormat`] for anything that is not a picture of a known kind, with the reason;
    /// [`Error::BrokenPicture`] for a head that cannot be followed.
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        match Format::sniff(file)? {
            Format::Jpeg => jpeg::read_header(file),
            Format::Png => png::read_header(file),
            Format::WebP => webp::read_header(file),
            Format::Gif => gif::read_header(file),
            Format::Bmp => guarded(|| bmp::read_header(file)),
            Format::Tiff => guarded(|| tiff::read_header(file)),
            Format::Avif | Format::Heic => heif::read_header(file),
        }
    }
}

impl Format {
    /// Decodes a whole file and turns it upright. `go_on` is asked now and then.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`], [`Error::Stopped`]; nothing decoded so far is kept.
    pub fn decode(self, file: &[u8], header: &Header, go_on: &dyn Fn() -> bool) -> Result<Picture, Error> {
        let mut picture = match self {
            // Ours: if it panics, that is no fault of the file.
            Self::Jpeg => jpeg::decode(file, header, go_on),
            other => guarded(|| other.decode_by_others(file, header, go_on)),
        }?;
        picture.pixels.apply_orientation(header.orientation);
        Ok(picture)
    }

    fn decode_by_others(self, file: &[u8], header: &Header, go_on: &dyn Fn() -> bool) -> Result<Picture, Error> {
        match self {
            Self::Jpeg => Err(Error::internal("JPEG is read by this crate")),
            Self::Png => png::decode(file, header),
            Self::WebP => webp::decode(file, header),
            Self::Gif => gif::decode(file, header),
            Self::Bmp => bmp::decode(file, header),
            Self::Tiff => tiff::decode(file),
            Self::Avif | Self::Heic => heif::decode(file, header, go_on),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn formats_that_are_known_but_not_read_are_named() {
        for (head, word) in [
            (b"\0\0\0\x1cftypheic".as_slice(), "HEIC"),
            (b"\0\0\0\x1cftypcrx ", "RAW"),
            (b"IIRO\x08\0\0\0", "RAW"),
            (b"8BPS\0\x01", "PSD"),
            (b"%PDF-1.7", "PDF"),
            (b"\0\0\0\x0cjP  ", "JPEG 2000"),
            (b"\xff\x0a", "JPEG XL"),
            (b"<?xml version='1.0'?>\n<svg xmlns=''/>", "SVG"),
            (b"\0\0\x01\0", "ICO"),
            (b"\0\0\0\x1cftypmif2", "HEIC"),
            (b"P6\n4 4\n255\n", "PPM"),
            (b"\x76\x2f\x31\x01", "HDR"),
            (b"#?RADIANCE\n", "HDR"),
            (b"qoif", "QOI"),
            (b"\x0a\x05\x01\x08", "PCX"),
            (b"%!PS-Adobe", "PostScript"),
            (b"hello", "first bytes"),
        ] {
            match Header::read(head) {
                Err(Error::UnsupportedFormat(reason)) => assert!(reason.contains(word), "{reason}"),
                other => panic!("{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_few_bytes_that_unfold_to_a_huge_picture_are_refused() {
        let header = |width: u8| {
            let file = [
                &b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"[..],
                &[0, width, 0, 0, 0x20, 0],
            ]
            .concat();
            Header::read(&file)
        };
        assert!(matches!(
            header(0x20).map(|header| header.check_ratio(1000)),
            Ok(Err(Error::TooCompressed { ratio: 201_375, .. }))
        ));
        assert!(matches!(
            header(0x20).map(|header| header.check_ratio(100_000)),
            Ok(Ok(()))
        ));
        assert!(matches!(
            header(0x02).map(|header| header.check_ratio(1000)),
            Ok(Ok(()))
        ));
    }

    #[test]
    fn a_blank_page_of_one_bit_is_no_danger() {
        let header = |pixel_bits: u32| {
            let size = Size {
                width: 9921,
                height: 14_032,
            };
            let header = header::Header::new(Format::Tiff, size, 0);
            Header { pixel_bits, ..header }.check_ratio(14_032 / 8)
        };
        assert!(header(1).is_ok());
        assert!(matches!(header(8), Err(Error::TooCompressed { .. })));
    }

    #[test]
    fn an_empty_body_is_a_bad_request() {
        assert!(matches!(Header::read(b""), Err(Error::BadRequest(_))));
    }
}
