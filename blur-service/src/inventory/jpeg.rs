//! The segments of a JPEG, and what lies behind its end.

use super::{Inventory, Kind, exif, holds};
use crate::jpeg::syntax::marker::{self, Segments};

pub fn read(file: &[u8], inventory: &mut Inventory) {
    let mut rest = file;
    let mut is_first = true;
    while rest.starts_with(&[0xff, marker::START_OF_IMAGE]) {
        if !is_first {
            inventory.add(Kind::FurtherPicture);
        }
        let end = read_picture(rest, inventory);
        rest = rest.get(end..).unwrap_or_default();
        is_first = false;
    }
    if holds(&rest[..rest.len().min(FILM_HEAD)], b"ftyp") {
        inventory.add(Kind::Video);
    } else if !rest.is_empty() {
        inventory.add(Kind::Tail);
    }
}

/// Returns where the picture ends.
fn read_picture(file: &[u8], inventory: &mut Inventory) -> usize {
    let mut segments = Segments::new(file, 2);
    while let Ok(Some(segment)) = segments.next() {
        match segment.marker {
            marker::END_OF_IMAGE => break,
            marker::COMMENT => inventory.add(Kind::Comment),
            marker::APP0..=marker::APP15 => read_application(segment.marker, segment.body, inventory),
            _ => {}
        }
    }
    segments.at()
}

fn read_application(marker: u8, body: &[u8], inventory: &mut Inventory) {
    match (marker, body) {
        // These say only how to decode.
        (marker::APP0, body) if body.starts_with(b"JFIF\0") && !has_thumbnail(body) => {}
        (marker::APP14, body) if body.starts_with(b"Adobe") => {}
        (marker::APP0, body) if body.starts_with(b"JFIF\0") || body.starts_with(b"JFXX\0") => {
            inventory.add(Kind::Thumbnail);
        }
        (marker::APP1, body) if body.starts_with(b"Exif\0") => {
            exif::read(body.get(6..).unwrap_or_default(), inventory);
        }
        (marker::APP1, body) if body.starts_with(b"http://ns.adobe.com/x") => {
            inventory.add(Kind::Xmp);
            if holds(body, b"GDepth:Data") || holds(body, b"GImage:Data") {
                inventory.add(Kind::XmpPicture);
            }
        }
        (marker::APP2, body) if body.starts_with(b"ICC_PROFILE\0") => inventory.add(Kind::ColourProfile),
        (marker::APP2, body) if body.starts_with(b"MPF\0") => inventory.add(Kind::MultiPicture),
        (marker::APP11, body) if body.starts_with(b"JP") => inventory.add(Kind::ContentCredentials),
        (marker::APP13, body) if body.starts_with(b"Photoshop") => {
            inventory.add(Kind::PhotoshopResources);
            if holds(body, b"8BIM\x04\x0c") {
                inventory.add(Kind::Thumbnail);
            }
        }
        _ => inventory.add(Kind::Other),
    }
}

/// Whether a JFIF head has a picture of its own: its last two bytes are the sides.
fn has_thumbnail(body: &[u8]) -> bool {
    body.get(12..14).is_some_and(|sides| sides[0] > 0 && sides[1] > 0)
}

/// How far into a film its first box tells what it is.
const FILM_HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Format, inventory::sample_exif};

    #[test]
    fn every_kind_is_counted() {
        let segment =
            |marker: u8, body: &[u8]| [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat();
        let picture = [&[0xff, 0xd8][..], &segment(0xfe, b"one"), &[0xff, 0xd9]].concat();
        let file = [
            vec![0xff, 0xd8],
            segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            segment(0xe0, b"JFXX\0\x10"),
            segment(0xe1, &[b"Exif\0\0", &sample_exif()[..]].concat()),
            segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<GDepth:Data>"),
            segment(0xe2, b"ICC_PROFILE\0\x01\x01"),
            segment(0xe2, b"MPF\0"),
            segment(0xeb, b"JP\0\0"),
            segment(0xed, b"Photoshop 3.0\08BIM\x04\x0c"),
            segment(0xee, b"Adobe\0\x64\0\0\0\0\x01"),
            segment(0xe5, b"?"),
            segment(0xfe, b"two"),
            segment(0xda, &[0; 10]),
            vec![1, 2, 0xff, 0, 3, 0xff, 0xd0, 4, 0xff, 0xd9],
            picture,
            b"\0\0\0\x18ftypmp42".to_vec(),
        ]
        .concat();
        let counted = serde_json::json!({
            "exif": 1, "gps": 1, "maker_note": 1, "thumbnail": 3, "xmp": 1, "xmp_picture": 1, "colour_profile": 1,
            "photoshop_resources": 1, "multi_picture": 1, "further_picture": 1, "content_credentials": 1, "comment": 2,
            "other": 1, "video": 1,
        });
        assert_eq!(
            serde_json::to_value(Inventory::of(&file, Format::Jpeg)).ok(),
            Some(counted)
        );
    }

    #[test]
    fn what_is_cut_off_or_odd_is_still_an_inventory() {
        let counted = |file: &[u8]| serde_json::to_string(&Inventory::of(file, Format::Jpeg)).unwrap_or_default();
        assert_eq!(counted(&[0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, b'E']), r#"{"tail":1}"#);
        assert_eq!(counted(&[0xff, 0xd8, 0xff, 0xd9, 7]), r#"{"tail":1}"#);
        assert_eq!(counted(b"\xff\xd8\xff\xe1\0\x0cExif\0\0II*\0\xff\xd9"), r#"{"exif":1}"#);
    }
}
