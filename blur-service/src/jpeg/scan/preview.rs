//! A small picture for the detector, made from the lowest frequencies of each block; row of units by row of units.

use image::RgbImage;

use crate::{
    jpeg::{
        dct,
        entropy::coding::{Block, Coefficients},
        syntax::header::{ColourMarkers, Jpeg},
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
    pub fn new(jpeg: &Jpeg, left: u32, right: u32) -> Self {
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

    /// Turns the samples of this row of units into pixels of `image`.
    #[inline(always)]
    pub fn finish_row(&mut self, row: u32, image: &mut RgbImage) {
        if SIDE == 0 {
            return;
        }
        let (width, height) = (image.width() as usize, image.height() as usize);
        let first = row as usize * self.unit.1;
        let left = self.left as usize * self.unit.0;
        let columns = self.planes[0].row.len().min(width - left);
        for y in 0..self.unit.1.min(height - first) {
            for plane in &mut self.planes {
                plane.fill_row(y);
            }
            let start = ((first + y) * width + left) * 3;
            let pixels: &mut [u8] = image.as_mut();
            self.colour
                .convert(&self.planes, &mut pixels[start..start + columns * 3]);
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
    #[inline(always)]
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
