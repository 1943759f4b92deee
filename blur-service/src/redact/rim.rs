//! What stands around a hidden area for all to see. A soft look is mixed with it, and is nothing else at the area's border: no
//! hard rectangle is seen, and no oval of skin below hair, which people and detectors know for a face. Of what is hidden,
//! here or beside it, nothing goes into it.

use super::{Extent, Shape, place::Place};

/// The colours along the sides of an area: above, to the right, below, to the left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rim {
    above: Side,
    right: Side,
    below: Side,
    left: Side,
}

/// A value for every block along a side; none where the area ends with the picture or is lined by other hidden ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    /// What the side is like at the border.
    sharp: Vec<u8>,
    /// And from afar.
    soft: Vec<u8>,
}

impl Rim {
    /// Of a place, where `seen` is the mean of a block that all see.
    pub fn new(place: Place, seen: impl Fn(u32, u32) -> Option<f64>) -> Self {
        let area = place.area;
        let seen = |x: Option<u32>, y: Option<u32>| seen(x?, y?);
        let row = |y: Option<u32>| Side::new((area.left..area.right).map(|x| seen(Some(x), y)).collect());
        let column = |x: Option<u32>| Side::new((area.top..area.bottom).map(|y| seen(x, Some(y))).collect());
        Self {
            above: row(area.top.checked_sub(1)),
            right: column(Some(area.right)),
            below: row(Some(area.bottom)),
            left: column(area.left.checked_sub(1)),
        }
    }

    /// How to fade into it in a patch that is this large; nothing if there is no rim.
    pub fn fade(&self, extent: Extent, shape: Shape) -> Option<Fade> {
        if *self == Self::default() {
            return None;
        }
        let (width, height) = (extent.size.width as usize, extent.size.height as usize);
        Some(Fade {
            shape,
            horizontal: Along::new(self.left.is_bare(), self.right.is_bare(), width),
            vertical: Along::new(self.above.is_bare(), self.below.is_bare(), height),
            above: self.above.line(width, extent.block.0),
            below: self.below.line(width, extent.block.0),
            left: self.left.line(height, extent.block.1),
            right: self.right.line(height, extent.block.1),
            around: vec![0.0; width],
            shown: vec![0.0; width],
        })
    }
}

impl Side {
    /// Where a block is not seen, the nearest that is stands for it.
    fn new(blocks: Vec<Option<f64>>) -> Self {
        let nearest = |at: usize| {
            let seen = |offset: usize| {
                let before = at.checked_sub(offset).and_then(|index| blocks[index]);
                before.or_else(|| blocks.get(at + offset).copied().flatten())
            };
            (0..blocks.len()).find_map(seen)
        };
        let Some(seen) = (0..blocks.len()).map(nearest).collect::<Option<Vec<f64>>>() else {
            return Self::default();
        };
        let smoothed = |reach: usize| (0..seen.len()).map(|at| mean_about(&seen, at, reach)).collect();
        Self {
            sharp: smoothed(0),
            soft: smoothed(seen.len() / BLURRED),
        }
    }

    fn is_bare(&self) -> bool {
        self.sharp.is_empty()
    }

    fn line(&self, length: usize, block: f32) -> Line {
        let (sharp, mut softening) = (spread(&self.sharp, length, block), spread(&self.soft, length, block));
        softening
            .iter_mut()
            .zip(&sharp)
            .for_each(|(soft, sharp)| *soft -= sharp);
        Line { sharp, softening }
    }
}

/// The way from a patch to its rim, sample by sample.
pub struct Fade {
    shape: Shape,
    horizontal: Along,
    vertical: Along,
    above: Line,
    below: Line,
    left: Line,
    right: Line,
    /// What the row in work would be if nothing but the rim were seen, times the weights.
    around: Vec<f32>,
    /// How much of the look itself is seen in it.
    shown: Vec<f32>,
}

/// A side of the rim, sample by sample.
struct Line {
    sharp: Vec<f32>,
    /// What has to be added for it to be soft.
    softening: Vec<f32>,
}

/// Weights along one direction.
struct Along {
    start: Way,
    end: Way,
    /// How much of the look itself is seen.
    seen: Vec<f32>,
    /// The square of the distance from the middle, 1 at the sides.
    off_centre: Vec<f32>,
}

/// Weights of one side: one over the square of the distance from it.
struct Way {
    weight: Vec<f32>,
    /// Times how soft the side is at that distance, 0 to 1.
    soft: Vec<f32>,
}

impl Along {
    fn new(starts_bare: bool, ends_bare: bool, length: usize) -> Self {
        let from_start: Vec<f32> = (0..length).map(|at| at as f32 + 0.5).collect();
        let from_end: Vec<f32> = from_start.iter().rev().copied().collect();
        let reach = (length as f32 * FADED).max(1.0);
        let seen = |is_bare: bool, distance: f32| if is_bare { 1.0 } else { smooth_step(distance / reach) };
        let both = from_start.iter().zip(&from_end);
        Self {
            seen: both
                .map(|(start, end)| seen(starts_bare, *start) * seen(ends_bare, *end))
                .collect(),
            off_centre: from_start
                .iter()
                .map(|start| (2.0 * start / length as f32 - 1.0).powi(2))
                .collect(),
            start: Way::new(starts_bare, &from_start),
            end: Way::new(ends_bare, &from_end),
        }
    }
}

impl Way {
    fn new(is_bare: bool, distances: &[f32]) -> Self {
        let length = distances.len() as f32;
        let weight = |distance: &f32| if is_bare { 0.0 } else { distance.powi(-2) };
        let softness = |distance: &f32| smooth_step(distance / length);
        Self {
            weight: distances.iter().map(weight).collect(),
            soft: distances
                .iter()
                .map(|distance| weight(distance) * softness(distance))
                .collect(),
        }
    }
}

impl Fade {
    /// Fades row `y` of a patch, whose levels these are.
    #[inline(always)]
    pub fn apply(&mut self, y: usize, row: &mut [f32]) {
        self.show(y);
        let (Along { start, end, .. }, vertical) = (&self.horizontal, &self.vertical);
        self.around.fill(0.0);
        for (factor, line) in [
            (vertical.start.weight[y], &self.above.sharp),
            (vertical.start.soft[y], &self.above.softening),
            (vertical.end.weight[y], &self.below.sharp),
            (vertical.end.soft[y], &self.below.softening),
            (self.left.sharp[y], &start.weight),
            (self.left.softening[y], &start.soft),
            (self.right.sharp[y], &end.weight),
            (self.right.softening[y], &end.soft),
        ] {
            for (sum, value) in self.around.iter_mut().zip(line) {
                *sum += factor * value;
            }
        }
        let from_above_and_below = vertical.start.weight[y] + vertical.end.weight[y];
        let weights = start.weight.iter().zip(&end.weight);
        let row = row.iter_mut().zip(&self.around).zip(weights).zip(&self.shown);
        for (((level, around), (from_left, from_right)), shown) in row {
            let around = around / (from_above_and_below + from_left + from_right);
            *level = around + MOST_SEEN * shown * (*level - around);
        }
    }

    #[inline(always)]
    fn show(&mut self, y: usize) {
        let (across, down) = (&self.horizontal, &self.vertical);
        match self.shape {
            Shape::Box => {
                for (shown, seen) in self.shown.iter_mut().zip(&across.seen) {
                    *shown = seen * down.seen[y];
                }
            }
            Shape::Ellipse => {
                for (shown, off_centre) in self.shown.iter_mut().zip(&across.off_centre) {
                    *shown = smooth_step(1.0 - off_centre - down.off_centre[y]);
                }
            }
        }
    }
}

fn mean_about(values: &[f64], at: usize, reach: usize) -> u8 {
    let part = &values[at.saturating_sub(reach)..(at + reach + 1).min(values.len())];
    (part.iter().sum::<f64>() / part.len() as f64).round().clamp(0.0, 255.0) as u8
}

/// A value for every sample: straight lines between the middles of the blocks. Zeros for a side that is not there.
fn spread(side: &[u8], length: usize, block: f32) -> Vec<f32> {
    let at = |index: usize| side.get(index).or(side.last()).map_or(0.0, |value| f32::from(*value));
    let value = |sample: usize| {
        let position = ((sample as f32 + 0.5) / block - 0.5).max(0.0);
        let first = position as usize;
        at(first) + (position - first as f32) * (at(first + 1) - at(first))
    };
    (0..length).map(value).collect()
}

fn smooth_step(position: f32) -> f32 {
    let position = position.clamp(0.0, 1.0);
    position * position * (3.0 - 2.0 * position)
}

/// The share of an area's length over which it fades at each end.
const FADED: f32 = 0.5;
/// The share of the look itself in the middle; what stands around is the rest. With more of the colour of skin between hair
/// and neck, detectors believe in a face.
const MOST_SEEN: f32 = 0.25;
/// From afar a side is blurred over a sixth of its length to each hand.
const BLURRED: usize = 6;
