//! Which blocks of a picture are hidden, and by cells of which size. Blocks and cells lie in grids that are anchored at the
//! picture's first pixel as it is stored, and cells have a power of two of blocks along each side: whatever region is asked
//! for, its cells are the same or nested ones. All answers for one picture together tell no more than its finest cells.

use std::cmp::Reverse;

use crate::geometry::Size;

use super::{Region, Spot};

/// Whole blocks of a picture: columns `left..right` and rows `top..bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
}

/// A picture as it is stored, in blocks: the smallest parts of it that are hidden as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    pub picture: Size,
    /// Pixels of a block.
    pub block: Size,
}

/// A hidden area and the blocks of a cell along each side, powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub area: Area,
    pub cell: Size,
}

impl Blocks {
    /// Columns and rows of blocks.
    pub fn count(self) -> Size {
        Size::new(
            self.picture.width.div_ceil(self.block.width),
            self.picture.height.div_ceil(self.block.height),
        )
    }

    /// Pixels of a block that are part of the picture.
    pub fn pixels(self, x: u32, y: u32) -> u32 {
        let visible = |at: u32, block: u32, all: u32| block.min(all.saturating_sub(at * block));
        visible(x, self.block.width, self.picture.width) * visible(y, self.block.height, self.picture.height)
    }

    /// How many blocks a cell has along each side where a face is this large: no cell is smaller than the face.
    pub fn cell(self, face_px: u32) -> Size {
        let along = |block: u32| face_px.div_ceil(block).max(1).next_power_of_two();
        Size::new(along(self.block.width), along(self.block.height))
    }

    /// The blocks that hold every pixel of a region.
    pub fn around(self, region: Region) -> Option<Area> {
        let count = self.count();
        let area = Area {
            left: region.x / self.block.width,
            top: region.y / self.block.height,
            right: (region.x.saturating_add(region.width))
                .div_ceil(self.block.width)
                .min(count.width),
            bottom: (region.y.saturating_add(region.height))
                .div_ceil(self.block.height)
                .min(count.height),
        };
        (area.left < area.right && area.top < area.bottom).then_some(area)
    }

    /// The pixels of an area.
    pub fn region(self, area: Area) -> Region {
        let (x, y) = (area.left * self.block.width, area.top * self.block.height);
        Region {
            x,
            y,
            width: (area.right * self.block.width).min(self.picture.width) - x,
            height: (area.bottom * self.block.height).min(self.picture.height) - y,
        }
    }

    /// Where everything is hidden, in the order in which it is painted: where two places lie upon each other, the later
    /// one, whose cells are not finer, is what is seen. `around` tells the blocks of a region.
    pub fn places(self, spots: &[Spot], around: impl Fn(Region) -> Option<Area>) -> Vec<Place> {
        let count = self.count();
        let place = |spot: &Spot| {
            Some(Place {
                area: around(spot.region)?,
                cell: self.cell(spot.face_px),
            })
        };
        let places = bounded(spots.iter().filter_map(place).collect(), count.pixels());
        let mut places = without_finer_cells_upon_others(&places, count);
        places.sort_by_key(|place| (place.cell.pixels(), Reverse(place.area.left)));
        places
    }

    /// For every block of the picture, row by row, the place that is seen there.
    pub fn owners(self, places: &[Place]) -> Vec<Option<usize>> {
        let count = self.count();
        let mut owners = vec![None; count.pixels() as usize];
        for (index, Place { area, .. }) in places.iter().enumerate() {
            for row in area.top..area.bottom {
                let start = (row * count.width) as usize;
                owners[start + area.left as usize..start + area.right as usize].fill(Some(index));
            }
        }
        owners
    }
}

impl Area {
    pub fn blocks(self) -> u64 {
        u64::from(self.right - self.left) * u64::from(self.bottom - self.top)
    }

    pub fn size(self) -> Size {
        Size::new(self.right - self.left, self.bottom - self.top)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    pub fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Outward to multiples of `step` blocks.
    fn rounded(self, step: Size, count: Size) -> Self {
        Self {
            left: self.left / step.width * step.width,
            top: self.top / step.height * step.height,
            right: self.right.next_multiple_of(step.width).min(count.width),
            bottom: self.bottom.next_multiple_of(step.height).min(count.height),
        }
    }
}

impl Place {
    /// The blocks of all its cells.
    pub fn cells(self, count: Size) -> Area {
        self.area.rounded(self.cell, count)
    }

    /// All blocks that its look depends on: those of its cells, and one more on each side of the area.
    pub fn reach(self, count: Size) -> Area {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.area;
        let about = Area {
            left: left.saturating_sub(1),
            top: top.saturating_sub(1),
            right: (right + 1).min(count.width),
            bottom: (bottom + 1).min(count.height),
        };
        about.union(self.cells(count))
    }
}

/// The places, or fewer and larger ones where they lie upon each other so much that the work would not stay linear.
fn bounded(places: Vec<Place>, blocks: u64) -> Vec<Place> {
    if places.iter().map(|place| place.area.blocks()).sum::<u64>() <= 2 * blocks {
        return places;
    }
    let mut merged: Vec<Place> = Vec::new();
    for mut place in places {
        while let Some(index) = merged.iter().position(|other| other.area.overlaps(place.area)) {
            let other = merged.swap_remove(index);
            place = Place {
                area: place.area.union(other.area),
                cell: coarser(place.cell, other.cell),
            };
        }
        merged.push(place);
    }
    merged
}

/// Finer cells upon a place with coarser ones would show more of it than it shall, so they become as coarse.
fn without_finer_cells_upon_others(places: &[Place], count: Size) -> Vec<Place> {
    let coarsened = |place: &Place| {
        let mut place = *place;
        loop {
            let cells = place.cells(count);
            let touched = places.iter().filter(|other| other.area.overlaps(cells));
            let cell = touched.fold(place.cell, |cell, other| coarser(cell, other.cell));
            if cell == place.cell {
                return place;
            }
            place.cell = cell;
        }
    };
    places.iter().map(coarsened).collect()
}

fn coarser(a: Size, b: Size) -> Size {
    Size::new(a.width.max(b.width), a.height.max(b.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKS: Blocks = Blocks {
        picture: Size {
            width: 800,
            height: 800,
        },
        block: Size { width: 8, height: 8 },
    };

    #[test]
    fn no_cell_is_smaller_than_the_face_or_than_a_block() {
        for (face, cell) in [(1, 1), (8, 1), (9, 2), (32, 4), (33, 8), (300, 64), (5000, 1024)] {
            assert_eq!(BLOCKS.cell(face), Size::new(cell, cell), "{face}");
        }
        let wide = Blocks {
            block: Size::new(32, 8),
            ..BLOCKS
        };
        assert_eq!(wide.cell(100), Size::new(4, 16));
    }

    #[test]
    fn a_small_region_upon_a_large_face_does_not_make_its_cells_finer() {
        let spot = |x, y, side, face_px| Spot {
            region: Region {
                x,
                y,
                width: side,
                height: side,
            },
            face_px,
        };
        let places = BLOCKS.places(
            &[spot(96, 96, 200, 180), spot(80, 150, 24, 20), spot(700, 700, 24, 20)],
            |region| BLOCKS.around(region),
        );
        let cells: Vec<u32> = places.iter().map(|place| place.cell.width).collect();
        assert_eq!(cells, [4, 32, 32]);
        let owners = BLOCKS.owners(&places);
        assert_eq!(owners[(700 / 8 * 100 + 700 / 8) as usize], Some(0));
    }

    #[test]
    fn areas_become_one_only_where_they_cover_the_picture_many_times() {
        let place = Place {
            area: Area {
                left: 0,
                top: 0,
                right: 9,
                bottom: 9,
            },
            cell: Size::new(1, 1),
        };
        assert_eq!(bounded(vec![place; 2], 100).len(), 2);
        assert_eq!(bounded(vec![place; 3], 100), [place]);
    }
}
