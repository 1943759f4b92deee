//! A small picture for the detector, made from the lowest frequencies of each block; row of units by row of units.

use image::RgbImage;

use super::colour::{Channels, Colour};
use crate::{
    jpeg::{
        dct,
        entropy::coding::{Block, Coefficients},
        syntax::header::Jpeg,
    },
    vector::byte,
};

/// How large the preview is, beside the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Eighth,
    Quarter,
    ThreeEighths,
    Half,
    FiveEighths,
    Full,
}

impl Scale {
    /// From the smallest to the largest.
    pub const ALL: [Self; 6] = [
        Self::Eighth,
        Self::Quarter,
        Self::ThreeEighths,
        Self::Half,
        Self::FiveEighths,
        Self::Full,
    ];

    /// Samples for the side of a block, eighths of its own.
    pub fn eighths(self) -> u32 {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
            Self::ThreeEighths => 3,
            Self::Half => 4,
            Self::FiveEighths => 5,
            Self::Full => 8,
        }
    }

    /// The length of a side in the preview.
    pub fn of(self, length: u32) -> u32 {
        (length * self.eighths()).div_ceil(8)
    }
}

/// Makes a picture with `SIDE` samples for the side of a block, 1 to 8, of these columns of units; nothing with 0.
pub struct Preview<const SIDE: usize> {
    colour: Colour,
    channels: Channels,
    planes: Vec<Plane>,
    /// The first column of units.
    left: u32,
    /// Pixels of a unit in each direction.
    unit: (usize, usize),
}

/// The samples of one component in a row of units.
struct Plane {
    samples: Vec<u8>,
    stride: usize,
    /// Samples a unit gives in each direction, and pixels.
    samples_in_unit: (usize, usize),
    pixels_in_unit: (usize, usize),
    /// Quantisation steps, in zigzag order, times the scale of the small transform.
    steps: [f32; 64],
    /// A row of samples, one for every pixel.
    row: Vec<u8>,
}

impl<const SIDE: usize> Preview<SIDE> {
    pub fn new(jpeg: &Jpeg, left: u32, right: u32, channels: Channels) -> Self {
        let (most_horizontal, most_vertical) = jpeg.frame.most_factors();
        let unit = (most_horizontal as usize * SIDE, most_vertical as usize * SIDE);
        let columns = (right - left) as usize;
        let plane = |component: usize| {
            let (horizontal, vertical) = jpeg.frame.factors(component);
            let samples_in_unit = (horizontal as usize * SIDE, vertical as usize * SIDE);
            let stride = columns * samples_in_unit.0;
            Plane {
                samples: vec![0; stride * samples_in_unit.1],
                stride,
                samples_in_unit,
                pixels_in_unit: unit,
                steps: jpeg.steps(component).map(|step| step * scale_of(SIDE)),
                row: vec![0; columns * unit.0],
            }
        };
        let components = if SIDE == 0 { 0 } else { jpeg.frame.components.len() };
        Self {
            colour: Colour::of(jpeg),
            channels,
            planes: (0..components).map(plane).collect(),
            left,
            unit,
        }
    }

    /// The picture that this is for, still black.
    pub fn blank(jpeg: &Jpeg) -> RgbImage {
        let scaled = |length: u32| (length * SIDE as u32).div_ceil(8);
        RgbImage::new(scaled(jpeg.frame.size.width), scaled(jpeg.frame.size.height))
    }

    /// Takes a block of the unit in this column.
    #[inline(always)]
    pub fn put(&mut self, column: u32, block: &Block, values: &Coefficients) {
        if SIDE == 0 {
            return;
        }
        let plane = &mut self.planes[block.component];
        let samples: [[u8; SIDE]; SIDE] = small_inverse(values, &plane.steps);
        let left = (column - self.left) as usize * plane.samples_in_unit.0 + block.x as usize * SIDE;
        for (y, row) in samples.iter().enumerate() {
            let start = (block.y as usize * SIDE + y) * plane.stride + left;
            plane.samples[start..start + SIDE].copy_from_slice(row);
        }
    }

    /// Turns the samples of this row of units into pixels of a picture of this width and height.
    #[inline(always)]
    pub fn finish_row(&mut self, row: u32, (width, height): (u32, u32), pixels: &mut [u8]) {
        if SIDE == 0 {
            return;
        }
        let (width, height) = (width as usize, height as usize);
        let count = self.channels.count();
        let first = row as usize * self.unit.1;
        let left = self.left as usize * self.unit.0;
        let columns = self.planes[0].row.len().min(width - left);
        for y in 0..self.unit.1.min(height - first) {
            for plane in &mut self.planes {
                plane.fill_row(y);
            }
            let start = ((first + y) * width + left) * count;
            let rows = |index: usize| self.planes[index].row.as_slice();
            self.colour
                .convert(self.channels, rows, &mut pixels[start..start + columns * count]);
        }
    }
}

/// By what to multiply coefficients for the smaller transform that [`small_inverse`] makes.
fn scale_of(side: usize) -> f32 {
    match side {
        // Sums and differences alone; the others are orthonormal.
        1 | 2 => 0.125,
        _ => side as f32 / 8.0,
    }
}

impl Plane {
    /// Spreads the samples for the pixels of row `y` of the units.
    #[inline(always)]
    fn fill_row(&mut self, y: usize) {
        let ((horizontal, vertical), (width, height)) = (self.samples_in_unit, self.pixels_in_unit);
        let samples = &self.samples[y * vertical / height * self.stride..][..self.stride];
        match width / horizontal {
            1 if width == horizontal => self.row.copy_from_slice(samples),
            2 if width == 2 * horizontal => {
                for (pair, sample) in self.row.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
                    *pair = [*sample; 2];
                }
            }
            _ => {
                for (x, pixel) in self.row.iter_mut().enumerate() {
                    *pixel = samples[x * horizontal / width];
                }
            }
        }
    }
}

/// Samples from the lowest frequencies: the orthonormal inverse of the smaller size upon the corner of the larger one.
#[inline(always)]
fn small_inverse<const SIDE: usize>(values: &Coefficients, steps: &[f32; 64]) -> [[u8; SIDE]; SIDE] {
    let value = |index: usize| f32::from(values[index]) * steps[index];
    let mut samples = [[0; SIDE]; SIDE];
    match SIDE {
        1 => samples[0][0] = sample(value(0)),
        2 => {
            let [a, b, c, d] = [0, 1, 2, 4].map(value);
            samples[0][0] = sample(a + b + c + d);
            samples[0][1] = sample(a - b + c - d);
            samples[1][0] = sample(a + b - c - d);
            samples[1][1] = sample(a - b - c + d);
        }
        // Of one colour, as every other block is.
        3.. if values[1..].iter().fold(0, |all, value| all | value) == 0 => {
            samples = [[sample(value(0) / SIDE as f32); SIDE]; SIDE];
        }
        3 => transform(&mut samples, &dct::THREE, values, steps),
        4 => transform(&mut samples, &dct::FOUR, values, steps),
        5 => transform(&mut samples, &dct::FIVE, values, steps),
        _ => transform(&mut samples, &dct::EIGHT, values, steps),
    }
    samples
}

/// The transform of the lowest `N` × `N` frequencies; `SIDE` is the same number.
#[inline(always)]
fn transform<const N: usize, const SIDE: usize>(
    samples: &mut [[u8; SIDE]; SIDE],
    transform: &dct::Transform<N>,
    values: &Coefficients,
    steps: &[f32; 64],
) {
    let square = transform.inverse(&dct::lowest(values, steps));
    for (row, values) in samples.iter_mut().zip(&square) {
        for (to, from) in row.iter_mut().zip(values) {
            *to = sample(*from);
        }
    }
}

/// A value around zero as a sample, cut to 0 to 255 and rounded.
#[inline(always)]
fn sample(value: f32) -> u8 {
    byte((value + 128.0).clamp(0.0, 255.0))
}
