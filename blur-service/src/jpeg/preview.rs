//! A small picture for the detector, made from the lowest frequencies of each block; row of units by row of units.

use image::RgbImage;

use super::{
    coding::{Block, Coefficients},
    dct,
    header::{ColourMarkers, Jpeg},
};
use crate::geometry::Size;

/// How large the preview is, beside the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Eighth,
    Quarter,
    Half,
}

impl Scale {
    /// By how much its pixels are larger than the picture's.
    pub fn divisor(self) -> u32 {
        match self {
            Self::Eighth => 8,
            Self::Quarter => 4,
            Self::Half => 2,
        }
    }
}

/// A preview with `SIDE` samples for the side of a block: 1, 2 or 4; none with 0.
pub struct Preview<const SIDE: usize> {
    image: RgbImage,
    colour: Colour,
    planes: Vec<Plane>,
    /// Rows of pixels that a row of units gives.
    rows: u32,
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
    pub fn new(jpeg: &Jpeg, units: Size) -> Self {
        let side = SIDE as u32;
        let scaled = |length: u32| (length * side).div_ceil(8);
        let (most_horizontal, most_vertical) = jpeg.frame.most_factors();
        let pixels_in_unit = ((most_horizontal * side) as usize, (most_vertical * side) as usize);
        let plane = |component: usize| {
            let (horizontal, vertical) = jpeg.frame.factors(component);
            let samples_in_unit = ((horizontal * side) as usize, (vertical * side) as usize);
            let stride = units.width as usize * samples_in_unit.0;
            let scale = if SIDE == 4 { 0.5 } else { 0.125 };
            Plane {
                samples: vec![0; stride * samples_in_unit.1],
                stride,
                samples_in_unit,
                pixels_in_unit,
                steps: jpeg.steps(component).map(|step| f32::from(step) * scale),
                row: vec![0; units.width as usize * pixels_in_unit.0],
            }
        };
        Self {
            image: RgbImage::new(scaled(jpeg.frame.size.width), scaled(jpeg.frame.size.height)),
            colour: Colour::of(jpeg),
            planes: (0..jpeg.frame.components.len()).map(plane).collect(),
            rows: most_vertical * side,
        }
    }

    /// Takes a block of the unit in this column.
    #[inline(always)]
    pub fn put(&mut self, column: u32, block: &Block, values: &Coefficients) {
        if SIDE == 0 {
            return;
        }
        let plane = &mut self.planes[block.component];
        let samples: [[u8; SIDE]; SIDE] = small_inverse(values, &plane.steps);
        let left = column as usize * plane.samples_in_unit.0 + block.x as usize * SIDE;
        for (y, row) in samples.iter().enumerate() {
            let start = (block.y as usize * SIDE + y) * plane.stride + left;
            plane.samples[start..start + SIDE].copy_from_slice(row);
        }
    }

    /// Turns the samples of this row of units into pixels.
    pub fn finish_row(&mut self, row: u32) {
        if SIDE == 0 {
            return;
        }
        let width = self.image.width() as usize;
        let first = row * self.rows;
        let rows = self.rows.min(self.image.height() - first);
        let pixels = self.image.as_mut();
        for y in 0..rows as usize {
            self.planes.iter_mut().for_each(|plane| plane.fill_row(y));
            let start = (first as usize + y) * width * 3;
            self.colour.convert(&self.planes, &mut pixels[start..start + width * 3]);
        }
    }

    pub fn into_image(self) -> Option<RgbImage> {
        (SIDE > 0).then_some(self.image)
    }
}

impl Plane {
    /// Spreads the samples for the pixels of row `y` of the units.
    fn fill_row(&mut self, y: usize) {
        let ((horizontal, vertical), (width, height)) = (self.samples_in_unit, self.pixels_in_unit);
        let samples = &self.samples[y * vertical / height * self.stride..][..self.stride];
        match width / horizontal {
            1 if width == horizontal => self.row.copy_from_slice(samples),
            2 if width == 2 * horizontal => {
                self.row
                    .chunks_exact_mut(2)
                    .zip(samples)
                    .for_each(|(pair, sample)| pair.fill(*sample));
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
        _ => {
            let rows = CORNER.map(|row| dct::inverse4(row.map(value)));
            for x in 0..SIDE {
                let column = dct::inverse4(std::array::from_fn(|y| rows[y][x]));
                for y in 0..SIDE {
                    samples[y][x] = sample(column[y]);
                }
            }
        }
    }
    samples
}

/// Zigzag indices of the lowest 4 × 4 frequencies, row by row.
const CORNER: [[usize; 4]; 4] = [[0, 1, 5, 6], [2, 4, 7, 13], [3, 8, 12, 17], [9, 11, 18, 24]];

/// A value around zero as a sample, cut to 0 to 255 and rounded.
#[inline(always)]
fn sample(value: f32) -> u8 {
    // Added to 2²³, a float has no room for fractions; a cast would look for values that a byte cannot hold.
    const SHIFT: f32 = 8_388_608.0;
    ((value + 128.0).clamp(0.0, 255.0) + SHIFT).to_bits() as u8
}

/// What the components are, as libjpeg tells it from markers and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Grey,
    YCbCr,
    Rgb,
    /// Inks. Adobe's files hold them upside down: 255 is no ink.
    Cmyk {
        is_upside_down: bool,
    },
    Ycck {
        is_upside_down: bool,
    },
}

impl Colour {
    fn of(jpeg: &Jpeg) -> Self {
        let ids: Vec<u8> = jpeg.frame.components.iter().map(|component| component.id).collect();
        let ColourMarkers { has_jfif, adobe } = jpeg.colour;
        let is_upside_down = adobe.is_some();
        match (ids.len(), has_jfif, adobe) {
            (1, ..) => Self::Grey,
            (4, _, Some(2)) => Self::Ycck { is_upside_down },
            (4, ..) => Self::Cmyk { is_upside_down },
            (_, false, Some(0)) => Self::Rgb,
            (_, false, None) if ids == *b"RGB" => Self::Rgb,
            _ => Self::YCbCr,
        }
    }

    /// Fills a row of pixels from the rows of the planes.
    fn convert(self, planes: &[Plane], pixels: &mut [u8]) {
        let pixels = pixels.as_chunks_mut::<3>().0.iter_mut();
        let row = |index: usize| planes[index].row.iter().copied();
        match self {
            Self::Grey => pixels.zip(row(0)).for_each(|(pixel, grey)| *pixel = [grey; 3]),
            Self::YCbCr => {
                let values = row(0).zip(row(1)).zip(row(2));
                pixels
                    .zip(values)
                    .for_each(|(pixel, ((y, cb), cr))| *pixel = rgb(y, cb, cr));
            }
            Self::Rgb => {
                let values = row(0).zip(row(1)).zip(row(2));
                pixels.zip(values).for_each(|(pixel, ((r, g), b))| *pixel = [r, g, b]);
            }
            Self::Cmyk { is_upside_down } => {
                let values = row(0).zip(row(1)).zip(row(2)).zip(row(3));
                pixels
                    .zip(values)
                    .for_each(|(pixel, (((c, m), y), k))| *pixel = printed([c, m, y], k, is_upside_down));
            }
            Self::Ycck { is_upside_down } => {
                let values = row(0).zip(row(1)).zip(row(2)).zip(row(3));
                pixels.zip(values).for_each(|(pixel, (((y, cb), cr), k))| {
                    *pixel = printed(rgb(y, cb, cr).map(|value| 255 - value), k, is_upside_down);
                });
            }
        }
    }
}

/// JFIF's conversion, in 16-bit fixed point.
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let y = (i32::from(y) << 16) + (1 << 15);
    let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
    let values = [y + 91_881 * cr, y - 22_554 * cb - 46_802 * cr, y + 116_130 * cb];
    values.map(|value| (value >> 16).clamp(0, 255) as u8)
}

/// Inks upon white paper.
fn printed(inks: [u8; 3], black: u8, is_upside_down: bool) -> [u8; 3] {
    let light = |ink: u8| u32::from(if is_upside_down { ink } else { 255 - ink });
    inks.map(|ink| (light(ink) * light(black) / 255) as u8)
}
