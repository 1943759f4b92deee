//! Brightness and colour differences of which the latter are fewer (TIFF 6.0, section 21).

use super::samples::Painted;
use crate::geometry::Size;

/// Of a strip or tile, in which a unit has its brightness values first and then one of each difference.
pub fn bytes(size: Size, (across, down): (u32, u32)) -> usize {
    let units = size.width.div_ceil(across) as usize * size.height.div_ceil(down) as usize;
    units * (across * down + 2) as usize
}

/// One of each for each pixel.
pub fn unfold(packed: &[u8], size: Size, (across, down): (u32, u32)) -> Painted {
    let (width, height) = (size.width as usize, size.height as usize);
    let (across, down) = (across as usize, down as usize);
    let mut bytes = vec![0; width * height * 3];
    let units = packed.chunks_exact(across * down + 2);
    let columns = width.div_ceil(across);
    for (unit, index) in units.zip(0..) {
        let (left, top) = (index % columns * across, index / columns * down);
        let (bright, differences) = unit.split_at(across * down);
        for (level, place) in bright.iter().zip(0..) {
            let (x, y) = (left + place % across, top + place / across);
            if x < width && y < height {
                let at = (y * width + x) * 3;
                bytes[at..at + 3].copy_from_slice(&[*level, differences[0], differences[1]]);
            }
        }
    }
    Painted { size, count: 3, bytes }
}
