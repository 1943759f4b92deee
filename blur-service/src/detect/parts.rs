//! Where a picture is looked at: as a whole, or in parts and tiles.

use super::view::View;
use crate::geometry::{Rect, Size};

/// The whole picture, or, where it is a strip, overlapping parts of it: shrunk as a whole it would lose its faces.
pub fn parts(picture: Size) -> Vec<Rect> {
    let (long, short) = (picture.long_side() as f32, picture.short_side() as f32);
    let longest = (short * MOST_ELONGATED).ceil();
    if long <= longest {
        return vec![Rect::of(picture)];
    }
    let count = ((long - short) / (longest - short)).ceil().clamp(2.0, MOST_PARTS);
    let length = longest.max(long / count).ceil();
    let step = (long - length) / (count - 1.0);
    (0..count as u32)
        .map(|index| {
            let start = (step * index as f32).floor();
            if picture.width >= picture.height {
                Rect::new(start, 0.0, length, short)
            } else {
                Rect::new(0.0, start, short, length)
            }
        })
        .collect()
}

/// The views in which a part is shown with this long side: one, or overlapping ones that are small enough for the memory
/// of a network.
pub fn tiles(part: Rect, long_side: u32) -> Vec<View> {
    let count = long_side.div_ceil(MOST_AT_ONCE);
    if count <= 1 {
        return vec![View::upright(part, long_side)];
    }
    let share = TILE_SHARE / count as f32;
    let (width, height) = ((part.width * share).ceil(), (part.height * share).ceil());
    let start = |index: u32, slack: f32| (slack * index as f32 / (count - 1) as f32).floor();
    let places = (0..count).flat_map(|row| (0..count).map(move |column| (column, row)));
    let tiles = places.map(|(column, row)| {
        let x = part.x + start(column, part.width - width);
        let y = part.y + start(row, part.height - height);
        let shown = long_side as f32 * width.max(height) / part.width.max(part.height);
        View::upright(Rect::new(x, y, width, height), shown.round() as u32)
    });
    tiles.collect()
}

/// The long side of the largest view, in pixels.
const MOST_AT_ONCE: u32 = 2400;
/// How much of a picture's side the tiles along it have together.
const TILE_SHARE: f32 = 1.1;
/// A picture longer than this many times its short side is looked at in parts.
const MOST_ELONGATED: f32 = 2.5;
/// Beyond this many parts each gets longer instead.
const MOST_PARTS: f32 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_large_part_and_stay_inside() {
        let part = Rect::new(100.0, 0.0, 4001.0, 2999.0);
        for long_side in [2401, 3200, 4096] {
            let tiles = tiles(part, long_side);
            assert!(tiles.len() > 1);
            assert_eq!(tiles.iter().map(|tile| tile.part).reduce(Rect::merged), Some(part));
            for tile in tiles {
                assert_eq!(tile.part.intersection(part), Some(tile.part));
                assert!(tile.long_side <= MOST_AT_ONCE, "{tile:?}");
            }
        }
        assert_eq!(tiles(part, 2400), [View::upright(part, 2400)]);
    }

    #[test]
    fn an_ordinary_picture_is_one_part() {
        assert_eq!(parts(Size::new(1920, 1080)), [Rect::of(Size::new(1920, 1080))]);
    }

    #[test]
    fn the_parts_of_a_strip_cover_it_and_overlap_by_its_short_side() {
        for size in [Size::new(8000, 1000), Size::new(1000, 8000), Size::new(2600, 1000)] {
            let parts = parts(size);
            assert_eq!(parts.iter().copied().reduce(Rect::merged), Some(Rect::of(size)));
            for pair in parts.windows(2) {
                let common = pair[0].intersection(pair[1]).map_or(0.0, Rect::area);
                assert!(common >= 1000.0 * 999.0, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_hair_is_few_parts_all_inside() {
        let hair = Size::new(65_535, 1);
        let parts = parts(hair);
        assert!(parts.len() <= 8);
        assert!(parts.iter().all(|part| part.right() <= 65_535.0 && part.width >= 1.0));
    }
}
