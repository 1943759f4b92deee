//! What a network is shown of a picture in one pass: a part of it, shrunk, perhaps turned or as its negative; and the way back.

use std::borrow::Cow;

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use image::RgbImage;

use super::{DetectError, Photo, pose::Pose};
use crate::geometry::{Rect, Size};

/// A part of a picture as shown to a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// What is looked at, in whole pixels of the picture's full size, inside it.
    pub part: Rect,
    /// The long side of what is shown, in pixels.
    pub long_side: u32,
    pub pose: Pose,
}

impl View {
    pub fn upright(part: Rect, long_side: u32) -> Self {
        Self {
            part,
            long_side,
            pose: Pose::Upright,
        }
    }

    pub fn posed(self, pose: Pose) -> Self {
        Self { pose, ..self }
    }

    /// How many times larger the part is shown than it is.
    pub fn scale(&self) -> f32 {
        self.long_side as f32 / self.part.width.max(self.part.height)
    }

    /// The pixels shown: averages over area where the part is shrunk.
    pub fn shown<'a>(&self, photo: Photo<'a>) -> Result<Cow<'a, RgbImage>, DetectError> {
        Ok(self.pose.of(self.resized(photo)?))
    }

    /// Whether another view is better made of what this one shows than of the picture: the same pixels in another pose, or
    /// so few that to make them would cost as much as to look at them.
    pub fn gives(&self, other: &Self) -> bool {
        let small = other.long_side <= SMALL && self.long_side >= 2 * other.long_side;
        self.part == other.part && (small || self.long_side == other.long_side)
    }

    /// The same view of a picture that shows the part alone.
    pub fn of_part(self) -> Self {
        Self {
            part: Rect::of(self.part_size()),
            ..self
        }
    }

    /// The size of the part, in pixels of the picture's full size.
    pub fn part_size(&self) -> Size {
        Size::new(self.part.width as u32, self.part.height as u32)
    }

    /// From pixels of what is shown to pixels of the picture's full size.
    pub fn to_picture(&self, shown: Rect) -> Rect {
        let size = self.upright_size();
        let (width, height) = (size.width as f32, size.height as f32);
        let upright = self.pose.to_upright(shown, size);
        upright
            .scaled(self.part.width / width, self.part.height / height)
            .moved(self.part.x, self.part.y)
    }

    fn upright_size(&self) -> Size {
        self.part_size().scaled_to(self.long_side)
    }

    /// The pixels shown, before they are posed.
    pub fn resized<'a>(&self, photo: Photo<'a>) -> Result<Cow<'a, RgbImage>, DetectError> {
        let Photo { size: full, pixels } = photo;
        let size = self.upright_size();
        if self.part == Rect::of(full) && (size.width, size.height) == pixels.dimensions() {
            return Ok(Cow::Borrowed(pixels));
        }
        let smaller = |length: u32, full: u32| length as f32 / full as f32;
        let part = self.part.scaled(
            smaller(pixels.width(), full.width),
            smaller(pixels.height(), full.height),
        );
        let part = part.clamped(Size::new(pixels.width(), pixels.height())).unwrap_or(part);
        // Averaging is right for shrinking; for enlarging it would only repeat pixels.
        let filter = if size.width as f32 > part.width {
            FilterType::Bilinear
        } else {
            FilterType::Box
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(
            f64::from(part.x),
            f64::from(part.y),
            f64::from(part.width),
            f64::from(part.height),
        );
        let failed = |reason: String| DetectError::Resize {
            width: pixels.width(),
            height: pixels.height(),
            reason,
        };
        let mut resized = RgbImage::new(size.width, size.height);
        resize(pixels, &mut resized, &options).map_err(failed)?;
        Ok(Cow::Owned(resized))
    }
}

/// For one kind of pixels, named, so that no code for the dozen others is built.
fn resize(source: &RgbImage, target: &mut RgbImage, options: &ResizeOptions) -> Result<(), String> {
    let (width, height) = target.dimensions();
    let source = TypedImageRef::<U8x3>::from_buffer(source.width(), source.height(), source.as_raw());
    let target = TypedImage::<U8x3>::from_buffer(width, height, target);
    let (source, mut target) = (
        source.map_err(|error| error.to_string())?,
        target.map_err(|error| error.to_string())?,
    );
    Resizer::new()
        .resize_typed(&source, &mut target, options)
        .map_err(|error| error.to_string())
}

/// Long side in pixels of a view that is made of a larger one.
const SMALL: u32 = 320;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::Rgb;

    use super::*;

    const PART: Rect = Rect {
        x: 100.0,
        y: 50.0,
        width: 200.0,
        height: 100.0,
    };

    #[test]
    fn every_turn_finds_its_way_back() {
        // A red field, 20 × 10 pixels of the picture, in a black part.
        let field = Rect::new(140.0, 70.0, 20.0, 10.0);
        let picture = RgbImage::from_fn(400, 300, |x, y| {
            let inside = (140..160).contains(&x) && (70..80).contains(&y);
            Rgb([if inside { 255 } else { 0 }, 0, 0])
        });
        for pose in [Pose::Upright, Pose::Quarter, Pose::Half, Pose::ThreeQuarters] {
            let view = View::upright(PART, 100).posed(pose);
            let shown = view.shown(Photo::whole(&picture)).unwrap();
            let (long, short) = (shown.width().max(shown.height()), shown.width().min(shown.height()));
            assert_eq!((long, short), (100, 50));
            assert_eq!(view.to_picture(bounds(&shown)), field, "{pose:?}");
        }
    }

    #[test]
    fn a_negative_is_shown_as_what_was_photographed() {
        let negative = RgbImage::from_fn(400, 300, |x, _| Rgb([255, 200, if x < 200 { 10 } else { 60 }]));
        let view = View::upright(PART, 100).posed(Pose::Negative);
        let shown = view.shown(Photo::whole(&negative)).unwrap();
        assert_eq!(shown.get_pixel(0, 0), &Rgb([0, 55, 245]));
        assert_eq!(shown.get_pixel(99, 49), &Rgb([0, 55, 195]));
        let seen = Rect::new(10.0, 20.0, 30.0, 10.0);
        assert_eq!(view.to_picture(seen), View::upright(PART, 100).to_picture(seen));
    }

    #[test]
    fn fewer_pixels_of_the_same_picture_show_the_same() {
        let full = Size::new(400, 300);
        let at = |size: Size| {
            RgbImage::from_fn(size.width, size.height, |x, y| {
                let inside = (140..160).contains(&(x * full.width / size.width));
                Rgb([if inside && y >= size.height / 6 { 255 } else { 0 }, 0, 0])
            })
        };
        let view = View::upright(PART, 100).posed(Pose::Quarter);
        let shown = |size: Size| {
            let pixels = at(size);
            let photo = Photo {
                size: full,
                pixels: &pixels,
            };
            view.shown(photo).unwrap().into_owned()
        };
        assert_eq!(shown(full), shown(Size::new(200, 150)));
    }

    #[test]
    fn shrinking_averages_over_area() {
        let stripes = RgbImage::from_fn(64, 64, |x, _| Rgb([if x % 2 == 0 { 0 } else { 200 }; 3]));
        let shown = View::upright(Rect::of(Size::new(64, 64)), 8)
            .shown(Photo::whole(&stripes))
            .unwrap();
        assert!(shown.pixels().all(|pixel| pixel.0 == [100; 3]));
    }

    fn bounds(shown: &RgbImage) -> Rect {
        shown
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel.0[0] > 127)
            .map(|(x, y, _)| Rect::new(x as f32, y as f32, 1.0, 1.0))
            .reduce(Rect::merged)
            .unwrap()
    }
}
