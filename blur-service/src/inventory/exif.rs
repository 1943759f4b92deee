//! What an EXIF block holds that tells most: coordinates, the camera's own notes, a thumbnail (EXIF 2.32, 4.6).

use super::{Inventory, Kind};

/// Reads a block from its TIFF header on.
pub fn read(tiff: &[u8], inventory: &mut Inventory) {
    inventory.add(Kind::Exif);
    // A block that cannot be followed to its end counts for what was seen of it.
    let _ = Tiff::open(tiff).and_then(|tiff| tiff.read(inventory));
}

struct Tiff<'a> {
    data: &'a [u8],
    is_big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn open(data: &'a [u8]) -> Option<Self> {
        let is_big_endian = match data.first_chunk::<2>()? {
            b"MM" => true,
            b"II" => false,
            _ => return None,
        };
        Some(Self { data, is_big_endian })
    }

    fn read(&self, inventory: &mut Inventory) -> Option<()> {
        let (entries, next) = self.directory(self.long(4)? as usize)?;
        if next > 0 {
            inventory.add(Kind::Thumbnail);
        }
        for (tag, value) in entries {
            match tag {
                GPS => inventory.add(Kind::Gps),
                EXIF => {
                    let (inner, _) = self.directory(value as usize)?;
                    if inner.iter().any(|(tag, _)| *tag == MAKER_NOTE) {
                        inventory.add(Kind::MakerNote);
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Tags and values of a directory, and where the next one begins.
    fn directory(&self, at: usize) -> Option<(Vec<(u16, u32)>, u32)> {
        let count = usize::from(self.short(at)?);
        let entry = |index: usize| {
            let at = at + 2 + 12 * index;
            Some((self.short(at)?, self.long(at + 8)?))
        };
        let entries = (0..count).map(entry).collect::<Option<_>>()?;
        Some((entries, self.long(at + 2 + 12 * count).unwrap_or(0)))
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.data.get(at..)?.first_chunk()?;
        Some(match self.is_big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.data.get(at..)?.first_chunk()?;
        Some(match self.is_big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        })
    }
}

const EXIF: u16 = 0x8769;
const GPS: u16 = 0x8825;
const MAKER_NOTE: u16 = 0x927c;
