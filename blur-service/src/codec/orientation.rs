//! From pictures as stored to pictures as people see them, and back.

use image::metadata::Orientation;

use crate::geometry::{Rect, Size};

/// Whether an orientation exchanges width and height.
pub fn turns_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Where `rect`, in the pixels of a picture that is `upright` large, lies in the picture as stored.
pub fn to_stored(rect: Rect, upright: Size, orientation: Orientation) -> Rect {
    let (width, height) = (upright.width as f32, upright.height as f32);
    let Rect { x, y, .. } = rect;
    // Distances to the right and the lower edge: what `x` and `y` become when a side is mirrored.
    let (right, below) = (width - rect.right(), height - rect.bottom());
    let (x, y) = match orientation {
        Orientation::NoTransforms => (x, y),
        Orientation::FlipHorizontal => (right, y),
        Orientation::Rotate180 => (right, below),
        Orientation::FlipVertical => (x, below),
        Orientation::Rotate90FlipH => (y, x),
        Orientation::Rotate90 => (y, right),
        Orientation::Rotate270FlipH => (below, right),
        Orientation::Rotate270 => (below, x),
    };
    if turns_sides(orientation) {
        Rect::new(x, y, rect.height, rect.width)
    } else {
        Rect::new(x, y, rect.width, rect.height)
    }
}

/// Where `rect`, in the pixels of a picture as `stored`, lies in the upright picture.
pub fn to_upright(rect: Rect, stored: Size, orientation: Orientation) -> Rect {
    to_stored(rect, stored, undone(orientation))
}

/// What turns an upright picture into the one that was stored.
fn undone(orientation: Orientation) -> Orientation {
    match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        mirrored_or_halfway => mirrored_or_halfway,
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, Rgb, RgbImage};

    use super::*;

    #[test]
    fn every_orientation_finds_its_way_back() {
        let field = Rect::new(3.0, 5.0, 4.0, 2.0);
        for orientation in (1..=8).filter_map(Orientation::from_exif) {
            let stored = RgbImage::from_fn(20, 10, |x, y| {
                let inside = (3..7).contains(&x) && (5..7).contains(&y);
                Rgb([if inside { 255 } else { 0 }; 3])
            });
            let mut upright = DynamicImage::from(stored);
            upright.apply_orientation(orientation);
            let size = Size::new(upright.width(), upright.height());
            assert_eq!(turns_sides(orientation), size.width == 10);
            let seen = bounds(&upright.into_rgb8());
            assert_eq!(seen, Some(to_upright(field, Size::new(20, 10), orientation)));
            assert_eq!(
                seen.map(|seen| to_stored(seen, size, orientation)),
                Some(field),
                "{orientation:?}"
            );
        }
    }

    fn bounds(picture: &RgbImage) -> Option<Rect> {
        picture
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel.0[0] > 127)
            .map(|(x, y, _)| Rect::new(x as f32, y as f32, 1.0, 1.0))
            .reduce(Rect::merged)
    }
}
