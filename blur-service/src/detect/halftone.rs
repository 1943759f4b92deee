//! Whether a picture shows the dots that printed pictures are made of.
//!
//! A screen of dots puts most of a line's light and dark at one or two frequencies, in rows and in columns alike; what is
//! photographed hardly ever does. So the spectra of lines in blocks all over the picture are looked at.

use std::{array, f32::consts::TAU, sync::LazyLock};

use image::RgbImage;

/// Whether enough of this picture is in dots of about two to twelve pixels.
pub fn shows_dots(picture: &RgbImage) -> bool {
    let blocks = blocks(picture);
    let dotted = blocks.iter().filter(|corner| is_dotted(picture, **corner)).count();
    dotted as f32 > blocks.len() as f32 * LEAST_SHARE
}

/// The upper left corners of blocks all over the picture.
fn blocks(picture: &RgbImage) -> Vec<(usize, usize)> {
    let starts = |length: u32| {
        let (room, count) = (length as usize, (length as usize / SIDE).min(MOST_BLOCKS));
        (0..count).map(move |index| (room - SIDE) * index / (count - 1).max(1))
    };
    let rows = starts(picture.height());
    rows.flat_map(|y| starts(picture.width()).map(move |x| (x, y)))
        .collect()
}

fn is_dotted(picture: &RgbImage, (left, top): (usize, usize)) -> bool {
    let (samples, width) = (picture.as_raw(), picture.width() as usize);
    let green = |x: usize, y: usize| f32::from(samples[3 * ((top + y) * width + left + x) + 1]);
    let starts: [usize; LINES] = array::from_fn(|line| line * SIDE / LINES);
    let rows = starts.map(|line| array::from_fn(|along| green(along, line)));
    if !has_contrast(&rows) {
        return false;
    }
    let columns = starts.map(|line| array::from_fn(|along| green(line, along)));
    has_contrast(&columns) && is_regular(&rows) && is_regular(&columns)
}

type Line = [f32; SIDE];

/// Whether neighbours differ as those of black and white dots do.
fn has_contrast(lines: &[Line; LINES]) -> bool {
    let steps = lines
        .iter()
        .flat_map(|line| line.windows(2))
        .map(|pair| (pair[0] - pair[1]).abs());
    steps.sum::<f32>() / (LINES * (SIDE - 1)) as f32 > LEAST_CONTRAST
}

/// Whether one frequency stands out that only dots have, or two of which coarse or tilted dots are made.
fn is_regular(lines: &[Line; LINES]) -> bool {
    let spectrum = spectrum(lines);
    let total: f32 = spectrum[SLOWEST..].iter().sum();
    let highest = |spectrum: &[f32; WAVES], from: usize| {
        let peak = (from..WAVES)
            .max_by(|a, b| spectrum[*a].total_cmp(&spectrum[*b]))
            .unwrap_or(from);
        (peak - 1, WAVES.min(peak + 2))
    };
    let (from, to) = highest(&spectrum, FINE);
    if spectrum[from.max(SLOWEST)..to].iter().sum::<f32>() > total * ONE_PEAK {
        return true;
    }
    let mut rest = spectrum;
    let peaks = [(); 2].map(|()| {
        let (from, to) = highest(&rest, COARSE);
        let power = rest[from..to].iter().sum::<f32>();
        rest[from..to].fill(0.0);
        power
    });
    peaks.iter().sum::<f32>() > total * TWO_PEAKS
}

/// The power of each number of waves along the lines, of all of them together.
fn spectrum(lines: &[Line; LINES]) -> [f32; WAVES] {
    let mut power = [0.0; WAVES];
    for line in lines {
        let mean = line.iter().sum::<f32>() / SIDE as f32;
        let (mut real, mut imaginary) = ([0.0; WAVES], [0.0; WAVES]);
        for ((value, weight), (cosines, sines)) in line.iter().zip(&TABLES.window).zip(&TABLES.waves) {
            let value = (value - mean) * weight;
            for wave in 0..WAVES {
                real[wave] += value * cosines[wave];
                imaginary[wave] += value * sines[wave];
            }
        }
        for wave in 0..WAVES {
            power[wave] += real[wave] * real[wave] + imaginary[wave] * imaginary[wave];
        }
    }
    power
}

struct Tables {
    /// Hann's.
    window: Line,
    /// For each place along a line cosines and sines of all numbers of waves.
    waves: [([f32; WAVES], [f32; WAVES]); SIDE],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let angle = |place: usize, waves: usize| TAU * (place * waves % SIDE) as f32 / SIDE as f32;
    Tables {
        window: array::from_fn(|place| 0.5 - 0.5 * angle(place, 1).cos()),
        waves: array::from_fn(|place| {
            let of = |function: fn(f32) -> f32| array::from_fn(|waves| function(angle(place, waves)));
            (of(f32::cos), of(f32::sin))
        }),
    }
});

/// Side of a block in pixels, and how many of its rows and columns are looked at.
const SIDE: usize = 64;
const LINES: usize = 4;
/// How many blocks across and down.
const MOST_BLOCKS: usize = 10;
const WAVES: usize = SIDE / 2 + 1;
/// From so many waves in a block on it is a pattern, and no light or shade; a pattern that is coarse, or fine.
const SLOWEST: usize = 3;
const COARSE: usize = 5;
const FINE: usize = 8;
// Of 80 photographs and textures none had more than 2.3 dotted blocks in a hundred, pages with dots that can be told apart 4 and
// more.
const LEAST_SHARE: f32 = 0.025;
const LEAST_CONTRAST: f32 = 6.0;
const ONE_PEAK: f32 = 0.35;
const TWO_PEAKS: f32 = 0.7;

#[cfg(test)]
pub mod testing {
    use image::Rgb;

    use super::*;

    /// In dots of one ink, so many pixels apart.
    pub fn printed(picture: &RgbImage, pitch: f32, degrees: f32) -> RgbImage {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let wave = |value: f32| (value * TAU / pitch).cos();
        RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
            let light = f32::from(picture.get_pixel(x, y).0[1]) / 255.0;
            let (x, y) = (x as f32, y as f32);
            let screen = (wave(x * cosine + y * sine) + wave(y * cosine - x * sine)) / 4.0 + 0.5;
            Rgb([if light > screen { 245 } else { 25 }; 3])
        })
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, imageops};

    use super::{testing::printed, *};

    #[test]
    fn dots_are_known_at_any_angle_and_no_other_pattern_is() {
        let light = RgbImage::from_fn(640, 480, |x, y| Rgb([(40 + x / 4 + y / 16) as u8; 3]));
        for pitch in [3.0, 4.0, 6.0, 9.0] {
            for angle in [0.0, 15.0, 45.0] {
                assert!(shows_dots(&printed(&light, pitch, angle)), "{pitch} {angle}");
            }
        }
        let stripes = RgbImage::from_fn(640, 480, |x, _| Rgb([if x % 5 < 2 { 20 } else { 230 }; 3]));
        assert!(!shows_dots(&light) && !shows_dots(&stripes));
        let mut seed = 1u32;
        let noise = RgbImage::from_fn(640, 480, |_, _| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Rgb([(seed >> 24) as u8; 3])
        });
        assert!(!shows_dots(&noise));
    }

    #[test]
    fn a_photograph_shows_none_but_in_print() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png");
        let portrait = image::open(path)
            .map(image::DynamicImage::into_rgb8)
            .expect("it is there");
        assert!(!shows_dots(&portrait));
        let mut page = RgbImage::from_pixel(1400, 1000, Rgb([240; 3]));
        assert!(!shows_dots(&page));
        imageops::replace(&mut page, &printed(&portrait, 4.0, 45.0), 700, 300);
        assert!(shows_dots(&page), "a part of a page");
        for small in [(1, 1), (63, 64), (64, 64), (2000, 20)] {
            assert!(!shows_dots(&RgbImage::new(small.0, small.1)));
        }
    }
}
