//! The blocks of a GIF.

use super::{Inventory, Kind, holds};
use crate::codec::{GifBlock, GifBlocks};

pub fn read(file: &[u8], inventory: &mut Inventory) {
    let mut blocks = GifBlocks::of(file);
    for block in blocks.by_ref() {
        match block {
            GifBlock::Frame { .. } | GifBlock::Control | GifBlock::Loops => {}
            GifBlock::Comment => inventory.add(Kind::Comment),
            GifBlock::Text => inventory.add(Kind::Text),
            GifBlock::Application(name) if holds(name, b"XMP DataXMP") => inventory.add(Kind::Xmp),
            GifBlock::Application(name) if holds(name, b"ICCRGBG1012") => inventory.add(Kind::ColourProfile),
            GifBlock::Application(_) | GifBlock::Other => inventory.add(Kind::Other),
        }
    }
    if !blocks.rest().is_empty() {
        inventory.add(Kind::Tail);
    }
}
