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

/// How samples of which there are fewer than pixels become as many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Enlarging {
    /// Each as often as it takes.
    Repeated,
    /// By libjpeg's triangle, as viewers have it: three quarters of the nearer one and one of the other.
    Smooth,
}

/// Makes a picture with `SIDE` samples for the side of a block, 1 to 8, of these columns of units; nothing with 0.
pub struct Preview<const SIDE: usize> {
    colour: Colour,
    channels: Channels,
    enlarging: Enlarging,
    planes: Vec<Plane>,
    /// The first column of units.
    left: u32,
    /// Pixels of a unit in each direction.
    unit: (usize, usize),
}

/// The samples of one component in a row of units, and before them the last ones of the row of units above.
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
    /// Of a row of samples and the one that is nearest to it, with the first and the last sum once more at the ends.
    sums: Vec<u16>,
}

/// Which samples of a row of units there are in the picture.
struct Inside {
    first_row: i32,
    last_row: i32,
    columns: usize,
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
                samples: vec![0; stride * (1 + samples_in_unit.1)],
                stride,
                samples_in_unit,
                pixels_in_unit: unit,
                steps: jpeg.steps(component).map(|step| step * scale_of(SIDE)),
                row: vec![0; columns * unit.0],
                sums: Vec::new(),
            }
        };
        let components = if SIDE == 0 { 0 } else { jpeg.frame.components.len() };
        Self {
            colour: Colour::of(jpeg),
            channels,
            enlarging: Enlarging::Repeated,
            planes: (0..components).map(plane).collect(),
            left,
            unit,
        }
    }

    /// Smoothly; every row of units is finished then, one after the other.
    pub fn smooth(self) -> Self {
        let enlarging = Enlarging::Smooth;
        Self { enlarging, ..self }
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
            let start = (1 + block.y as usize * SIDE + y) * plane.stride + left;
            plane.samples[start..start + SIDE].copy_from_slice(row);
        }
    }

    /// Turns the samples of this row of units into pixels of a picture of this width and height; smoothly, the last row of
    /// them waits for the row of units below.
    #[inline(always)]
    pub fn finish_row(&mut self, row: u32, (width, height): (u32, u32), pixels: &mut [u8]) {
        if SIDE == 0 {
            return;
        }
        let first = row * self.unit.1 as u32;
        let is_last = first + self.unit.1 as u32 >= height;
        let count = (self.unit.1 as u32).min(height - first) as i32;
        let lines = match self.enlarging {
            Enlarging::Repeated => 0..count,
            Enlarging::Smooth => -i32::from(row > 0)..count - i32::from(!is_last),
        };
        let left = self.left as usize * self.unit.0;
        let columns = self.planes[0].row.len().min(width as usize - left);
        let count = self.channels.count();
        for y in lines {
            for plane in &mut self.planes {
                match self.enlarging {
                    Enlarging::Repeated => plane.fill_row(y),
                    Enlarging::Smooth => plane.fill_smoothly(y, &plane.inside(row, (width, height))),
                }
            }
            let start = ((first as usize).strict_add_signed(y as isize) * width as usize + left) * count;
            let rows = |index: usize| self.planes[index].row.as_slice();
            self.colour
                .convert(self.channels, rows, &mut pixels[start..start + columns * count]);
        }
        self.planes.iter_mut().for_each(Plane::keep_last_row);
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
    /// The samples of a row, which is -1 for the last one of the row of units above.
    #[inline(always)]
    fn line(&self, row: i32) -> &[u8] {
        &self.samples[(row + 1) as usize * self.stride..][..self.stride]
    }

    fn keep_last_row(&mut self) {
        let last = self.samples.len() - self.stride;
        self.samples.copy_within(last.., 0);
    }

    /// Spreads the samples for the pixels of row `y` of the units.
    #[inline(always)]
    fn fill_row(&mut self, y: i32) {
        let ((horizontal, vertical), (width, height)) = (self.samples_in_unit, self.pixels_in_unit);
        let line = (y * vertical as i32).div_euclid(height as i32);
        let samples = &self.samples[(line + 1) as usize * self.stride..][..self.stride];
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

    /// In a picture of this size.
    fn inside(&self, row: u32, (width, height): (u32, u32)) -> Inside {
        let (samples, pixels) = (self.samples_in_unit, self.pixels_in_unit);
        let above = row as usize * samples.1;
        Inside {
            first_row: -i32::from(row > 0),
            last_row: ((height as usize * samples.1).div_ceil(pixels.1) - 1 - above) as i32,
            columns: (width as usize * samples.0).div_ceil(pixels.0),
        }
    }

    /// As `fill_row`, but smoothly where there is one sample for two pixels (libjpeg's `h2v1_fancy_upsample`,
    /// `h2v2_fancy_upsample` and libjpeg-turbo's `h1v2_fancy_upsample`, whose rounding this is).
    #[inline(always)]
    fn fill_smoothly(&mut self, y: i32, inside: &Inside) {
        let ((horizontal, vertical), (width, height)) = (self.samples_in_unit, self.pixels_in_unit);
        let (is_wide, is_high) = (width == 2 * horizontal, height == 2 * vertical);
        let is_whole = vertical == height && horizontal == width;
        let is_other = !is_high && vertical != height || !is_wide && horizontal != width;
        if is_whole || is_other || is_wide && inside.columns <= 2 {
            return self.fill_row(y);
        }
        self.sum(y, is_high, inside);
        let (sums, is_lower) = (&self.sums[..], y.rem_euclid(2) == 1);
        match (is_wide, is_high) {
            (true, true) => spread::<8, 7, 4>(sums, &mut self.row),
            (true, false) => spread::<1, 2, 2>(sums, &mut self.row),
            (false, _) => {
                let rounding = if is_lower { 2 } else { 1 };
                for (pixel, sum) in self.row.iter_mut().zip(&sums[1..]) {
                    *pixel = ((sum + rounding) >> 2) as u8;
                }
            }
        }
    }

    /// Three times the row of samples in which row `y` of the pixels lies, and once the one that is nearest to it.
    #[inline(always)]
    fn sum(&mut self, y: i32, is_high: bool, inside: &Inside) {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.push(0);
        if is_high {
            let (near, is_lower) = (y.div_euclid(2), y.rem_euclid(2) == 1);
            let far = if is_lower { near + 1 } else { near - 1 };
            let far = self.line(far.clamp(inside.first_row, inside.last_row));
            let both = self.line(near).iter().zip(far).take(inside.columns);
            sums.extend(both.map(|(near, far)| 3 * u16::from(*near) + u16::from(*far)));
        } else {
            sums.extend(
                self.line(y)
                    .iter()
                    .take(inside.columns)
                    .map(|sample| u16::from(*sample)),
            );
        }
        sums[0] = sums[1];
        sums.push(sums[inside.columns]);
        self.sums = sums;
    }
}

/// Two pixels of each sum but those at the ends: three parts of it and one of the sum beside it.
#[inline(always)]
fn spread<const LEFT: u16, const RIGHT: u16, const SHIFT: u32>(sums: &[u16], row: &mut [u8]) {
    let (before, here, behind) = (sums, &sums[1..], &sums[2..]);
    let pairs = row.as_chunks_mut::<2>().0.iter_mut();
    for (((pair, before), here), behind) in pairs.zip(before).zip(here).zip(behind) {
        pair[0] = ((3 * here + before + LEFT) >> SHIFT) as u8;
        pair[1] = ((3 * here + behind + RIGHT) >> SHIFT) as u8;
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
