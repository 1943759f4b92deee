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

/// A region and how large the face in it is, which decides how coarse its cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub region: Region,
    /// The longer side of the face's own box.
    pub face_px: u32,
}

/// What to hide in a picture of `size`: every face's box grown by `margin` (1.3: 15 % on each side) and every box of `drawn`
/// as it is, rounded outward to steps, clamped to the picture; those that mostly cover each other become one.
pub fn regions(faces: &[Face], drawn: &[Rect], size: Size, margin: f32) -> Vec<Spot> {
    let mut merged: Vec<Spot> = Vec::new();
    let faces = faces.iter().map(|face| (face.rect, stepped(margin)));
    for (rect, margin) in faces.chain(drawn.iter().map(|rect| (*rect, 1.0))) {
        let Some(mut spot) = Spot::around(rect, size, margin) else {
            continue;
        };
        while let Some(index) = merged.iter().position(|other| spot.region.mostly_covers(other.region)) {
            spot = spot.union(merged.swap_remove(index));
        }
        merged.push(spot);
    }
    merged
}

/// The next larger of a few margins, so that regions differ in a few steps only.
fn stepped(margin: f32) -> f32 {
    MARGINS.into_iter().find(|step| *step >= margin).unwrap_or(margin)
}

impl Spot {
    fn around(face: Rect, size: Size, margin: f32) -> Option<Self> {
        let wanted = face.padded(margin).clamped(size)?;
        let face_px = face.width.max(face.height).ceil() as u32;
        let step = (face_px / STEPS_OF_A_FACE).clamp(1, MOST_STEP_PX).next_power_of_two();
        let (x, width) = span(wanted.x, wanted.right(), size.width, step);
        let (y, height) = span(wanted.y, wanted.bottom(), size.height, step);
        Some(Self {
            region: Region { x, y, width, height },
            face_px,
        })
    }

    fn union(self, other: Self) -> Self {
        Self {
            region: self.region.union(other.region),
            face_px: self.face_px.max(other.face_px),
        }
    }
}

/// A region without more ado is all face.
impl From<Region> for Spot {
    fn from(region: Region) -> Self {
        Self {
            region,
            face_px: region.size().long_side(),
        }
    }
}

impl Region {
    pub fn rect(self) -> Rect {
        let [x, y, width, height] = [self.x, self.y, self.width, self.height].map(|length| length as f32);
        Rect { x, y, width, height }
    }

    pub fn size(self) -> Size {
        Size::new(self.width, self.height)
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

/// Start and length of the steps that `low` to `high` touch, cut off at `limit`.
fn span(low: f32, high: f32, limit: u32, step: u32) -> (u32, u32) {
    let start = low as u32 / step * step;
    let end = (high.ceil() as u32).next_multiple_of(step).min(limit);
    (start, end - start)
}

fn overlap(a: u32, a_length: u32, b: u32, b_length: u32) -> u64 {
    u64::from((a + a_length).min(b + b_length).saturating_sub(a.max(b)))
}

const MOSTLY: f64 = 0.6;

/// Regions begin and end at multiples of a sixteenth of their face or more, a power of two of pixels; but not much more is
/// hidden than was asked for.
const STEPS_OF_A_FACE: u32 = 16;
const MOST_STEP_PX: u32 = 16;

/// From the face's box itself to four times as wide and high.
pub const MARGINS: [f32; 7] = [1.0, 1.3, 1.6, 2.0, 2.5, 3.2, 4.0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Blocks;

    const SIZE: Size = Size { width: 100, height: 60 };

    #[test]
    fn a_box_grows_by_the_margin_and_outward_to_whole_blocks() {
        let blocks = Blocks {
            picture: SIZE,
            block: Size { width: 8, height: 16 },
        };
        let found = regions(&[face(20.0, 20.0, 20.0, 20.0)], &[], SIZE, 1.3);
        let places = blocks.places(&found, |region| blocks.around(region));
        assert_eq!(
            places.iter().map(|place| blocks.region(place.area)).collect::<Vec<_>>(),
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
        assert_eq!(
            pixels(&regions(&[face(-10.0, 50.0, 30.0, 30.0)], &[], SIZE, 1.0)),
            [Region {
                x: 0,
                y: 50,
                width: 20,
                height: 10
            }]
        );
        assert!(regions(&[face(200.0, 0.0, 10.0, 10.0)], &[], SIZE, 1.3).is_empty());
    }

    #[test]
    fn a_box_of_a_fraction_of_a_pixel_still_hides_something() {
        assert_eq!(
            pixels(&regions(&[face(5.4, 5.4, 0.1, 0.1)], &[], SIZE, 1.0)),
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
            &[],
            SIZE,
            1.0,
        );
        assert_eq!(
            pixels(&found),
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
                &[],
                SIZE,
                1.0
            )
            .len(),
            2
        );
    }

    #[test]
    fn a_larger_margin_covers_a_smaller_one() {
        let blocks = Blocks {
            picture: Size::new(800, 600),
            block: Size::new(8, 8),
        };
        let faces = [face(300.0, 200.0, 77.0, 101.0)];
        let areas = [1.0, 1.1, 1.3, 1.31, 1.6, 2.0, 2.2, 3.0, 4.0].map(|margin| {
            let places = blocks.places(&regions(&faces, &[], blocks.picture, margin), |region| {
                blocks.around(region)
            });
            assert_eq!((places.len(), places[0].cell), (1, Size::new(16, 16)));
            places[0].area
        });
        assert!(
            areas.windows(2).all(|pair| pair[0].union(pair[1]) == pair[1]),
            "{areas:?}"
        );
        assert_eq!(areas[3], areas[4], "margins come in steps");
    }

    fn pixels(spots: &[Spot]) -> Vec<Region> {
        spots.iter().map(|spot| spot.region).collect()
    }

    fn face(x: f32, y: f32, width: f32, height: f32) -> Face {
        Face {
            rect: Rect { x, y, width, height },
            score: 1.0,
        }
    }
}
