//! The directories of a TIFF.

use super::{Inventory, Kind, exif};
use crate::jpeg::syntax::exif::Tiff;

pub fn read(file: &[u8], inventory: &mut Inventory) {
    // What cannot be followed counts for what was seen of it.
    let _ = read_directories(file, inventory);
}

fn read_directories(file: &[u8], inventory: &mut Inventory) -> Option<()> {
    let tiff = Tiff::open(file)?;
    let mut next = tiff.first_directory()?;
    for _ in 0..MOST_DIRECTORIES {
        let (entries, following) = tiff.directory(next)?;
        for entry in entries {
            match entry.tag {
                NEW_SUBFILE_TYPE if tiff.long(entry.at)? & 1 == 1 => inventory.add(Kind::Thumbnail),
                SUB_DIRECTORIES => inventory.add(Kind::FurtherPicture),
                XMP => inventory.add(Kind::Xmp),
                PHOTOSHOP => inventory.add(Kind::PhotoshopResources),
                COLOUR_PROFILE => inventory.add(Kind::ColourProfile),
                TIME => inventory.add(Kind::Time),
                tag if TEXTS.contains(&tag) => inventory.add(Kind::Text),
                exif::EXIF => inventory.add(Kind::Exif),
                exif::GPS => inventory.add(Kind::Gps),
                tag if tag >= FIRST_PRIVATE => inventory.add(Kind::Other),
                _ => {}
            }
        }
        match following {
            0 => return Some(()),
            following => next = following as usize,
        }
    }
    None
}

/// Directories may stand in a circle.
const MOST_DIRECTORIES: usize = 10_000;
const NEW_SUBFILE_TYPE: u16 = 254;
const TIME: u16 = 306;
const SUB_DIRECTORIES: u16 = 330;
const XMP: u16 = 700;
const FIRST_PRIVATE: u16 = 32_768;
const PHOTOSHOP: u16 = 34_377;
const COLOUR_PROFILE: u16 = 34_675;
/// Name, description, maker, model, page's name, software, artist, host, copyright, IPTC.
const TEXTS: [u16; 10] = [269, 270, 271, 272, 285, 305, 315, 316, 33_432, 33_723];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Format;

    #[test]
    fn every_kind_is_counted() {
        let tags = [254, 270, 306, 315, 330, 700, 34_377, 34_665, 34_675, 34_853, 50_000];
        let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
        file.extend((tags.len() as u16).to_le_bytes());
        for tag in tags {
            file.extend([&(tag as u16).to_le_bytes()[..], &[4, 0, 1, 0, 0, 0, 1, 0, 0, 0]].concat());
        }
        file.extend([0; 4]);
        let counted = serde_json::json!({
            "exif": 1, "gps": 1, "thumbnail": 1, "xmp": 1, "colour_profile": 1, "photoshop_resources": 1,
            "further_picture": 1, "text": 2, "time": 1, "other": 1,
        });
        assert_eq!(
            serde_json::to_value(Inventory::of(&file, Format::Tiff)).ok(),
            Some(counted)
        );
    }
}
