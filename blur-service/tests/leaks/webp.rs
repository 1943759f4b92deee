//! Places beside the picture in a WebP.

use image::ImageFormat;

use crate::{
    common::{Server, encoded, portrait},
    planted::{MARKER, assert_clean, face},
};

pub fn chunks(server: &Server) {
    for (kind, flag) in [(b"EXIF", 0b1000), (b"XMP ", 0b0100), (b"prVt", 0)] {
        assert_clean(server, &with(kind, flag), &String::from_utf8_lossy(kind));
    }
    assert_clean(server, &[&plain(), MARKER].concat(), "bytes behind the end");
}

pub fn manifest(server: &Server) {
    assert_clean(server, &with(b"C2PA", 0), "C2PA in a WebP");
}

fn plain() -> Vec<u8> {
    encoded(&portrait().into(), ImageFormat::WebP)
}

/// The picture in an extended file with one more chunk, which the header announces by a flag.
fn with(kind: &[u8; 4], flag: u8) -> Vec<u8> {
    let extended = chunk(b"VP8X", &[flag, 0, 0, 0, 0xff, 1, 0, 0xff, 1, 0]);
    let planted = chunk(kind, &[MARKER, &face()].concat());
    chunk(
        b"RIFF",
        &[b"WEBP".as_slice(), &extended, &plain()[12..], &planted].concat(),
    )
}

pub fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding = &[0u8][..data.len() % 2];
    [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data, padding].concat()
}
