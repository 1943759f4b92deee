//! The chunks of a WebP.

use super::{Inventory, Kind, exif};
use crate::codec::WebPChunks;

pub fn read(file: &[u8], inventory: &mut Inventory) {
    let riff = file.get(4..).and_then(|rest| rest.first_chunk());
    let end = riff
        .map_or(0, |length| u32::from_le_bytes(*length) as usize + 8)
        .min(file.len());
    let (picture, tail) = file.split_at(end);
    let mut chunks = WebPChunks::of(picture);
    for (kind, data) in chunks.by_ref() {
        match &kind {
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" => {}
            b"EXIF" => exif::read(data.strip_prefix(b"Exif\0\0").unwrap_or(data), inventory),
            b"XMP " => inventory.add(Kind::Xmp),
            b"ICCP" => inventory.add(Kind::ColourProfile),
            b"C2PA" => inventory.add(Kind::ContentCredentials),
            _ => inventory.add(Kind::Other),
        }
    }
    if !chunks.rest().is_empty() || !tail.is_empty() {
        inventory.add(Kind::Tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Format, inventory::sample_exif};

    #[test]
    fn every_kind_is_counted() {
        let chunk = |kind: &[u8; 4], data: &[u8]| {
            [
                kind,
                &(data.len() as u32).to_le_bytes()[..],
                data,
                &vec![0; data.len() % 2],
            ]
            .concat()
        };
        let chunks = [
            chunk(b"VP8X", &[0; 10]),
            chunk(b"ICCP", &[1, 2, 3]),
            chunk(b"VP8L", &[0x2f, 0, 0, 0, 0]),
            chunk(b"EXIF", &sample_exif()),
            chunk(b"XMP ", b"<x/>"),
            chunk(b"ABCD", b""),
        ]
        .concat();
        let length = (chunks.len() as u32 + 4).to_le_bytes();
        let file = [b"RIFF", &length[..], b"WEBP", &chunks, b"behind"].concat();
        let counted = serde_json::json!({
            "exif": 1, "gps": 1, "maker_note": 1, "thumbnail": 1, "xmp": 1, "colour_profile": 1, "other": 1, "tail": 1,
        });
        assert_eq!(
            serde_json::to_value(Inventory::of(&file, Format::WebP)).ok(),
            Some(counted)
        );
    }
}
