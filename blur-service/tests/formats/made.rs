//! Files to send, and the look into those that come back.

use blur_service::codec::{Delay, Frame, FramesPlan, FramesWriter, Header, Output, frames};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage, imageops};

use crate::common::{Server, encoded, portrait};

pub const SIDE: u32 = 256;

/// The portrait's face, 256 pixels wide.
pub fn face() -> RgbImage {
    imageops::resize(&portrait(), SIDE, SIDE, imageops::FilterType::Triangle)
}

/// Nobody: a slope of few colours, so that a palette holds it.
pub fn nobody() -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb([(x / 32 * 20) as u8, (y / 32 * 20) as u8, 90]))
}

/// A picture with few colours, which a GIF keeps exactly.
pub fn in_few_colours(pixels: &RgbImage) -> RgbImage {
    let mut pixels = pixels.clone();
    pixels.iter_mut().for_each(|level| *level = *level / 52 * 51);
    pixels
}

/// An animation of these frames, each shown for 80 ms; played three times.
pub fn animation(output: Output, shown: &[RgbaImage]) -> Vec<u8> {
    let (width, height) = shown[0].dimensions();
    let plan = FramesPlan {
        size: blur_service::geometry::Size { width, height },
        frames: shown.len() as u32,
        plays: 3,
        profile: None,
    };
    let mut writer = FramesWriter::start(output, &plan).unwrap();
    for pixels in shown {
        let delay = Delay {
            ticks: 8,
            per_second: 100,
        };
        let pixels = pixels.clone();
        writer.add(Frame { pixels, delay }).unwrap();
    }
    writer.finish().unwrap()
}

/// The frames of a file, how long each is shown in milliseconds, and how often all are.
pub fn read(file: &[u8]) -> (Vec<RgbaImage>, Vec<u64>, u32) {
    let header = Header::read(file).unwrap();
    let mut reader = frames(file, &header).unwrap();
    let (mut shown, mut delays) = (Vec::new(), Vec::new());
    while let Some(frame) = reader.next().unwrap() {
        shown.push(frame.pixels);
        delays.push(frame.delay.in_ticks(1000));
    }
    (shown, delays, reader.plays())
}

/// How many faces a picture has for the service itself.
pub fn faces_in(server: &Server, pixels: &RgbaImage) -> usize {
    let opaque = DynamicImage::from(pixels.clone()).into_rgb8();
    let found = server.detect("", &encoded(&opaque.into(), ImageFormat::Png));
    found["faces"].as_array().unwrap().len()
}

pub fn rgba(pixels: &RgbImage) -> RgbaImage {
    DynamicImage::from(pixels.clone()).into_rgba8()
}

/// The mean difference of two pictures of one size outside the face, which is in the upper middle.
pub fn shift(before: &RgbImage, after: &RgbImage) -> f64 {
    let (width, height) = before.dimensions();
    assert_eq!(before.dimensions(), after.dimensions());
    let is_outside = |x: u32, y: u32| x < width / 6 || y > height * 3 / 4;
    let mut differences = Vec::new();
    for (x, y, pixel) in before.enumerate_pixels().filter(|(x, y, _)| is_outside(*x, *y)) {
        let other = after.get_pixel(x, y);
        differences.extend(
            pixel
                .0
                .iter()
                .zip(other.0)
                .map(|(one, other)| f64::from(one.abs_diff(other))),
        );
    }
    differences.iter().sum::<f64>() / differences.len() as f64
}

pub fn clear() -> Rgba<u8> {
    Rgba([0; 4])
}
