//! Small JPEG files in every sampling and restart setting, made when the tests run.

use libjpeg_turbo_rs::{ColorSpace, Encoder, PixelFormat, TransformOptions, transform_jpeg_with_options};

use crate::Random;

/// How a picture is coded.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub colour: Colour,
    pub sampling: &'static [(u8, u8)],
    /// In units; 0 for none.
    pub restart_interval: u16,
    pub quality: u8,
    /// Whether the Huffman tables are made for the picture.
    pub is_optimised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

impl Colour {
    fn of_jpeg(self) -> ColorSpace {
        match self {
            Self::Grey => ColorSpace::Grayscale,
            Self::YCbCr => ColorSpace::YCbCr,
            Self::Rgb => ColorSpace::Rgb,
            Self::Cmyk => ColorSpace::Cmyk,
            Self::Ycck => ColorSpace::Ycck,
        }
    }

    fn of_pixels(self) -> (PixelFormat, u32) {
        match self {
            Self::Grey => (PixelFormat::Grayscale, 1),
            Self::YCbCr | Self::Rgb => (PixelFormat::Rgb, 3),
            Self::Cmyk | Self::Ycck => (PixelFormat::Cmyk, 4),
        }
    }
}

pub const PLAIN: Recipe = Recipe {
    colour: Colour::YCbCr,
    sampling: &[(2, 2), (1, 1), (1, 1)],
    restart_interval: 0,
    quality: 85,
    is_optimised: false,
};

/// Every sampling with and without restarts and tables of its own.
pub fn recipes() -> Vec<Recipe> {
    let three: [&'static [(u8, u8)]; 10] = [
        &[(1, 1), (1, 1), (1, 1)],
        &[(2, 1), (1, 1), (1, 1)],
        &[(1, 2), (1, 1), (1, 1)],
        &[(2, 2), (1, 1), (1, 1)],
        &[(4, 1), (1, 1), (1, 1)],
        &[(1, 4), (1, 1), (1, 1)],
        &[(4, 2), (1, 1), (1, 1)],
        &[(2, 4), (1, 1), (1, 1)],
        &[(2, 2), (2, 1), (2, 1)],
        &[(2, 2), (1, 2), (1, 2)],
    ];
    let four: [&'static [(u8, u8)]; 2] = [&[(1, 1), (1, 1), (1, 1), (1, 1)], &[(2, 2), (1, 1), (1, 1), (2, 2)]];
    let mut kinds = vec![(Colour::Grey, &[(1, 1)][..]), (Colour::Rgb, three[0])];
    kinds.extend(three.map(|sampling| (Colour::YCbCr, sampling)));
    kinds.extend(four.map(|sampling| (Colour::Ycck, sampling)));
    kinds.push((Colour::Cmyk, four[0]));
    let settings = [
        (0, false, 90),
        (0, true, 60),
        (1, false, 75),
        (3, true, 95),
        (7, true, 30),
    ];
    let recipe = |(colour, sampling), (restart_interval, is_optimised, quality)| Recipe {
        colour,
        sampling,
        restart_interval,
        quality,
        is_optimised,
    };
    kinds
        .into_iter()
        .flat_map(|kind| settings.map(|setting| recipe(kind, setting)))
        .collect()
}

/// Sizes with whole and partial blocks.
pub const SIZES: [(u16, u16); 6] = [(160, 96), (131, 75), (64, 65), (9, 7), (1, 1), (33, 200)];

/// A picture with slopes, edges and noise.
pub fn encoded(recipe: Recipe, width: u16, height: u16) -> Vec<u8> {
    encode(recipe, &samples(recipe, width, height), width, height)
}

/// The same one in progressive scans.
pub fn progressive(recipe: Recipe, width: u16, height: u16) -> Vec<u8> {
    let samples = samples(recipe, width, height);
    let encoder = encoder(recipe, &samples, width, height).progressive(true);
    encoder.encode().unwrap_or_else(|error| panic!("{recipe:?}: {error}"))
}

/// The coefficients of a file in arithmetic codes.
pub fn arithmetic(file: &[u8], is_progressive: bool, restart_interval: u16) -> Vec<u8> {
    let options = TransformOptions {
        arithmetic: true,
        progressive: is_progressive,
        restart_interval,
        ..TransformOptions::default()
    };
    transform_jpeg_with_options(file, &options).unwrap()
}

fn samples(recipe: Recipe, width: u16, height: u16) -> Vec<u8> {
    let channels = recipe.colour.of_pixels().1;
    let mut random = Random::new(u64::from(width) * 7919 + u64::from(height));
    let mut samples = Vec::new();
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            for channel in 0..channels {
                let slope = x * (channel + 1) + 2 * y;
                let edge = if (x / 13 + y / 11) % 2 == 0 { 60 } else { 0 };
                let noise = if x > u32::from(width) / 2 {
                    random.below(50) as u32
                } else {
                    0
                };
                samples.push((slope / 2 + edge + noise) as u8);
            }
        }
    }
    samples
}

pub fn encode(recipe: Recipe, samples: &[u8], width: u16, height: u16) -> Vec<u8> {
    let encoder = encoder(recipe, samples, width, height);
    encoder.encode().unwrap_or_else(|error| panic!("{recipe:?}: {error}"))
}

fn encoder(recipe: Recipe, samples: &[u8], width: u16, height: u16) -> Encoder<'_> {
    Encoder::new(
        samples,
        usize::from(width),
        usize::from(height),
        recipe.colour.of_pixels().0,
    )
    .colorspace(recipe.colour.of_jpeg())
    .sampling_factors(recipe.sampling.to_vec())
    .quality(recipe.quality)
    .restart_blocks(recipe.restart_interval)
    .optimize_huffman(recipe.is_optimised)
}

/// Puts a segment right behind the start of a file.
pub fn with_segment(file: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&file[..2], &[0xff, marker], &length, body, &file[2..]].concat()
}

/// Where the first segment with this marker begins.
pub fn position_of(file: &[u8], marker: u8) -> usize {
    file.windows(2).position(|pair| pair == [0xff, marker]).unwrap()
}
