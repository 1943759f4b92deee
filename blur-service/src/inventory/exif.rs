//! What an EXIF block holds that tells most: coordinates, the camera's own notes, a thumbnail (EXIF 2.32, 4.6).

use super::{Inventory, Kind};
use crate::jpeg::syntax::exif::Tiff;

/// Reads a block from its TIFF header on.
pub fn read(tiff: &[u8], inventory: &mut Inventory) {
    inventory.add(Kind::Exif);
    // A block that cannot be followed to its end counts for what was seen of it.
    let _ = Tiff::open(tiff).and_then(|tiff| read_directories(&tiff, inventory));
}

fn read_directories(tiff: &Tiff, inventory: &mut Inventory) -> Option<()> {
    let (entries, next) = tiff.directory(tiff.first_directory()?)?;
    if next > 0 {
        inventory.add(Kind::Thumbnail);
    }
    for entry in entries {
        match entry.tag {
            GPS => inventory.add(Kind::Gps),
            EXIF => {
                let (inner, _) = tiff.directory(tiff.long(entry.at)? as usize)?;
                if inner.iter().any(|entry| entry.tag == MAKER_NOTE) {
                    inventory.add(Kind::MakerNote);
                }
            }
            _ => {}
        }
    }
    Some(())
}

pub(super) const EXIF: u16 = 0x8769;
pub(super) const GPS: u16 = 0x8825;
const MAKER_NOTE: u16 = 0x927c;
