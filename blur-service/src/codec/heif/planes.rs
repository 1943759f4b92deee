//! The planes of a decoded picture, and the way from them to red, green and blue.

use image::RgbImage;

use super::{
    frame::{Frame, Samples, UNUSUAL},
    numbers::{Mixture, Numbers},
};
use crate::{error::Error, geometry::Size};

/// The samples of a decoded picture.
pub struct Planes<'a> {
    planes: Vec<Plane<'a>>,
    size: Size,
    mixture: Mixture,
    is_full: bool,
    bits: usize,
}

struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    is_wide: bool,
    /// The last column and row that there are.
    last: (u32, u32),
    is_halved: (bool, bool),
}

impl<'a> Planes<'a> {
    pub fn of(frame: &'a Frame, numbers: Numbers) -> Result<Self, Error> {
        let Frame { size, bits, .. } = *frame;
        let plane = |(index, samples): (usize, &'a Samples)| {
            let is_halved = if index == 0 { (false, false) } else { frame.is_halved };
            let last = |side: u32, is_halved: bool| (side - 1) / if is_halved { 2 } else { 1 };
            Plane {
                samples: &samples.data,
                stride: samples.stride,
                is_wide: bits > 8,
                last: (last(size.width, is_halved.0), last(size.height, is_halved.1)),
                is_halved,
            }
        };
        let planes = frame.planes.iter().enumerate().map(plane).collect();
        Ok(Self {
            planes,
            size,
            mixture: numbers.mixture()?,
            is_full: numbers.is_full,
            bits,
        })
    }

    /// From 0 to 1.
    pub fn brightness(&self, x: u32, y: u32) -> f32 {
        self.level(0, x, y)
    }

    fn level(&self, plane: usize, x: u32, y: u32) -> f32 {
        let sample = self.planes[plane].at(x, y);
        match self.is_full {
            true => sample / ((1 << self.bits) - 1) as f32,
            false => (sample - self.step(16)) / self.step(219),
        }
    }

    fn step(&self, of_8_bits: u32) -> f32 {
        (of_8_bits << (self.bits - 8)) as f32
    }

    /// From -0.5 to 0.5.
    fn difference(&self, plane: usize, x: u32, y: u32) -> f32 {
        let sample = self.planes[plane].between(x, y) - self.step(128);
        match self.is_full {
            true => sample / ((1 << self.bits) - 1) as f32,
            false => sample / self.step(224),
        }
    }

    pub fn paint(&self, whole: &mut RgbImage, (left, top): (u32, u32)) -> Result<(), Error> {
        if self.mixture == Mixture::Plain && self.planes.iter().any(|plane| plane.is_halved != (false, false)) {
            return Err(UNUSUAL);
        }
        let (width, height) = whole.dimensions();
        for y in 0..self.size.height.min(height.saturating_sub(top)) {
            for x in 0..self.size.width.min(width.saturating_sub(left)) {
                let levels = self
                    .pixel(x, y)
                    .map(|level| (level * 255.0).round().clamp(0.0, 255.0) as u8);
                whole.put_pixel(left + x, top + y, image::Rgb(levels));
            }
        }
        Ok(())
    }

    /// Red, green and blue, from 0 to 1.
    fn pixel(&self, x: u32, y: u32) -> [f32; 3] {
        let bright = self.brightness(x, y);
        if self.planes.len() == 1 {
            return [bright; 3];
        }
        let differences = || (self.difference(1, x, y), self.difference(2, x, y));
        match self.mixture {
            Mixture::Plain => [self.level(2, x, y), bright, self.level(1, x, y)],
            Mixture::Weighted { red, blue } => {
                let (of_blue, of_red) = differences();
                let r = bright + 2.0 * (1.0 - red) * of_red;
                let b = bright + 2.0 * (1.0 - blue) * of_blue;
                [r, (bright - red * r - blue * b) / (1.0 - red - blue), b]
            }
            Mixture::GreenAndOrange => {
                let (green, orange) = differences();
                [bright - green + orange, bright + green, bright - green - orange]
            }
        }
    }
}

impl Plane<'_> {
    fn at(&self, x: u32, y: u32) -> f32 {
        let (x, y) = (x.min(self.last.0) as usize, y.min(self.last.1) as usize);
        match self.is_wide {
            true => {
                let at = y * self.stride + 2 * x;
                f32::from(u16::from_ne_bytes([self.samples[at], self.samples[at + 1]]))
            }
            false => f32::from(self.samples[y * self.stride + x]),
        }
    }

    /// At a pixel of the whole picture, between the samples about it, which lie in the middle of theirs.
    fn between(&self, x: u32, y: u32) -> f32 {
        let (across, down) = self.is_halved;
        if !across {
            return self.at(x, y);
        }
        let (near, far) = neighbours(x);
        let row = |y: u32| (3.0 * self.at(near, y) + self.at(far, y)) / 4.0;
        if !down {
            return row(y);
        }
        let (near, far) = neighbours(y);
        (3.0 * row(near) + row(far)) / 4.0
    }
}

/// The half-sized sample that a pixel lies in, and the one beside it that is nearer.
fn neighbours(at: u32) -> (u32, u32) {
    let near = at / 2;
    (near, if at % 2 == 1 { near + 1 } else { near.saturating_sub(1) })
}
