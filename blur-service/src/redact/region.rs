//! From faces to the regions that are hidden: padded, rounded outward, clamped and merged.

use crate::{
    detect::Face,
    geometry::{Rect, Size},
};

/// Whole pixels of a picture, inside it and never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// The regions to hide in a picture of `size`: every face's box grown by `margin` (1.3: 15 % on each side), rounded
/// outward to multiples of `block`, clamped to the picture; those that mostly cover each other become one.
pub fn regions(faces: &[Face], size: Size, margin: f32, block: Size) -> Vec<Region> {
    let mut merged: Vec<Region> = Vec::new();
    for face in faces {
        let Some(mut region) = Region::around(face.rect, size, margin, block) else {
            continue;
        };
        while let Some(index) = merged.iter().position(|other| region.mostly_covers(*other)) {
            region = region.union(merged.swap_remove(index));
        }
        merged.push(region);
    }
    merged
}

impl Region {
    pub fn rect(self) -> Rect {
        let [x, y, width, height] = [self.x, self.y, self.width, self.height].map(|length| length as f32);
        Rect { x, y, width, height }
    }

    fn around(face: Rect, size: Size, margin: f32, block: Size) -> Option<Self> {
        let wanted = face.padded(margin).clamped(size)?;
        let (x, width) = span(wanted.x, wanted.right(), size.width, block.width);
        let (y, height) = span(wanted.y, wanted.bottom(), size.height, block.height);
        Some(Self { x, y, width, height })
    }

    /// Whether the two share most of the smaller one.
    fn mostly_covers(self, other: Self) -> bool {
        let shared =
            overlap(self.x, self.width, other.x, other.width) * overlap(self.y, self.height, other.y, other.height);
        shared as f64 > MOSTLY * self.area().min(other.area()) as f64
    }

    fn union(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self {
            x,
            y,
            width: right - x,
            height: bottom - y,
        }
    }

    fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// Start and length of the whole blocks that `low` to `high` touch, cut off at `limit`.
fn span(low: f32, high: f32, limit: u32, block: u32) -> (u32, u32) {
    let start = low as u32 / block * block;
    let end = (high.ceil() as u32).next_multiple_of(block).min(limit);
    (start, end - start)
}

fn overlap(a: u32, a_length: u32, b: u32, b_length: u32) -> u64 {
    u64::from((a + a_length).min(b + b_length).saturating_sub(a.max(b)))
}

const MOSTLY: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 100, height: 60 };
    const PIXEL: Size = Size { width: 1, height: 1 };

    #[test]
    fn a_box_grows_by_the_margin_and_outward_to_whole_blocks() {
        let block = Size { width: 8, height: 16 };
        let found = regions(&[face(20.0, 20.0, 20.0, 20.0)], SIZE, 1.3, block);
        assert_eq!(
            found,
            [Region {
                x: 16,
                y: 16,
                width: 32,
                height: 32
            }]
        );
    }

    #[test]
    fn a_box_that_reaches_out_of_the_picture_is_clamped() {
        let found = regions(&[face(-10.0, 50.0, 30.0, 30.0)], SIZE, 1.0, PIXEL);
        assert_eq!(
            found,
            [Region {
                x: 0,
                y: 50,
                width: 20,
                height: 10
            }]
        );
        assert!(regions(&[face(200.0, 0.0, 10.0, 10.0)], SIZE, 1.3, PIXEL).is_empty());
    }

    #[test]
    fn a_box_of_a_fraction_of_a_pixel_still_hides_something() {
        let found = regions(&[face(5.4, 5.4, 0.1, 0.1)], SIZE, 1.0, PIXEL);
        assert_eq!(
            found,
            [Region {
                x: 5,
                y: 5,
                width: 1,
                height: 1
            }]
        );
    }

    #[test]
    fn boxes_upon_each_other_become_one_and_neighbours_stay_two() {
        let found = regions(
            &[face(10.0, 10.0, 20.0, 20.0), face(12.0, 12.0, 20.0, 20.0)],
            SIZE,
            1.0,
            PIXEL,
        );
        assert_eq!(
            found,
            [Region {
                x: 10,
                y: 10,
                width: 22,
                height: 22
            }]
        );
        assert_eq!(
            regions(
                &[face(0.0, 0.0, 20.0, 20.0), face(18.0, 0.0, 20.0, 20.0)],
                SIZE,
                1.0,
                PIXEL
            )
            .len(),
            2
        );
    }

    fn face(x: f32, y: f32, width: f32, height: f32) -> Face {
        Face {
            rect: Rect { x, y, width, height },
            score: 1.0,
        }
    }
}
