//! The chunks of a PNG.

use super::{Inventory, Kind, exif};
use crate::codec::PngChunks;

pub fn read(file: &[u8], inventory: &mut Inventory) {
    let mut chunks = PngChunks::of(file);
    for (kind, data) in chunks.by_ref() {
        match &kind {
            b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"acTL" | b"fcTL" | b"fdAT" => {}
            b"IEND" => break,
            b"eXIf" => exif::read(data, inventory),
            b"iCCP" => inventory.add(Kind::ColourProfile),
            b"iTXt" if data.starts_with(b"XML:com.adobe.xmp\0") => inventory.add(Kind::Xmp),
            b"tEXt" | b"zTXt" | b"iTXt" => inventory.add(Kind::Text),
            b"tIME" => inventory.add(Kind::Time),
            b"caBX" => inventory.add(Kind::ContentCredentials),
            _ => inventory.add(Kind::Other),
        }
    }
    if !chunks.rest().is_empty() {
        inventory.add(Kind::Tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Format, inventory::sample_exif};

    #[test]
    fn every_kind_is_counted() {
        let chunk =
            |kind: &[u8; 4], data: &[u8]| [&(data.len() as u32).to_be_bytes()[..], kind, data, &[0; 4]].concat();
        let file = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &[0; 13]),
            chunk(b"eXIf", &sample_exif()),
            chunk(b"tEXt", b"a\0b"),
            chunk(b"zTXt", b"a\0\0"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
            chunk(b"pHYs", &[0; 9]),
            chunk(b"IDAT", &[1]),
            chunk(b"IEND", &[]),
            b"behind".to_vec(),
        ]
        .concat();
        let counted = serde_json::json!({
            "exif": 1, "gps": 1, "maker_note": 1, "thumbnail": 1, "text": 2, "xmp": 1, "other": 1, "tail": 1,
        });
        assert_eq!(
            serde_json::to_value(Inventory::of(&file, Format::Png)).ok(),
            Some(counted)
        );
    }
}
