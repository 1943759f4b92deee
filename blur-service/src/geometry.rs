//! Rectangles over a picture, in pixels: padding, clamping, overlap and the suppression of double detections. Pure.

use serde::Serialize;

/// Width and height of a picture or patch, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    pub fn long_side(self) -> u32 {
        self.width.max(self.height)
    }

    pub fn short_side(self) -> u32 {
        self.width.min(self.height)
    }

    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The same shape with the long side at `long_side`; neither side falls below one pixel.
    pub fn scaled_to(self, long_side: u32) -> Self {
        let scale = f64::from(long_side) / f64::from(self.long_side().max(1));
        let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        Self::new(side(self.width), side(self.height))
    }

    /// Width and height exchanged, as after a quarter turn.
    pub fn turned(self) -> Self {
        Self::new(self.height, self.width)
    }
}

/// A rectangle in pixels: `x`, `y` is the upper left corner. The one box format everywhere, upright unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rect {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

impl Rect {
    pub fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// The whole of a picture.
    pub fn of(size: Size) -> Self {
        Self::new(0.0, 0.0, size.width as f32, size.height as f32)
    }

    pub fn centred(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self::new(x - width / 2.0, y - height / 2.0, width, height)
    }

    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self::new(left, top, right - left, bottom - top)
    }

    pub fn right(self) -> f32 {
        self.x + self.width
    }

    pub fn bottom(self) -> f32 {
        self.y + self.height
    }

    pub fn centre(self) -> (f32, f32) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    pub fn area(self) -> f32 {
        self.width * self.height
    }

    /// Nothing lies inside; also true where a number is missing (NaN) or infinite.
    pub fn is_empty(self) -> bool {
        !(self.width > 0.0 && self.height > 0.0 && self.right().is_finite() && self.bottom().is_finite())
    }

    /// Grown about its centre: each side becomes `factor` times as long.
    pub fn padded(self, factor: f32) -> Self {
        let (x, y) = self.centre();
        Self::centred(x, y, self.width * factor, self.height * factor)
    }

    pub fn scaled(self, horizontal: f32, vertical: f32) -> Self {
        Self::new(
            self.x * horizontal,
            self.y * vertical,
            self.width * horizontal,
            self.height * vertical,
        )
    }

    pub fn moved(self, right: f32, down: f32) -> Self {
        Self::new(self.x + right, self.y + down, self.width, self.height)
    }

    /// The part both cover.
    pub fn intersection(self, other: Self) -> Option<Self> {
        if self.is_empty() || other.is_empty() {
            return None;
        }
        let common = Self::from_edges(
            self.x.max(other.x),
            self.y.max(other.y),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        );
        (!common.is_empty()).then_some(common)
    }

    /// The smallest rectangle that covers both.
    pub fn merged(self, other: Self) -> Self {
        Self::from_edges(
            self.x.min(other.x),
            self.y.min(other.y),
            self.right().max(other.right()),
            self.bottom().max(other.bottom()),
        )
    }

    /// The part inside a picture of `size`.
    pub fn clamped(self, size: Size) -> Option<Self> {
        self.intersection(Self::of(size))
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(self, other: Self) -> f32 {
        let common = self.intersection(other).map_or(0.0, Self::area);
        if common == 0.0 {
            0.0
        } else {
            common / (self.area() + other.area() - common)
        }
    }

    /// How much of `other` lies inside, 0 to 1.
    pub fn covers(self, other: Self) -> f32 {
        self.intersection(other).map_or(0.0, Self::area) / other.area().max(f32::MIN_POSITIVE)
    }

    /// How much of it lies inside `others` together, 0 to 1: what several of them cover counts once.
    pub fn covered_by(self, others: &[Self]) -> f32 {
        let parts: Vec<Self> = others.iter().filter_map(|other| self.intersection(*other)).collect();
        let mut edges: Vec<f32> = parts.iter().flat_map(|part| [part.x, part.right()]).collect();
        edges.sort_by(f32::total_cmp);
        let columns = edges.windows(2).map(|edge| {
            let across = parts.iter().filter(|part| part.x <= edge[0] && edge[1] <= part.right());
            (edge[1] - edge[0]) * united_length(across.map(|part| (part.y, part.bottom())).collect())
        });
        columns.sum::<f32>() / self.area().max(f32::MIN_POSITIVE)
    }
}

/// The length of intervals together, each a start and an end.
fn united_length(mut intervals: Vec<(f32, f32)>) -> f32 {
    intervals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut length, mut reached) = (0.0, f32::NEG_INFINITY);
    for (start, end) in intervals {
        length += (end - start.max(reached)).max(0.0);
        reached = reached.max(end);
    }
    length
}

/// Greedy non-maximum suppression: goes through `candidates`, best first, and keeps those which are no `double` of one kept before.
pub fn without_doubles<T>(
    candidates: impl IntoIterator<Item = T>,
    rect_of: impl Fn(&T) -> Rect,
    double: impl Fn(Rect, Rect) -> bool,
) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for candidate in candidates {
        let rect = rect_of(&candidate);
        if !kept.iter().any(|better| double(rect_of(better), rect)) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SQUARE: Rect = Rect {
        x: 10.0,
        y: 10.0,
        width: 10.0,
        height: 10.0,
    };

    #[test]
    fn pads_about_the_centre() {
        assert_eq!(SQUARE.padded(1.4), Rect::new(8.0, 8.0, 14.0, 14.0));
        assert_eq!(SQUARE.padded(1.0), SQUARE);
    }

    #[test]
    fn clamps_to_the_picture_and_drops_what_lies_outside() {
        assert_eq!(
            SQUARE.clamped(Size::new(15, 100)),
            Some(Rect::new(10.0, 10.0, 5.0, 10.0))
        );
        assert_eq!(SQUARE.clamped(Size::new(10, 10)), None);
        assert_eq!(
            Rect::new(-5.0, -5.0, 50.0, 50.0).clamped(Size::new(8, 9)),
            Some(Rect::of(Size::new(8, 9)))
        );
    }

    #[test]
    fn a_rectangle_that_is_not_a_number_is_empty() {
        assert!(Rect::new(0.0, 0.0, f32::NAN, 1.0).is_empty());
        assert_eq!(Rect::new(f32::NAN, 0.0, f32::NAN, 1.0).clamped(Size::new(8, 8)), None);
    }

    #[test]
    fn overlap_is_one_for_itself_and_zero_for_neighbours() {
        assert_eq!(SQUARE.iou(SQUARE), 1.0);
        assert_eq!(SQUARE.iou(SQUARE.moved(10.0, 0.0)), 0.0);
        assert!((SQUARE.iou(SQUARE.moved(5.0, 0.0)) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_small_box_inside_a_large_one_is_covered_but_overlaps_little() {
        let small = Rect::new(12.0, 12.0, 2.0, 2.0);
        assert_eq!(SQUARE.covers(small), 1.0);
        assert_eq!(small.covers(SQUARE), 0.04);
        assert!((SQUARE.iou(small) - 0.04).abs() < 1e-6);
    }

    #[test]
    fn what_several_cover_counts_once() {
        let face = Rect::new(0.0, 0.0, 100.0, 100.0);
        let left = Rect::from_edges(-50.0, 0.0, 50.0, 100.0);
        let above = Rect::from_edges(-5.0, -100.0, 45.0, 100.0);
        assert_eq!(face.covered_by(&[left, above]), 0.5);
        assert_eq!(face.covered_by(&[left, left.moved(100.0, 0.0)]), 1.0);
        assert_eq!(face.covered_by(&[left.moved(500.0, 0.0)]), 0.0);
        assert_eq!(face.covered_by(&[]), 0.0);
    }

    proptest! {
        #[test]
        fn what_is_covered_is_what_counting_its_squares_tells(
            parts in prop::collection::vec((-4i8..20, -4i8..20, 1i8..12, 1i8..12), 0..8)
        ) {
            let parts: Vec<Rect> = parts
                .into_iter()
                .map(|(x, y, width, height)| Rect::new(x.into(), y.into(), width.into(), height.into()))
                .collect();
            let whole = Rect::of(Size::new(16, 16));
            let is_inside = |square: Rect| parts.iter().any(|part| part.covers(square) == 1.0);
            let squares = (0..256u16).map(|n| Rect::new(f32::from(n % 16), f32::from(n / 16), 1.0, 1.0));
            let counted = squares.filter(|square| is_inside(*square)).count();
            prop_assert!((whole.covered_by(&parts) - counted as f32 / 256.0).abs() < 1e-5);
        }
    }

    #[test]
    fn merging_covers_both() {
        assert_eq!(
            SQUARE.merged(Rect::new(0.0, 30.0, 5.0, 5.0)),
            Rect::from_edges(0.0, 10.0, 20.0, 35.0)
        );
    }

    #[test]
    fn scaling_keeps_the_shape_and_never_falls_to_nothing() {
        assert_eq!(Size::new(4000, 3000).scaled_to(640), Size::new(640, 480));
        assert_eq!(Size::new(10_000, 1).scaled_to(192), Size::new(192, 1));
    }

    #[test]
    fn suppression_keeps_the_best_of_each_heap() {
        let boxes = [
            SQUARE,
            SQUARE.moved(1.0, 1.0),
            SQUARE.moved(100.0, 0.0),
            SQUARE.moved(2.0, 0.0),
        ];
        let kept = without_doubles(boxes, |rect| *rect, |a, b| a.iou(b) > 0.4);
        assert_eq!(kept, [SQUARE, SQUARE.moved(100.0, 0.0)]);
    }
}
