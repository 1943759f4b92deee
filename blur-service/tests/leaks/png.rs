//! Places beside the picture in a PNG.

use image::ImageFormat;

use crate::{
    common::{Server, encoded, portrait},
    planted::{MARKER, assert_clean, face},
};

pub fn chunks(server: &Server) {
    for (kind, rest) in [
        (b"tEXt", b"\0text".as_slice()),
        (b"iTXt", b"\0\0\0\0\0text"),
        (b"zTXt", b"\0\0\x78\x01\x01\0\0\xff\xff\0\0\0\x01"),
        (b"eXIf", b""),
        (b"prVt", b""),
    ] {
        let file = with(HEADER_END, &chunk(kind, &[MARKER, rest].concat()));
        assert_clean(server, &file, &String::from_utf8_lossy(kind));
    }
    let text = chunk(b"tEXt", &[MARKER, b"\0text"].concat());
    assert_clean(
        server,
        &with(plain().len() - END, &text),
        "text behind the picture data",
    );
}

pub fn surplus(server: &Server) {
    assert_clean(server, &[&plain(), MARKER].concat(), "bytes behind the end");
    assert_clean(server, &[plain(), face()].concat(), "a picture behind the end");
    let surplus = chunk(b"IDAT", &[MARKER, &face()].concat());
    assert_clean(server, &with(plain().len() - END, &surplus), "surplus picture data");
}

pub fn manifest(server: &Server) {
    assert_clean(
        server,
        &with(HEADER_END, &chunk(b"caBX", &[MARKER, &face()].concat())),
        "C2PA in a PNG",
    );
}

fn plain() -> Vec<u8> {
    encoded(&portrait().into(), ImageFormat::Png)
}

fn with(at: usize, chunk: &[u8]) -> Vec<u8> {
    let mut file = plain();
    file.splice(at..at, chunk.iter().copied());
    file
}

pub fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let content = [kind.as_slice(), data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [length.as_slice(), &content, &checksum(&content).to_be_bytes()].concat()
}

/// CRC-32 as PNG uses it.
fn checksum(bytes: &[u8]) -> u32 {
    let remainder = bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    !remainder
}

/// Where the header chunk ends, and the length of the end chunk.
const HEADER_END: usize = 33;
const END: usize = 12;
