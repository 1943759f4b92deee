//! Parts of a picture side by side, so that a network looks at many of them in one pass.

use image::{Rgb, RgbImage, imageops};

use super::{DetectError, Face, Photo, view::View};
use crate::geometry::{Rect, Size};

/// A square of pixels with parts of a picture upon it.
pub struct Sheet {
    pub pixels: RgbImage,
    tiles: Vec<Tile>,
}

struct Tile {
    view: View,
    /// Where it lies on the sheet.
    place: Rect,
}

impl Sheet {
    /// How many parts are still large enough upon a sheet.
    pub const MOST_PARTS: usize = 16;

    /// Up to [`MOST_PARTS`](Self::MOST_PARTS) parts of `photo`, in pixels of its full size, on a sheet with this side.
    pub fn of(photo: Photo, parts: &[Rect], side: u32) -> Result<Self, DetectError> {
        let columns = (1u32..)
            .find(|columns| (columns * columns) as usize >= parts.len())
            .unwrap_or(1);
        let tile = side / columns;
        let mut pixels = RgbImage::from_pixel(side, side, GREY);
        let mut tiles = Vec::with_capacity(parts.len());
        for (part, index) in parts.iter().zip(0u32..) {
            let Some(part) = whole_pixels(*part, photo.size) else {
                continue;
            };
            let view = View::upright(part, tile);
            let shown = view.shown(photo)?;
            let (left, top) = (index % columns * tile, index / columns * tile);
            imageops::replace(&mut pixels, &*shown, i64::from(left), i64::from(top));
            let place = Rect::new(left as f32, top as f32, shown.width() as f32, shown.height() as f32);
            tiles.push(Tile { view, place });
        }
        Ok(Self { pixels, tiles })
    }

    /// From pixels of the sheet to pixels of the picture's full size; nothing for what lies between the parts.
    pub fn to_picture(&self, face: Face) -> Option<Face> {
        let (x, y) = face.rect.centre();
        let holds = |tile: &&Tile| tile.place.intersection(Rect::centred(x, y, 1.0, 1.0)).is_some();
        let Tile { view, place } = self.tiles.iter().find(holds)?;
        let inside = face.rect.intersection(*place)?.moved(-place.x, -place.y);
        Some(Face {
            rect: view.to_picture(inside),
            ..face
        })
    }
}

fn whole_pixels(part: Rect, picture: Size) -> Option<Rect> {
    let part = part.clamped(picture)?;
    let (right, bottom) = (part.right().ceil(), part.bottom().ceil());
    Rect::from_edges(part.x.floor(), part.y.floor(), right, bottom).clamped(picture)
}

const GREY: Rgb<u8> = Rgb([128; 3]);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_on_the_sheet_is_found_again_in_the_picture() {
        let fields = [Rect::new(40.0, 30.0, 20.0, 20.0), Rect::new(300.0, 210.0, 40.0, 40.0)];
        let picture = RgbImage::from_fn(400, 300, |x, y| {
            let inside = fields
                .iter()
                .any(|field| field.covers(Rect::new(x as f32, y as f32, 1.0, 1.0)) > 0.0);
            Rgb([if inside { 255 } else { 0 }; 3])
        });
        let parts = fields.map(|field| field.padded(2.0));
        let sheet = Sheet::of(Photo::whole(&picture), &parts, 192).unwrap();
        for (index, field) in fields.into_iter().enumerate() {
            // Each part fills a tile of 96 pixels, and its field the middle of that.
            let seen = Face {
                rect: Rect::new(24.0 + 96.0 * index as f32, 24.0, 48.0, 48.0),
                score: 1.0,
            };
            assert_eq!(sheet.pixels.get_pixel(48 + 96 * index as u32, 48), &Rgb([255; 3]));
            assert_eq!(sheet.to_picture(seen).unwrap().rect, field);
        }
        let beside = Face {
            rect: Rect::new(140.0, 140.0, 10.0, 10.0),
            score: 1.0,
        };
        assert_eq!(sheet.to_picture(beside), None);
    }
}
