//! Places beside the picture in a JPEG.

use moxcms::{ColorProfile, LocalizableString, ProfileText};

use crate::{
    common::{Server, contains, jpeg, portrait, segment},
    planted::{MARKER, assert_clean, face},
};

pub fn exif_tags(server: &Server) {
    // Artist, place, serial number of the body.
    let strings = [(0x013b, MARKER), (0x8825, MARKER), (0xa431, MARKER)];
    let body = [b"Exif\0\0".as_slice(), &tiff(&strings, &face())].concat();
    assert_clean(server, &with(&segment(0xe1, &body)), "EXIF");
}

pub fn jfxx_thumbnail(server: &Server) {
    assert_clean(
        server,
        &with(&segment(0xe0, &[b"JFXX\0\x10".as_slice(), &face()].concat())),
        "JFXX",
    );
}

pub fn photoshop_thumbnail(server: &Server) {
    let face = face();
    let length = (face.len() as u32 + 28).to_be_bytes();
    let resource = [b"8BIM\x04\x0c\0\0".as_slice(), &length, &[0; 28], &face].concat();
    let body = [b"Photoshop 3.0\0".as_slice(), &resource].concat();
    assert_clean(server, &with(&segment(0xed, &body)), "Photoshop");
}

pub fn maker_note(server: &Server) {
    let note = [b"Nikon\0\x02\x10\0\0".as_slice(), &face()].concat();
    let body = [b"Exif\0\0".as_slice(), &tiff(&[(0x927c, note.as_slice())], b"")].concat();
    assert_clean(server, &with(&segment(0xe1, &body)), "maker note");
}

pub fn xmp(server: &Server) {
    let packet = [b"<x:xmpmeta GDepth:Data=\"".as_slice(), MARKER, b"\"/>"].concat();
    let plain = segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0".as_slice(), &packet].concat());
    assert_clean(server, &with(&plain), "XMP");
    let head = [b"http://ns.adobe.com/xmp/extension/\0".as_slice(), &[b'0'; 40]].concat();
    assert_clean(server, &with(&segment(0xe1, &[head, packet].concat())), "extended XMP");
}

pub fn second_pictures(server: &Server) {
    for (what, head) in [
        ("MPF", b"MPF\0MM\0\x2a".as_slice()),
        ("gain map", b"urn:iso:std:iso:ts:21496:-1\0"),
    ] {
        let index = segment(0xe2, &[head, MARKER].concat());
        assert_clean(server, &[with(&index), face()].concat(), what);
    }
}

pub fn video(server: &Server) {
    let video = [b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".as_slice(), MARKER, &face()].concat();
    assert_clean(server, &[plain(), video].concat(), "video");
}

pub fn tails(server: &Server) {
    assert_clean(server, &[&plain(), MARKER].concat(), "a tail");
    assert_clean(server, &[plain(), face()].concat(), "a second start");
    let file = plain();
    let behind_the_scan = [&file[..file.len() - 2], &segment(0xfe, MARKER), b"\xff\xd9"].concat();
    assert_clean(server, &behind_the_scan, "a comment behind the scan");
}

pub fn unknown_segments(server: &Server) {
    for marker in [0xe3, 0xe7, 0xef, 0xfe] {
        let body = [MARKER, &face()].concat();
        assert_clean(server, &with(&segment(marker, &body)), &format!("segment {marker:x}"));
    }
}

pub fn manifest(server: &Server) {
    let body = [b"JP\0\x01\0\0\0\x01".as_slice(), MARKER, &face()].concat();
    assert_clean(server, &with(&segment(0xeb, &body)), "C2PA in a JPEG");
}

/// A known profile survives by its meaning and not by its bytes.
pub fn colour_profile(server: &Server) {
    let mut profile = ColorProfile::new_display_p3();
    let text = LocalizableString::new("en".into(), "US".into(), String::from_utf8(MARKER.to_vec()).unwrap());
    profile.description = Some(ProfileText::Localizable(vec![text]));
    let body = [b"ICC_PROFILE\0\x01\x01".as_slice(), &profile.encode().unwrap()].concat();
    let file = with(&segment(0xe2, &body));
    assert_clean(server, &file, "colour profile");
    assert!(contains(&server.blur("", &file).body, b"ICC_PROFILE\0\x01\x01"));
}

fn plain() -> Vec<u8> {
    jpeg(&portrait())
}

fn with(segment: &[u8]) -> Vec<u8> {
    let mut file = plain();
    file.splice(2..2, segment.iter().copied());
    file
}

/// A TIFF structure, low byte first: these tags as bytes, and a second directory with a thumbnail.
fn tiff(tags: &[(u16, &[u8])], thumbnail: &[u8]) -> Vec<u8> {
    let count = tags.len() as u16;
    let second = 8 + 2 + 12 * u32::from(count) + 4;
    let data = second + 2 + 12 * 2 + 4;
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [
            &tag.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &value.to_le_bytes(),
        ]
        .concat()
    };
    let mut values = Vec::new();
    let mut file = [b"II\x2a\0\x08\0\0\0".as_slice(), &count.to_le_bytes()].concat();
    for (tag, value) in tags {
        file.extend(entry(*tag, 7, value.len() as u32, data + values.len() as u32));
        values.extend_from_slice(value);
    }
    file.extend(second.to_le_bytes());
    file.extend(2u16.to_le_bytes());
    file.extend(entry(0x0201, 4, 1, data + values.len() as u32));
    file.extend(entry(0x0202, 4, 1, thumbnail.len() as u32));
    file.extend([0; 4]);
    [file, values, thumbnail.to_vec()].concat()
}
