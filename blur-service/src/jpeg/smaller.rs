//! A picture made as small as the preview of a JPEG is, in the same way: of each block of 8 × 8 pixels the lowest
//! frequencies. So a detector is shown the same of a picture, whatever form of file it came in.

use std::{array, borrow::Cow, f64::consts::PI};

use image::RgbImage;

use super::scan::preview::Scale;
use crate::vector::{byte, vectorized};

impl Scale {
    /// The smallest at which the long side of a picture still has `enough` pixels, or its own size.
    pub fn least(long_side: u32, enough: u32) -> Self {
        let is_enough = |scale: &Self| scale.of(long_side) >= enough;
        Self::ALL.into_iter().find(is_enough).unwrap_or(Self::Full)
    }

    /// `picture` in this size.
    pub fn reduced(self, picture: &RgbImage) -> Cow<'_, RgbImage> {
        vectorized(
            #[inline(always)]
            || match self {
                Self::Eighth => Cow::Owned(reduced::<1>(picture, self)),
                Self::Quarter => Cow::Owned(reduced::<2>(picture, self)),
                Self::ThreeEighths => Cow::Owned(reduced::<3>(picture, self)),
                Self::Half => Cow::Owned(reduced::<4>(picture, self)),
                Self::FiveEighths => Cow::Owned(reduced::<5>(picture, self)),
                Self::Full => Cow::Borrowed(picture),
            },
        )
    }
}

/// With `N` pixels in place of eight.
#[inline(always)]
fn reduced<const N: usize>(picture: &RgbImage, scale: Scale) -> RgbImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut small = RgbImage::new(scale.of(picture.width()), scale.of(picture.height()));
    let length = small.width() as usize * COLOURS;
    let weights = weights::<N>();
    let mut rows: [Vec<f32>; N] = array::from_fn(|_| vec![0.0; width.next_multiple_of(8) * COLOURS]);
    let mut levels = vec![0.0; width * COLOURS];
    for (block, out) in small.chunks_mut(length * N).enumerate() {
        rows.iter_mut().for_each(|row| row.fill(0.0));
        for y in 0..8 {
            // Beyond the edge it goes on as at the edge.
            let at = (block * 8 + y).min(height - 1) * width * COLOURS;
            for (level, sample) in levels.iter_mut().zip(&picture.as_raw()[at..]) {
                *level = f32::from(*sample);
            }
            for (row, weights) in rows.iter_mut().zip(&weights) {
                for (sum, level) in row.iter_mut().zip(&levels) {
                    *sum += weights[y] * level;
                }
            }
        }
        for (row, out) in rows.iter_mut().zip(out.chunks_exact_mut(length)) {
            let (inside, beyond) = row.split_at_mut(width * COLOURS);
            let edge = &inside[(width - 1) * COLOURS..];
            beyond
                .chunks_exact_mut(COLOURS)
                .for_each(|pixel| pixel.copy_from_slice(edge));
            across(row, &weights, out);
        }
    }
    small
}

/// Makes pixels of a row whose blocks are still eight pixels wide.
#[inline(always)]
fn across<const N: usize>(row: &[f32], weights: &[[f32; 8]; N], out: &mut [u8]) {
    // By place in the block; those of all pixels that are made of it are one vector.
    let by_place: [[f32; 8]; 8] =
        array::from_fn(|x| array::from_fn(|n| weights.get(n).map_or(0.0, |weights| weights[x])));
    for (block, out) in row.chunks_exact(8 * COLOURS).zip(out.chunks_mut(N * COLOURS)) {
        let mut sums = [[0.0; 8]; COLOURS];
        for (pixel, weights) in block.chunks_exact(COLOURS).zip(&by_place) {
            for (sums, level) in sums.iter_mut().zip(pixel) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += weight * level;
                }
            }
        }
        for (n, pixel) in out.chunks_exact_mut(COLOURS).enumerate() {
            for (sample, sums) in pixel.iter_mut().zip(&sums) {
                *sample = byte(sums[n].clamp(0.0, 255.0));
            }
        }
    }
}

/// What each of `N` samples gets of eight: their transform without its higher frequencies, and back to `N`.
fn weights<const N: usize>() -> [[f32; 8]; N] {
    let wave = |length: usize, at: usize, frequency: usize| {
        let angle = (2 * at + 1) as f64 * frequency as f64 * PI / (2 * length) as f64;
        let scale = if frequency == 0 { 1.0 } else { 2.0 };
        (scale / length as f64).sqrt() * angle.cos()
    };
    let scale = (N as f64 / 8.0).sqrt();
    array::from_fn(|n| {
        array::from_fn(|x| {
            let products = (0..N).map(|frequency| wave(N, n, frequency) * wave(8, x, frequency));
            (products.sum::<f64>() * scale) as f32
        })
    })
}

/// Samples of a pixel.
const COLOURS: usize = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    use super::*;
    use crate::jpeg::{Jpeg, Limits};

    #[test]
    fn a_picture_is_made_as_small_as_the_preview_of_its_jpeg() {
        let portrait = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png");
        let portrait = image::open(portrait).unwrap().into_rgb8();
        for (width, height) in [(512, 440), (203, 330), (8, 1)] {
            let picture = image::imageops::crop_imm(&portrait, 0, 60, width, height).to_image();
            let mut file = Vec::new();
            let mut encoder = Encoder::new(&mut file, 100);
            encoder.set_sampling_factor(SamplingFactor::F_1_1);
            encoder
                .encode(&picture, width as u16, height as u16, ColorType::Rgb)
                .unwrap();
            let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
            for scale in Scale::ALL {
                let preview = jpeg.scan(Some(scale), &|| true).unwrap().preview.unwrap();
                let small = scale.reduced(&picture);
                assert_eq!(small.dimensions(), preview.dimensions());
                // A JPEG cuts off too bright and too dark samples before they become colours.
                let differ = small.iter().zip(preview.iter()).filter(|(a, b)| a.abs_diff(**b) > 4);
                let differ = differ.count();
                assert!(differ * 100 <= small.len(), "{scale:?} of {width} × {height}: {differ}");
            }
        }
    }

    #[test]
    fn one_colour_stays_that_colour() {
        for scale in Scale::ALL {
            let colour = Rgb([255, 0, 99]);
            let small = scale.reduced(&RgbImage::from_pixel(13, 21, colour)).into_owned();
            assert!(small.pixels().all(|pixel| *pixel == colour), "{scale:?}");
        }
    }

    #[test]
    fn it_is_as_small_as_the_detector_allows() {
        assert_eq!(Scale::least(4000, 192), Scale::Eighth);
        assert_eq!(Scale::least(4000, 960), Scale::Quarter);
        assert_eq!(Scale::least(8160, 2327), Scale::ThreeEighths);
        assert_eq!(Scale::least(1920, 960), Scale::Half);
        assert_eq!(Scale::least(4000, 2327), Scale::FiveEighths);
        assert_eq!(Scale::least(640, 640), Scale::Full);
        assert_eq!(Scale::least(300, 640), Scale::Full);
    }
}
