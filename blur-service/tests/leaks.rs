//! What else can carry a face or a person: a marker planted in every such place must not be found in the answer.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Server, contains, encoded, exif, jpeg, portrait, segment};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use moxcms::{ColorProfile, LocalizableString, ProfileText};

const MARKER: &[u8] = b"VEIL-PLANTED-MARKER-7f3a";

#[test]
fn nothing_planted_in_a_jpeg_comes_out() {
    let server = Server::start(&["--detail", "fast"]);
    let mut checked = 0;
    for (place, planted) in [
        ("EXIF with a thumbnail, GPS and a maker note", exif_with_marker()),
        ("JFXX thumbnail", segment(0xe0, &[b"JFXX\0\x10", MARKER].concat())),
        (
            "Photoshop thumbnail",
            segment(0xed, &[b"Photoshop 3.0\x008BIM\x04\x0c\0\0", MARKER].concat()),
        ),
        (
            "XMP",
            segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", MARKER].concat()),
        ),
        (
            "extended XMP",
            segment(
                0xe1,
                &[b"http://ns.adobe.com/xmp/extension/\0".as_slice(), &[b'0'; 40], MARKER].concat(),
            ),
        ),
        ("multi-picture index", segment(0xe2, &[b"MPF\0", MARKER].concat())),
        (
            "gain map",
            segment(0xe2, &[b"urn:iso:std:iso:ts:21496:-1\0", MARKER].concat()),
        ),
        ("C2PA manifest", segment(0xeb, &[b"JP\0\x01", MARKER].concat())),
        ("comment", segment(0xfe, MARKER)),
        ("unknown segment", segment(0xe7, MARKER)),
        (
            "private data in a profile",
            segment(
                0xe2,
                &[b"ICC_PROFILE\0\x01\x01", profile_with_marker().as_slice()].concat(),
            ),
        ),
    ] {
        let mut file = jpeg(&portrait());
        file.splice(2..2, planted);
        assert_clean(&server, &file, place);
        checked += 1;
    }
    for (place, tail) in [
        ("video behind the end", [b"\0\0\0\x18ftypmp42", MARKER].concat()),
        (
            "second picture behind the end",
            [jpeg(&portrait()).as_slice(), MARKER].concat(),
        ),
    ] {
        assert_clean(&server, &[jpeg(&portrait()), tail].concat(), place);
        checked += 1;
    }
    assert_eq!(checked, 13);
}

#[test]
fn nothing_planted_in_a_png_comes_out() {
    let server = Server::start(&["--detail", "fast"]);
    let plain = encoded(&portrait().into(), ImageFormat::Png);
    for (kind, rest) in [
        (b"tEXt", b"\0text".as_slice()),
        (b"iTXt", b"\0\0\0\0\0text"),
        (b"zTXt", b"\0\0\x78\x01\x01\0\0\xff\xff\0\0\0\x01"),
        (b"eXIf", b""),
        (b"caBX", b""),
        (b"prVt", b""),
    ] {
        let mut file = plain.clone();
        file.splice(33..33, chunk(kind, &[MARKER, rest].concat()));
        assert_clean(&server, &file, &String::from_utf8_lossy(kind));
    }
    let after_the_data = plain.len() - 12;
    let mut file = plain.clone();
    file.splice(
        after_the_data..after_the_data,
        chunk(b"tEXt", &[MARKER, b"\0text"].concat()),
    );
    assert_clean(&server, &file, "text behind the picture data");
    assert_clean(&server, &[plain.as_slice(), MARKER].concat(), "bytes behind the end");
}

#[test]
fn nothing_planted_in_a_webp_comes_out() {
    let server = Server::start(&["--detail", "fast"]);
    let plain = encoded(&portrait().into(), ImageFormat::WebP);
    let picture = &plain[12..];
    for (kind, flag) in [(b"EXIF", 0b1000), (b"XMP ", 0b0100), (b"prVt", 0)] {
        let extended = riff_chunk(b"VP8X", &[flag, 0, 0, 0, 0xff, 1, 0, 0xff, 1, 0]);
        let body = [b"WEBP".as_slice(), &extended, picture, &riff_chunk(kind, MARKER)].concat();
        assert_clean(&server, &riff_chunk(b"RIFF", &body), &String::from_utf8_lossy(kind));
    }
    assert_clean(&server, &[plain.as_slice(), MARKER].concat(), "bytes behind the end");
}

#[test]
fn a_face_under_clear_alpha_is_not_in_the_answer() {
    let server = Server::start(&["--detail", "fast"]);
    let face = portrait();
    let hidden = RgbaImage::from_fn(512, 512, |x, y| {
        let [red, green, blue] = face.get_pixel(x, y).0;
        Rgba([red, green, blue, 0])
    });
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let answer = server.blur("", &encoded(&DynamicImage::from(hidden.clone()), format));
        assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "1"));
        let shown = image::load_from_memory(&answer.body).unwrap().to_rgba8();
        assert!(
            shown
                .pixels()
                .filter(|pixel| pixel[3] == 0)
                .all(|pixel| pixel.0 == [0; 4])
        );
    }
}

#[test]
fn a_known_profile_survives_by_its_meaning_and_not_by_its_bytes() {
    let server = Server::start(&["--detail", "fast"]);
    let mut file = jpeg(&portrait());
    file.splice(
        2..2,
        segment(
            0xe2,
            &[b"ICC_PROFILE\0\x01\x01", profile_with_marker().as_slice()].concat(),
        ),
    );
    let answer = server.blur("", &file);
    assert!(contains(&answer.body, b"ICC_PROFILE\0\x01\x01"));
    assert!(!contains(&answer.body, MARKER));
}

fn assert_clean(server: &Server, file: &[u8], place: &str) {
    assert!(
        contains(file, MARKER) || contains(file, &wide(MARKER)),
        "{place}: nothing was planted"
    );
    for profile in ["lossless", "reencode"] {
        let place = format!("{place}, {profile}");
        let answer = server.blur(&format!("?profile={profile}"), file);
        assert_eq!(answer.status, 200, "{place}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.headers["x-faces"], "1", "{place}");
        assert!(!contains(&answer.body, MARKER), "{place} leaks");
        assert!(
            !contains(&answer.body, &wide(MARKER)),
            "{place} leaks in 16-bit characters"
        );
    }
}

fn exif_with_marker() -> Vec<u8> {
    segment(
        0xe1,
        &[exif(1).as_slice(), b"GPS thumbnail maker note", MARKER].concat(),
    )
}

fn profile_with_marker() -> Vec<u8> {
    let mut profile = ColorProfile::new_display_p3();
    let text = LocalizableString::new("en".into(), "US".into(), String::from_utf8(MARKER.to_vec()).unwrap());
    profile.description = Some(ProfileText::Localizable(vec![text]));
    profile.encode().unwrap()
}

/// As in the texts of profiles.
fn wide(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| [0, *byte]).collect()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
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

fn riff_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding = &[0u8][..data.len() % 2];
    [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data, padding].concat()
}
