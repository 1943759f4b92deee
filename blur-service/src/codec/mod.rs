//! Pictures in and out: what a file is, by its first bytes; how large, before a pixel is allocated; its pixels; and the
//! way back, without anything but them. One file per format.

mod colour;
mod density;
mod jpeg;
mod orientation;
mod picture;
mod png;
mod webp;

use image::{ImageError, metadata::Orientation};

use crate::{error::Error, geometry::Size, jpeg::Leniency, redact::Blocks};

pub use colour::{Profile, Space};
pub use density::Density;
pub use jpeg::JpegFacts;
pub use orientation::{to_stored, to_upright, turns_sides};
pub use picture::Picture;
pub use png::Chunks as PngChunks;
pub use webp::Chunks as WebPChunks;

/// The formats that can be read; the answer has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    WebP,
}

/// What a file's head says, read without decoding a pixel.
#[derive(Clone, Debug)]
pub struct Header {
    pub format: Format,
    /// As stored, before the orientation is applied.
    pub size: Size,
    /// How to turn the stored picture upright.
    pub orientation: Orientation,
    /// The most memory that decoding, redacting and encoding hold at a time, in bytes, without the file itself.
    pub work_bytes: u64,
    /// As stored, before the orientation is applied.
    pub density: Option<Density>,
    /// What a JPEG needs to be written again like itself.
    pub jpeg: Option<JpegFacts>,
    /// What is wrong with the file and was read all the same.
    pub leniencies: Vec<Leniency>,
}

impl Header {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// [`Error::UnsupportedFormat`] for anything that is not a still JPEG, PNG or WebP, with the reason;
    /// [`Error::BrokenPicture`] for a head that cannot be followed.
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        match Format::sniff(file)? {
            Format::Jpeg => jpeg::read_header(file),
            Format::Png => png::read_header(file),
            Format::WebP => webp::read_header(file),
        }
    }

    /// The size of the picture as people see it.
    pub fn upright_size(&self) -> Size {
        if turns_sides(self.orientation) {
            self.size.turned()
        } else {
            self.size
        }
    }

    /// The density of the picture as people see it.
    pub fn upright_density(&self) -> Option<Density> {
        if turns_sides(self.orientation) {
            self.density.map(Density::turned)
        } else {
            self.density
        }
    }

    /// The picture as stored, in the pixels that are coded together in the answer: what is hidden covers whole blocks, since
    /// one that is hidden in part would ring with what is beneath.
    pub fn blocks(&self) -> Blocks {
        Blocks {
            picture: self.size,
            block: self.jpeg.map_or(SMALLEST_BLOCK, |facts| facts.block()),
        }
    }

    /// Refuses a picture with more than `limit` pixels, or with none.
    ///
    /// # Errors
    /// [`Error::TooManyPixels`], [`Error::BrokenPicture`].
    pub fn check_pixels(&self, limit: u64) -> Result<(), Error> {
        match self.size.pixels() {
            0 => Err(Error::BrokenPicture("it has no pixels".into())),
            pixels if pixels > limit => Err(Error::TooManyPixels { pixels, limit }),
            _ => Ok(()),
        }
    }

    /// Refuses a picture that unfolds to very much more than its file of so many bytes, as no real one does.
    ///
    /// # Errors
    /// [`Error::TooCompressed`].
    pub fn check_ratio(&self, file: u64) -> Result<(), Error> {
        let unfolded = self.size.pixels() * 3;
        let ratio = unfolded / file.max(1);
        if unfolded > ALWAYS_ALLOWED && ratio > MOST_RATIO {
            return Err(Error::TooCompressed {
                ratio,
                limit: MOST_RATIO,
            });
        }
        Ok(())
    }
}

impl Format {
    /// Tells a format by its first bytes; names the ones that are known and not read.
    fn sniff(file: &[u8]) -> Result<Self, Error> {
        match file {
            [] => Err(Error::BadRequest(
                "the request has no picture: its body is empty".into(),
            )),
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            _ => Err(Error::UnsupportedFormat(reason_against(file))),
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    /// Decodes a whole file and turns it upright. `go_on` is asked now and then.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`], [`Error::UnsupportedFormat`], [`Error::Stopped`]; nothing decoded so far is kept.
    pub fn decode(self, file: &[u8], header: &Header, go_on: &dyn Fn() -> bool) -> Result<Picture, Error> {
        let mut picture = match self {
            Self::Jpeg => jpeg::decode(file, header, go_on),
            Self::Png => png::decode(file, header),
            Self::WebP => webp::decode(file, header),
        }?;
        picture.pixels.apply_orientation(header.orientation);
        Ok(picture)
    }

    /// Writes the pixels and, where they need one, a colour profile built anew: nothing else.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn encode(self, picture: &Picture, header: &Header) -> Result<Vec<u8>, Error> {
        match self {
            Self::Jpeg => jpeg::encode(picture, header),
            Self::Png => png::encode(picture, header.upright_density()),
            Self::WebP => webp::encode(picture),
        }
    }

    /// Reads a file written by [`encode`](Self::encode) once more and tells what in it has no business there.
    ///
    /// # Errors
    /// [`Error::ProofFailed`].
    pub fn prove(self, written: &[u8]) -> Result<(), Error> {
        match self {
            Self::Jpeg => jpeg::prove(written),
            Self::Png => png::prove(written),
            Self::WebP => webp::prove(written),
        }
        .ok_or_else(|| Error::ProofFailed(format!("{}: more in the file than a picture", self.media_type())))
    }
}

fn reason_against(file: &[u8]) -> &'static str {
    match file {
        [b'G', b'I', b'F', b'8', ..] => "GIF is not supported: a face could hide in any of its frames",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "TIFF is not supported: send JPEG, PNG or WebP",
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
            [b'a', b'v', b'i', ..] => "AVIF is not supported: send JPEG, PNG or WebP",
            [b'h', b'e', ..] | [b'm', b'i', b'f', b'1', ..] | [b'm', b's', b'f', b'1', ..] => {
                "HEIC is not supported: no free and mature decoder exists; send JPEG, PNG or WebP"
            }
            _ => "video is not supported: send a picture as JPEG, PNG or WebP",
        },
        [b'B', b'M', ..] => "BMP is not supported: send JPEG, PNG or WebP",
        [0, 0, 1, 0, ..] => "ICO is not supported: send JPEG, PNG or WebP",
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => "JPEG XL is not supported: send JPEG, PNG or WebP",
        [0, 0, 0, 12, b'j', b'P', ..] => "JPEG 2000 is not supported: send JPEG, PNG or WebP",
        _ => "the first bytes are not those of a JPEG, PNG or WebP picture",
    }
}

/// Of the formats that have none: no cell is smaller.
const SMALLEST_BLOCK: Size = Size { width: 8, height: 8 };

/// A blank page of a one-bit scan has some thousand pixels a byte.
const MOST_RATIO: u64 = 10_000;
/// So many bytes of pixels are no danger, however small their file is.
const ALWAYS_ALLOWED: u64 = 64 << 20;

fn broken(what: impl ToString) -> Error {
    Error::BrokenPicture(what.to_string())
}

/// What a decoder of `image` has against a file, in a sentence.
fn unreadable(error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            broken("the file ends before its picture does")
        }
        ImageError::Unsupported(_) => Error::UnsupportedFormat("the picture is coded in a way that is not supported"),
        ImageError::Limits(_) => broken("its picture would take more memory than its head says"),
        _ => broken("its coded data is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_known_but_not_read_are_named() {
        for (head, word) in [
            (b"GIF89a".as_slice(), "GIF"),
            (b"II\x2a\0", "TIFF"),
            (b"\0\0\0\x1cftypheic", "HEIC"),
            (b"\0\0\0\x1cftypavif", "AVIF"),
            (b"BM\0\0", "BMP"),
            (b"\0\0\x01\0", "ICO"),
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
    fn an_empty_body_is_a_bad_request() {
        assert!(matches!(Header::read(b""), Err(Error::BadRequest(_))));
    }
}
