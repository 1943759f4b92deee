//! Every block outside of the regions keeps its coefficients; every block inside is what the cells allow.

use blur_service::{
    jpeg::{Jpeg, Limits},
    redact::{Look, Region},
};
use dct_io::JpegCoefficients;

use crate::{
    Random, pictures,
    pictures::{SIZES, encoded, recipes},
    redact,
};

#[test]
fn blocks_outside_are_identical_and_blocks_inside_come_from_the_cells() {
    let mut random = Random::new(1);
    for recipe in recipes() {
        for (width, height) in SIZES {
            let file = encoded(recipe, width, height);
            let regions: Vec<Region> = (0..random.below(4))
                .map(|_| random_region(&mut random, width, height))
                .collect();
            for look in [Look::Solid, Look::Smooth, Look::Mosaic] {
                let output = redact(&file, &regions, look, 5)
                    .unwrap_or_else(|error| panic!("{recipe:?} {width} × {height}: {error}"));
                let what = format!("{recipe:?}, {width} × {height}, {look}, {regions:?}");
                compare(&file, &output, &regions, look, &what);
                assert!(decodes(&output), "{what}");
            }
        }
    }
}

#[test]
fn without_a_region_the_scan_is_byte_identical() {
    for recipe in recipes() {
        let file = encoded(recipe, 131, 75);
        let output = redact(&file, &[], Look::Smooth, 1).unwrap();
        assert_eq!(scan_bytes(&output), scan_bytes(&file), "{recipe:?}");
    }
}

#[test]
fn the_whole_picture_can_be_hidden() {
    for recipe in recipes() {
        let file = encoded(recipe, 131, 75);
        let everything = Region {
            x: 0,
            y: 0,
            width: 131,
            height: 75,
        };
        let output = redact(&file, &[everything], Look::Solid, 1).unwrap();
        let read = dct_io::read_coefficients(&output).unwrap();
        assert!(
            read.components
                .iter()
                .flat_map(|c| &c.blocks)
                .flatten()
                .all(|value| *value == 0),
            "{recipe:?}"
        );
    }
}

#[test]
fn the_same_input_and_seed_give_the_same_bytes() {
    let file = encoded(pictures::PLAIN, 160, 96);
    let region = Region {
        x: 20,
        y: 20,
        width: 70,
        height: 50,
    };
    let once = redact(&file, &[region], Look::Smooth, 1).unwrap();
    assert_eq!(once, redact(&file, &[region], Look::Smooth, 1).unwrap());
    assert_ne!(once, redact(&file, &[region], Look::Smooth, 2).unwrap());
}

#[test]
fn a_table_without_room_for_a_symbol_makes_the_scan_anew() {
    // One flat grey needs one symbol of each table; a hidden face in the second picture needs many more.
    let recipe = pictures::Recipe {
        is_optimised: true,
        ..pictures::PLAIN
    };
    let mut samples = vec![128; 128 * 128 * 3];
    samples[..128 * 40 * 3]
        .iter_mut()
        .enumerate()
        .for_each(|(index, sample)| *sample = (index / 9 % 256) as u8);
    let file = pictures::encode(recipe, &samples, 128, 128);
    let region = Region {
        x: 0,
        y: 0,
        width: 128,
        height: 64,
    };
    let output = redact(&file, &[region], Look::Smooth, 3).unwrap();
    compare(&file, &output, &[region], Look::Smooth, "few symbols");
}

#[test]
fn a_region_may_begin_end_or_lie_across_where_an_interval_does() {
    // Ten units of 16 pixels a row, and intervals of five. A pixel beside a unit's edge would take in its neighbour.
    let recipe = pictures::Recipe {
        restart_interval: 5,
        ..pictures::PLAIN
    };
    let file = encoded(recipe, 160, 96);
    for (first, last) in [(0, 5), (5, 10), (4, 6), (4, 5), (5, 6), (0, 10)] {
        for rows in [1, 2] {
            let region = Region {
                x: first * 16 + 4,
                y: 36,
                width: (last - first) * 16 - 8,
                height: rows * 16 - 8,
            };
            for look in [Look::Solid, Look::Smooth] {
                let output = redact(&file, &[region], look, 7).unwrap();
                compare(
                    &file,
                    &output,
                    &[region],
                    look,
                    &format!("units {first} to {last}, {look}"),
                );
                assert!(decodes(&output));
            }
        }
    }
}

fn random_region(random: &mut Random, width: u16, height: u16) -> Region {
    let (x, y) = (
        random.below(usize::from(width)) as u32,
        random.below(usize::from(height)) as u32,
    );
    Region {
        x,
        y,
        width: 1 + random.below(60) as u32,
        height: 1 + random.below(60) as u32,
    }
}

/// Compares block by block. Told from pixels alone, without anything the product computes but the sampling.
pub fn compare(input: &[u8], output: &[u8], regions: &[Region], look: Look, what: &str) {
    let jpeg = Jpeg::parse(input, &Limits::default()).unwrap();
    let sampling = jpeg.sampling();
    let most = sampling
        .iter()
        .fold((1, 1), |most, factors| (most.0.max(factors.0), most.1.max(factors.1)));
    let unit = (8 * u32::from(most.0), 8 * u32::from(most.1));
    let columns = jpeg.size().width.div_ceil(unit.0);
    let (before, after) = (
        dct_io::read_coefficients(input).unwrap(),
        dct_io::read_coefficients(output).unwrap(),
    );
    assert_eq!(before.components.len(), after.components.len(), "{what}");
    let tables = libjpeg_turbo_rs::read_coefficients(output).unwrap();
    for (component, (horizontal, vertical)) in sampling.iter().enumerate() {
        let blocks_in_unit = usize::from(*horizontal) * usize::from(*vertical);
        let ratio = (usize::from(most.0 / horizontal), usize::from(most.1 / vertical));
        let steps = tables.quant_tables[usize::from(tables.components[component].quant_table_index)];
        let pairs = before.components[component]
            .blocks
            .iter()
            .zip(&after.components[component].blocks);
        for (index, (old, new)) in pairs.enumerate() {
            let index = (index / blocks_in_unit) as u32;
            let place = (index % columns * unit.0, index / columns * unit.1);
            // A unit may change if the region, or a chroma sample beside it, lies in it; and must if the region does.
            let touches = |reach: (u32, u32)| {
                regions.iter().any(|region| {
                    place.0 < region.x + region.width + reach.0
                        && region.x < place.0 + unit.0 + reach.0
                        && place.1 < region.y + region.height + reach.1
                        && region.y < place.1 + unit.1 + reach.1
                })
            };
            if !touches((u32::from(most.0), u32::from(most.1))) {
                assert_eq!(old, new, "{what}: block {index} of component {component}");
            }
            if touches((0, 0)) && look == Look::Solid {
                assert_eq!(new, &[0; 64], "{what}: block {index} of component {component}");
            }
            if touches((0, 0)) && look != Look::Solid {
                assert!(
                    is_soft(new, &steps, ratio, look),
                    "{what}: block {index} of component {component}: {new:?}"
                );
            }
        }
    }
    assert_eq!(counts(&before), counts(&after), "{what}");
}

/// Whether a block shows no more than a slope or the edges between a few cells.
fn is_soft(block: &[i16; 64], steps: &[u16; 64], ratio: (usize, usize), look: Look) -> bool {
    if look == Look::Mosaic {
        return is_of_few_cells(block, steps, ratio);
    }
    // Natural order: 0 to 7 is the first row. A smooth surface of cells of 8 pixels or more has little beyond the
    // lowest frequencies; noise in the input has much of it.
    let high = block
        .iter()
        .enumerate()
        .filter(|(index, value)| index / 8 > 3 && index % 8 > 3 && **value != 0);
    high.count() == 0
}

/// A mosaic's edges are wholly horizontal and vertical, and its cells at least 8 pixels wide: few of a block's rows and
/// columns differ. `ratio`: pixels of a sample.
fn is_of_few_cells(block: &[i16; 64], steps: &[u16; 64], ratio: (usize, usize)) -> bool {
    let samples = inverse(block, steps);
    let columns: [[f32; 8]; 8] = std::array::from_fn(|x| std::array::from_fn(|y| samples[y][x]));
    let mean_step = (steps.iter().map(|step| f32::from(*step).powi(2)).sum::<f32>() / 64.0).sqrt();
    // What is lost by quantisation is spread evenly over the samples.
    let tolerance = 1.5 * mean_step + 4.0;
    kinds(&samples, tolerance) <= ratio.1 + 2 && kinds(&columns, tolerance) <= ratio.0 + 2
}

fn kinds(lines: &[[f32; 8]; 8], tolerance: f32) -> usize {
    let mut kinds: Vec<&[f32; 8]> = Vec::new();
    for line in lines {
        let distance = |other: &[f32; 8]| {
            let squares = line.iter().zip(other).map(|(a, b)| (a - b).powi(2));
            (squares.sum::<f32>() / 8.0).sqrt()
        };
        if kinds.iter().all(|other| distance(other) > tolerance) {
            kinds.push(line);
        }
    }
    kinds.len()
}

/// By the definition (ITU-T T.81, A.3.3).
fn inverse(block: &[i16; 64], steps: &[u16; 64]) -> [[f32; 8]; 8] {
    let scale = |frequency: usize| if frequency == 0 { 0.125f32.sqrt() } else { 0.5 };
    let wave = |at: usize, frequency: usize| {
        scale(frequency) * (std::f32::consts::PI * ((2 * at + 1) * frequency) as f32 / 16.0).cos()
    };
    std::array::from_fn(|y| {
        std::array::from_fn(|x| {
            let all = block.iter().zip(steps).enumerate();
            all.map(|(index, (value, step))| {
                f32::from(*value) * f32::from(*step) * wave(y, index / 8) * wave(x, index % 8)
            })
            .sum()
        })
    })
}

#[test]
fn noise_is_neither_soft_nor_of_few_cells() {
    let mut random = Random::new(5);
    let noise = std::array::from_fn(|_| random.below(41) as i16 - 20);
    assert!(!is_soft(&noise, &[10; 64], (1, 1), Look::Smooth));
    assert!(!is_soft(&noise, &[10; 64], (4, 4), Look::Mosaic));
}

fn counts(read: &JpegCoefficients) -> Vec<usize> {
    read.components.iter().map(|component| component.blocks.len()).collect()
}

fn decodes(file: &[u8]) -> bool {
    zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(file))
        .decode()
        .is_ok()
}

/// The entropy-coded bytes and all that follows.
fn scan_bytes(file: &[u8]) -> &[u8] {
    let scan = pictures::position_of(file, 0xda);
    &file[scan + 2 + usize::from(u16::from_be_bytes([file[scan + 2], file[scan + 3]]))..]
}
