//! Pictures to send, all made from the NASA portrait in `tests/pictures`.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};

/// 512×512, PNG, one face.
pub const ASTRONAUT_PNG: &[u8] = include_bytes!("../pictures/astronaut.png");

/// The portrait several times side by side and below each other, each `tile` pixels wide, on a grey frame.
pub fn group(width: u32, height: u32, tile: u32) -> DynamicImage {
    let portrait = imageops::resize(&astronaut().to_rgb8(), tile, tile, imageops::FilterType::Triangle);
    let mut frame = RgbImage::from_pixel(width, height, image::Rgb([118, 118, 118]));
    for top in (0..).step_by(tile as usize).take((height / tile) as usize) {
        for left in (0..).step_by(tile as usize).take((width / tile) as usize) {
            imageops::replace(&mut frame, &portrait, left, top);
        }
    }
    frame.into()
}

pub fn astronaut() -> DynamicImage {
    image::load_from_memory(ASTRONAUT_PNG).expect("the portrait is a PNG")
}

pub fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    let pixels = picture.to_rgb8();
    let side = |length: u32| u16::try_from(length).expect("a JPEG's sides fit 16 bits");
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 90)
        .encode(&pixels, side(pixels.width()), side(pixels.height()), ColorType::Rgb)
        .expect("a vector takes all that is written");
    bytes
}

pub fn png(picture: &DynamicImage) -> Vec<u8> {
    written(picture, ImageFormat::Png)
}

pub fn webp(picture: &DynamicImage) -> Vec<u8> {
    written(picture, ImageFormat::WebP)
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, format)
        .expect("a vector takes all that is written");
    bytes.into_inner()
}
