//! Whether a picture is rough: drawn in two tones, as one-bit scans are, or grained all over, by dithering, a screen of dots or
//! noise. Seen in its pixels, whatever file they were stored in since, and at a half of their size as well.

use std::{array, ops::RangeInclusive};

use image::RgbImage;

pub fn is_rough(picture: &RgbImage) -> bool {
    let blocks: Vec<Block> = blocks(picture).collect();
    is_in_two_tones(&blocks) || is_grained(&blocks)
}

/// Rows of levels of green.
type Block = [[u8; SIDE]; SIDE];

/// From all over the picture.
fn blocks(picture: &RgbImage) -> impl Iterator<Item = Block> {
    let starts = |length: u32| {
        let length = length as usize;
        let step = (length / MOST_BLOCKS).max(SIDE);
        let starts = (0..length).step_by(step);
        starts.take_while(move |start| start + SIDE <= length)
    };
    let (samples, width) = (picture.as_raw(), picture.width() as usize);
    let level = move |x: usize, y: usize| samples[3 * (y * width + x) + 1];
    let block = move |left: usize, top: usize| array::from_fn(|y| array::from_fn(|x| level(left + x, top + y)));
    let columns = starts(picture.width());
    starts(picture.height()).flat_map(move |top| columns.clone().map(move |left| block(left, top)))
}

/// Whether most blocks with contrast show two levels and little between.
fn is_in_two_tones(blocks: &[Block]) -> bool {
    let shares: Vec<f32> = blocks.iter().filter_map(between).collect();
    let low = shares.iter().filter(|share| **share <= LITTLE_BETWEEN).count();
    shares.len() >= LEAST_BLOCKS && low as f32 >= shares.len() as f32 * MOST
}

/// The share of a block's pixels that are not near its darkest and lightest levels, if these are far apart. Coding with loss
/// spreads both.
fn between(block: &Block) -> Option<f32> {
    let mut levels = block.as_flattened().to_vec();
    let last = levels.len() - 1;
    let dark = *levels.select_nth_unstable(last / RARE).1;
    let light = *levels.select_nth_unstable(last - last / RARE).1;
    let near = (light - dark) / NEAR;
    let between = levels
        .iter()
        .filter(|level| (dark + near + 1..light - near).contains(*level));
    (light - dark >= LEAST_CONTRAST).then(|| between.count() as f32 / levels.len() as f32)
}

/// Whether three quarters of the blocks that are neither black nor white have grain.
fn is_grained(blocks: &[Block]) -> bool {
    let mut grains: Vec<u32> = blocks.iter().filter_map(grain).collect();
    if grains.len() < LEAST_BLOCKS {
        return false;
    }
    let quarter = grains.len() / 4;
    *grains.select_nth_unstable(quarter).1 > LEAST_GRAIN
}

/// By how much a pixel differs from what its neighbours lead one to expect (Immerkær, "Fast noise variance estimation", 1996),
/// unless the block is nearly black or white: there is no room for grain.
fn grain(block: &Block) -> Option<u32> {
    let levels = block.as_flattened();
    let mean = levels.iter().map(|level| u32::from(*level)).sum::<u32>() / levels.len() as u32;
    GREY.contains(&mean).then(|| {
        let curve = |row: &[u8; SIDE], x: usize| i32::from(row[x]) - 2 * i32::from(row[x + 1]) + i32::from(row[x + 2]);
        let differences = block.windows(3).flat_map(|rows| {
            let [above, row, below] = [0, 1, 2].map(|row| move |x| curve(&rows[row], x));
            (0..SIDE - 2).map(move |x| (above(x) - 2 * row(x) + below(x)).unsigned_abs())
        });
        differences.sum::<u32>() / ((SIDE - 2) * (SIDE - 2)) as u32
    })
}

const SIDE: usize = 18;
/// How many blocks across and down.
const MOST_BLOCKS: usize = 24;
const LEAST_BLOCKS: usize = 8;
/// One pixel of so many of a block is as dark, and as light.
const RARE: usize = 20;
/// Near a level is what is off it by less than this part of the way to the other.
const NEAR: u8 = 4;
const LEAST_CONTRAST: u8 = 64;
const LITTLE_BETWEEN: f32 = 0.15;
/// In pictures of two tones, as JPEGs of quality 60 too, all blocks were such, at half their size 0.74 to 0.98; but for one of an
/// eye's disc upon black, of 26 photographs none had that many.
const MOST: f32 = 0.7;
const GREY: RangeInclusive<u32> = 40..=215;
/// As of a noise whose standard deviation is 8. A quarter of the blocks of 26 photographs, and of these at half their size, had at
/// most that of 4; of dithered pictures at half their size, that of 20.
const LEAST_GRAIN: u32 = 38;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::{Rgb, imageops};

    use super::*;
    use crate::detect::halftone::testing::printed;

    #[test]
    fn a_photograph_is_not_and_what_is_drawn_in_dots_or_two_tones_is() {
        let photograph = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png"));
        let photograph = photograph.unwrap().into_rgb8();
        assert!(!is_rough(&photograph) && !is_rough(&half(&photograph)));
        assert!(!is_rough(&RgbImage::from_pixel(300, 300, Rgb([128; 3]))) && !is_rough(&RgbImage::new(0, 0)));
        let two_tones = |threshold: fn(u32, u32) -> u8| {
            let mut picture = photograph.clone();
            for (x, y, pixel) in picture.enumerate_pixels_mut() {
                *pixel = Rgb([if pixel.0[1] > threshold(x, y) { 230 } else { 20 }; 3]);
            }
            picture
        };
        assert!(is_in_two_tones(&all(&two_tones(|_, _| 100))));
        let dithered = two_tones(|x, y| {
            [
                [16, 144, 48, 176],
                [208, 80, 240, 112],
                [64, 192, 32, 160],
                [255, 128, 224, 96],
            ][y as usize % 4][x as usize % 4]
        });
        assert!(is_grained(&all(&dithered)) && is_grained(&all(&half(&dithered))));
        assert!(is_grained(&all(&imageops::blur(&printed(&photograph, 4.0, 45.0), 0.6))));
    }

    fn all(picture: &RgbImage) -> Vec<Block> {
        blocks(picture).collect()
    }

    fn half(picture: &RgbImage) -> RgbImage {
        imageops::thumbnail(picture, picture.width() / 2, picture.height() / 2)
    }
}
