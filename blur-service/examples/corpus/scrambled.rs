//! A picture twice, with what lies under the cells of a hidden area in two orders: no cell's mean tells them apart.

use blur_service::{
    geometry::Size,
    redact::{self, Region, Spot},
};
use libjpeg_turbo_rs::{JpegCoefficients, write_coefficients};

use crate::blocks::Blocks;

/// Two files that differ only inside of the area; nothing if the picture is too small or too even for that.
pub fn pair(blocks: &Blocks) -> Option<(Vec<u8>, Vec<u8>, Region)> {
    let unit = blocks.unit_px();
    let size = [blocks.read.width, blocks.read.height].map(u32::from);
    let is_large_enough = (0..2).all(|side| (FIRST + SIDE) * unit[side] <= size[side]);
    if !is_large_enough {
        return None;
    }
    // So far inside of the area that this is still what is hidden when the chroma beside it is taken in.
    let area = Region {
        x: FIRST * unit[0] + INSET_PX,
        y: FIRST * unit[1] + INSET_PX,
        width: SIDE * unit[0] - 2 * INSET_PX,
        height: SIDE * unit[1] - 2 * INSET_PX,
    };
    let (picture, block) = (Size::new(size[0], size[1]), Size::new(unit[0], unit[1]));
    let cell = redact::Blocks { picture, block }.cell(Spot::from(area).face_px);
    let (one, other) = (
        write_coefficients(&blocks.read).ok()?,
        write_coefficients(&turned(blocks, [cell.width.min(SIDE), cell.height.min(SIDE)])).ok()?,
    );
    (one != other).then_some((one, other, area))
}

/// The units of every cell in reverse order.
fn turned(blocks: &Blocks, cell: [u32; 2]) -> JpegCoefficients {
    let mut turned = blocks.read.clone();
    for (new, old) in turned.components.iter_mut().zip(&blocks.read.components) {
        let [across, down] = blocks.factors(old);
        for row in 0..SIDE * down {
            for column in 0..SIDE * across {
                let from = [(column, across, cell[0]), (row, down, cell[1])].map(|(at, blocks, units)| {
                    let (unit, rest) = (at / blocks, at % blocks);
                    (FIRST + unit / units * units + units - 1 - unit % units) * blocks + rest
                });
                let to = [FIRST * across + column, FIRST * down + row];
                let place = |[x, y]: [u32; 2]| y as usize * old.blocks_x + x as usize;
                new.blocks[place(to)] = old.blocks[place(from)];
            }
        }
    }
    turned
}

/// The area's first unit, where cells begin, and its number of units, across and down alike.
const FIRST: u32 = 0;
const SIDE: u32 = 16;
const INSET_PX: u32 = 4;
