//! What stands around a hidden area for all to see. A soft look fades into it towards the area's border, so that there is no
//! hard rectangle. Of what is hidden, here or beside it, nothing goes into it.

use super::{Extent, place::Place};

/// The colours along the sides of an area: above, to the right, below, to the left. A value for every block; none where the
/// area ends with the picture or is lined by other hidden ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rim {
    above: Vec<u8>,
    right: Vec<u8>,
    below: Vec<u8>,
    left: Vec<u8>,
}

impl Rim {
    /// Of a place, where `seen` is the mean of a block that all see.
    pub fn new(place: Place, seen: impl Fn(u32, u32) -> Option<f64>) -> Self {
        let area = place.area;
        let seen = |x: Option<u32>, y: Option<u32>| seen(x?, y?);
        let row = |y: Option<u32>| softened((area.left..area.right).map(|x| seen(Some(x), y)));
        let column = |x: Option<u32>| softened((area.top..area.bottom).map(|y| seen(x, Some(y))));
        Self {
            above: row(area.top.checked_sub(1)),
            right: column(Some(area.right)),
            below: row(Some(area.bottom)),
            left: column(area.left.checked_sub(1)),
        }
    }

    /// How to fade into it in a patch that is this large; nothing if there is no rim.
    pub fn fade(&self, extent: Extent) -> Option<Fade> {
        if *self == Self::default() {
            return None;
        }
        let (width, height) = (extent.size.width as usize, extent.size.height as usize);
        Some(Fade {
            horizontal: Along::new(self.left.is_empty(), self.right.is_empty(), width),
            vertical: Along::new(self.above.is_empty(), self.below.is_empty(), height),
            above: spread(&self.above, width, extent.block.0),
            below: spread(&self.below, width, extent.block.0),
            left: spread(&self.left, height, extent.block.1),
            right: spread(&self.right, height, extent.block.1),
        })
    }
}

/// The way from a patch to its rim, sample by sample.
pub struct Fade {
    horizontal: Along,
    vertical: Along,
    above: Vec<f32>,
    below: Vec<f32>,
    left: Vec<f32>,
    right: Vec<f32>,
}

/// Weights along one direction.
struct Along {
    /// Of the sides at the start and at the end: one over the square of the distance.
    start: Vec<f32>,
    end: Vec<f32>,
    /// How much of the look itself is seen, 0 to 1.
    seen: Vec<f32>,
    /// Where all of it is seen.
    core: std::ops::Range<usize>,
}

impl Along {
    fn new(starts_bare: bool, ends_bare: bool, length: usize) -> Self {
        let reach = (length as f32 * FADED).max(1.0);
        let distance = |at: usize| at as f32 + 0.5;
        let weight = |is_bare: bool, at: usize| if is_bare { 0.0 } else { distance(at).powi(-2) };
        let seen = |is_bare: bool, at: usize| {
            if is_bare {
                1.0
            } else {
                smooth_step(distance(at) / reach)
            }
        };
        let places = || (0..length).map(|at| (at, length - 1 - at));
        let faded = (reach.ceil() as usize).min(length);
        let first = if starts_bare { 0 } else { faded };
        let last = if ends_bare { length } else { length - faded };
        Self {
            start: places().map(|(at, _)| weight(starts_bare, at)).collect(),
            end: places().map(|(_, at)| weight(ends_bare, at)).collect(),
            seen: places()
                .map(|(from_start, from_end)| seen(starts_bare, from_start) * seen(ends_bare, from_end))
                .collect(),
            core: first..last.max(first),
        }
    }
}

impl Fade {
    /// Fades row `y` of a patch, whose levels these are.
    #[inline(always)]
    pub fn apply(&self, y: usize, row: &mut [f32]) {
        let core = if self.vertical.core.contains(&y) {
            self.horizontal.core.clone()
        } else {
            0..0
        };
        self.blend(y, 0..core.start, row);
        self.blend(y, core.end..row.len(), row);
    }

    #[inline(always)]
    fn blend(&self, y: usize, columns: std::ops::Range<usize>, row: &mut [f32]) {
        let Along { start, end, seen, .. } = &self.horizontal;
        let (from_top, from_bottom, is_seen) = (self.vertical.start[y], self.vertical.end[y], self.vertical.seen[y]);
        let (left, right) = (self.left[y], self.right[y]);
        let values = row[columns.clone()]
            .iter_mut()
            .zip(&start[columns.clone()])
            .zip(&end[columns.clone()])
            .zip(&seen[columns.clone()])
            .zip(&self.above[columns.clone()])
            .zip(&self.below[columns]);
        for (((((level, from_left), from_right), seen), above), below) in values {
            let weights = from_top + from_bottom + from_left + from_right;
            let around = from_top * above + from_bottom * below + from_left * left + from_right * right;
            let around = around / weights;
            *level = around + seen * is_seen * (*level - around);
        }
    }
}

/// A mean over a quarter of the side about every block; where nothing is seen, the nearest that is.
fn softened(blocks: impl Iterator<Item = Option<f64>>) -> Vec<u8> {
    let blocks: Vec<Option<f64>> = blocks.collect();
    let nearest = |at: usize| {
        let seen = |offset: usize| {
            let before = at.checked_sub(offset).and_then(|index| blocks[index]);
            before.or_else(|| blocks.get(at + offset).copied().flatten())
        };
        (0..blocks.len()).find_map(seen)
    };
    let Some(seen) = (0..blocks.len()).map(nearest).collect::<Option<Vec<f64>>>() else {
        return Vec::new();
    };
    let reach = seen.len() / 8;
    let mean = |at: usize| {
        let part = &seen[at.saturating_sub(reach)..(at + reach + 1).min(seen.len())];
        (part.iter().sum::<f64>() / part.len() as f64).round().clamp(0.0, 255.0) as u8
    };
    (0..seen.len()).map(mean).collect()
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
