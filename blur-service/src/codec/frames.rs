//! Frames of animations: what viewers make of them, one upon another, and what is different in each.

use image::{Rgba, RgbaImage};

use super::Space;
use crate::{error::Error, geometry::Size};

/// A frame as it is shown, as large as the animation.
pub struct Frame {
    pub pixels: RgbaImage,
    pub delay: Delay,
}

/// How long a frame is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    pub ticks: u32,
    pub per_second: u32,
}

impl Delay {
    /// Rounded to so many ticks a second.
    pub fn in_ticks(self, per_second: u32) -> u64 {
        let half = u64::from(self.per_second) / 2;
        (u64::from(self.ticks) * u64::from(per_second) + half) / u64::from(self.per_second.max(1))
    }
}

/// The frames of a file, in their order.
pub trait Frames {
    /// The next one, or nothing behind the last.
    ///
    /// # Errors
    /// [`Error::BrokenPicture`].
    fn next(&mut self) -> Result<Option<Frame>, Error>;

    /// How often they are shown; 0 is for ever.
    fn plays(&self) -> u32;

    /// In which colours they are.
    fn space(&self) -> Result<Space, Error>;
}

/// What a format does with a frame.
pub(super) trait WriteFrames {
    /// Draws `change` over what was shown.
    fn write(&mut self, change: &Change) -> Result<(), Error>;

    /// The whole file, which holds nothing else.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error>;

    /// How many there are so far.
    fn bytes(&self) -> usize;
}

/// What is different in a frame.
pub(super) struct Change<'a> {
    pub before: &'a RgbaImage,
    pub after: &'a RgbaImage,
    pub place: Place,
    pub delay: Delay,
    /// Whether all that the frame covers becomes clear before the next one.
    pub is_cleared: bool,
}

/// In pixels of the animation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub x: u32,
    pub y: u32,
    pub size: Size,
}

/// What is known of an animation before its first frame is written.
pub struct Plan {
    /// As it is shown.
    pub size: Size,
    pub frames: u32,
    pub plays: u32,
    pub profile: Option<super::Profile>,
}

impl Place {
    pub fn whole(pixels: &RgbaImage) -> Self {
        Self {
            x: 0,
            y: 0,
            size: Size {
                width: pixels.width(),
                height: pixels.height(),
            },
        }
    }

    /// Begins at even pixels, as WebP wants it; a single pixel where nothing is different.
    pub fn of_change(before: &RgbaImage, after: &RgbaImage) -> Self {
        let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
        for (y, (one, other)) in (0..).zip(before.rows().zip(after.rows())) {
            for (x, _) in (0..).zip(one.zip(other)).filter(|(_, (one, other))| one != other) {
                (left, right) = (left.min(x), right.max(x + 1));
                (top, bottom) = (top.min(y), bottom.max(y + 1));
            }
        }
        if right == 0 {
            (left, right, top, bottom) = (0, 1, 0, 1);
        }
        let (x, y) = (left & !1, top & !1);
        Self {
            x,
            y,
            size: Size {
                width: right - x,
                height: bottom - y,
            },
        }
    }
}

impl Change<'_> {
    /// The pixels that are drawn, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = (&Rgba<u8>, &Rgba<u8>)> {
        let Place { x, y, size } = self.place;
        (y..y + size.height)
            .flat_map(move |y| (x..x + size.width).map(move |x| (x, y)))
            .map(|(x, y)| (self.before.get_pixel(x, y), self.after.get_pixel(x, y)))
    }

    /// What is shown where the frame is, as a picture of its own.
    pub fn picture(&self) -> RgbaImage {
        let Place { x, y, size } = self.place;
        image::imageops::crop_imm(self.after, x, y, size.width, size.height).to_image()
    }
}

/// Memory for frames in bytes: what a reader composes and yields, what a writer compares and codes, what the detector sees
/// (up to three views), and a file that is as large again as the one that came in.
pub(super) fn work_bytes(size: Size, file: &[u8]) -> u64 {
    let frames = size.pixels().saturating_mul(4 * 9 + 9);
    frames.saturating_add(2 * file.len() as u64)
}

/// What viewers show of frames that are drawn one upon another.
pub(super) struct Screen {
    shown: RgbaImage,
    /// What is done before the next frame is drawn.
    pending: Option<(Place, Disposal)>,
}

/// What becomes of a frame before the next one is drawn.
pub(super) enum Disposal {
    Keep,
    Clear,
    /// It shows what it showed before, which is this.
    Restore(RgbaImage),
}

/// How a frame is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blend {
    /// In place of what was there.
    Replace,
    Over,
}

/// What a disposal asks for, before it is known what there is to restore.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Clear,
    Restore,
}

impl Screen {
    pub fn new(size: Size) -> Self {
        Self {
            shown: RgbaImage::new(size.width, size.height),
            pending: None,
        }
    }

    /// Draws a frame at a place, as far as it lies inside, and tells what is shown then.
    pub fn draw(&mut self, frame: &RgbaImage, (x, y): (u32, u32), blend: Blend, after: After) -> RgbaImage {
        self.dispose();
        let (width, height) = self.shown.dimensions();
        let place = Place {
            x: x.min(width),
            y: y.min(height),
            size: Size {
                width: frame.width().min(width.saturating_sub(x)),
                height: frame.height().min(height.saturating_sub(y)),
            },
        };
        let disposal = match after {
            After::Keep => Disposal::Keep,
            After::Clear => Disposal::Clear,
            After::Restore => Disposal::Restore(cut(&self.shown, place)),
        };
        for (dx, dy) in places(place.size) {
            let (pixel, shown) = (frame.get_pixel(dx, dy), self.shown.get_pixel_mut(x + dx, y + dy));
            match blend {
                Blend::Replace => *shown = *pixel,
                Blend::Over => *shown = over(*pixel, *shown),
            }
        }
        self.pending = Some((place, disposal));
        self.shown.clone()
    }

    fn dispose(&mut self) {
        let Some((place, disposal)) = self.pending.take() else {
            return;
        };
        for (dx, dy) in places(place.size) {
            let shown = self.shown.get_pixel_mut(place.x + dx, place.y + dy);
            match &disposal {
                Disposal::Keep => return,
                Disposal::Clear => *shown = Rgba([0; 4]),
                Disposal::Restore(before) => *shown = *before.get_pixel(dx, dy),
            }
        }
    }
}

fn cut(pixels: &RgbaImage, place: Place) -> RgbaImage {
    image::imageops::crop_imm(pixels, place.x, place.y, place.size.width, place.size.height).to_image()
}

fn places(size: Size) -> impl Iterator<Item = (u32, u32)> {
    (0..size.height).flat_map(move |y| (0..size.width).map(move |x| (x, y)))
}

/// Alpha that is not multiplied in (PNG 3, 13.16).
fn over(upper: Rgba<u8>, lower: Rgba<u8>) -> Rgba<u8> {
    match (upper[3], lower[3]) {
        (255, _) | (_, 0) => upper,
        (0, _) => lower,
        (front, back) => {
            let (front, back) = (u32::from(front), u32::from(back));
            let behind = back * (255 - front);
            let whole = front * 255 + behind;
            let mixed = |index: usize| {
                let sum = u32::from(upper[index]) * front * 255 + u32::from(lower[index]) * behind;
                ((sum + whole / 2) / whole) as u8
            };
            Rgba([mixed(0), mixed(1), mixed(2), ((whole + 127) / 255) as u8])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_disposed_of_as_it_says() {
        let size = Size { width: 4, height: 1 };
        let dot = |level: u8| RgbaImage::from_pixel(2, 1, Rgba([level, 0, 0, 255]));
        let red = |pixels: &RgbaImage| pixels.pixels().map(|pixel| pixel[0]).collect::<Vec<_>>();
        let mut screen = Screen::new(size);
        assert_eq!(
            red(&screen.draw(&dot(1), (0, 0), Blend::Over, After::Keep)),
            [1, 1, 0, 0]
        );
        assert_eq!(
            red(&screen.draw(&dot(2), (1, 0), Blend::Over, After::Restore)),
            [1, 2, 2, 0]
        );
        assert_eq!(
            red(&screen.draw(&dot(3), (3, 0), Blend::Over, After::Clear)),
            [1, 1, 0, 3]
        );
        let last = screen.draw(&RgbaImage::new(1, 1), (0, 0), Blend::Replace, After::Keep);
        assert_eq!(red(&last), [0, 1, 0, 0]);
        assert_eq!(
            red(&screen.draw(&dot(4), (9, 9), Blend::Over, After::Keep)),
            [0, 1, 0, 0]
        );
    }

    #[test]
    fn only_what_changes_is_written() {
        let before = RgbaImage::new(9, 9);
        let mut after = before.clone();
        assert_eq!(Place::of_change(&before, &after).size, Size { width: 1, height: 1 });
        after.put_pixel(3, 5, Rgba([1; 4]));
        let place = Place::of_change(&before, &after);
        assert_eq!((place.x, place.y, place.size), (2, 4, Size { width: 2, height: 2 }));
    }

    #[test]
    fn a_delay_is_rounded_to_what_a_format_can_tell() {
        let delay = Delay {
            ticks: 1,
            per_second: 30,
        };
        assert_eq!((delay.in_ticks(100), delay.in_ticks(1000)), (3, 33));
        assert_eq!(
            Delay {
                ticks: 5,
                per_second: 0
            }
            .in_ticks(100),
            500
        );
    }
}
