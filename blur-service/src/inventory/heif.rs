//! The boxes and items of an AVIF or HEIC.

use super::{Inventory, Kind, exif};
use crate::codec::{Boxes, Items};

pub fn read(file: &[u8], inventory: &mut Inventory) {
    let mut boxes = Boxes::of(file);
    for (kind, _) in boxes.by_ref() {
        match &kind {
            b"ftyp" | b"meta" | b"mdat" | b"free" | b"skip" => {}
            b"moov" => inventory.add(Kind::Video),
            _ => inventory.add(Kind::Other),
        }
    }
    if !boxes.rest().is_empty() {
        inventory.add(Kind::Tail);
    }
    if let Some(items) = Items::of(file) {
        read_items(&items, inventory);
    }
}

fn read_items(items: &Items, inventory: &mut Inventory) {
    let tiles = items.referred(items.primary, b"dimg");
    for (item, kind) in items.all().iter().filter(|(item, _)| *item != items.primary) {
        match kind {
            b"Exif" => {
                let data = items.data(*item).unwrap_or_default();
                // The offset of the block comes first.
                exif::read(data.get(4..).unwrap_or_default(), inventory);
            }
            b"mime" => inventory.add(Kind::Xmp),
            b"av01" | b"hvc1" | b"hev1" | b"grid" if items.referred(*item, b"thmb").contains(&items.primary) => {
                inventory.add(Kind::Thumbnail);
            }
            b"av01" | b"hvc1" | b"hev1" | b"grid" | b"tmap" if !tiles.contains(item) => {
                inventory.add(Kind::FurtherPicture)
            }
            b"av01" | b"hvc1" | b"hev1" => {}
            _ => inventory.add(Kind::Other),
        }
    }
    let told: Vec<&[u8]> = items.properties(items.primary, b"colr").collect();
    if told
        .iter()
        .any(|colr| colr.starts_with(b"prof") || colr.starts_with(b"rICC"))
    {
        inventory.add(Kind::ColourProfile);
    }
}
