//! Files of 12 bits a sample are spliced like those of 8, and stay what they are.

use blur_service::{
    jpeg::{Jpeg, Limits, Process, Scale},
    redact::{Look, Region},
};
use libjpeg_turbo_rs::{Subsampling, compress_12bit, decompress_12bit};

use crate::{coefficients::compare, redact, several::assert_same};

/// The same coefficients in each way of coding them; the first is one Huffman scan.
const MADE: [(&[u8], Process); 4] = [
    (
        include_bytes!("made/twelve-bits-sequential.jpg"),
        Process::ExtendedHuffman,
    ),
    (include_bytes!("made/twelve-bits-progressive.jpg"), Process::Progressive),
    (include_bytes!("made/twelve-bits-arithmetic.jpg"), Process::Arithmetic),
    (
        include_bytes!("made/twelve-bits-arithmetic-progressive.jpg"),
        Process::ArithmeticProgressive,
    ),
];

const FACE: Region = Region {
    x: 70,
    y: 20,
    width: 60,
    height: 50,
};

#[test]
fn every_way_of_coding_gives_the_same_coefficients() {
    for (file, process) in MADE {
        let jpeg = Jpeg::parse(file, &Limits::default()).unwrap();
        assert_eq!((jpeg.frame().process, jpeg.frame().precision), (process, 12));
        let whole = jpeg.in_one_scan(&|| true).unwrap();
        assert_same(&whole, MADE[0].0, &format!("{process:?}"));
        let written = Jpeg::parse(&whole, &Limits::default()).unwrap();
        assert_eq!(
            (written.frame().process, written.frame().precision),
            (Process::ExtendedHuffman, 12)
        );
    }
}

#[test]
fn blocks_outside_are_identical_and_the_file_stays_one_of_twelve_bits() {
    for subsampling in SUBSAMPLINGS {
        let file = encoded(picture, subsampling);
        for look in [Look::Solid, Look::Smooth, Look::Mosaic] {
            let output = redact(&file, &[FACE], look, 5).unwrap();
            compare(&file, &output, &[FACE], look, &format!("{subsampling:?} {look}"));
            assert_eq!(Jpeg::parse(&output, &Limits::default()).unwrap().frame().precision, 12);
        }
    }
}

#[test]
fn what_is_hidden_is_about_as_bright_as_it_was() {
    let file = encoded(picture, Subsampling::S444);
    let output = redact(&file, &[FACE], Look::Smooth, 5).unwrap();
    let [before, after] = [&file, &output].map(|file| mean_in_face(file));
    for (before, after) in before.into_iter().zip(after) {
        // Cells are rounded to steps of 8 of 256, with noise of as much.
        assert!((before - after).abs() < 12.0 * 16.0, "{before}, {after}");
    }
}

#[test]
fn the_preview_is_the_picture_in_eight_bits() {
    let file = encoded(picture, Subsampling::S444);
    let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
    let preview = jpeg.scan(Some(Scale::Full), &|| true).unwrap().preview.unwrap();
    let read = decompress_12bit(&file).unwrap();
    assert_eq!(read.data.len(), preview.len());
    for (ours, theirs) in preview.iter().zip(&read.data) {
        assert!(
            (f32::from(*ours) - f32::from(*theirs) / 16.0).abs() < 3.0,
            "{ours}, {theirs}"
        );
    }
}

#[test]
fn faces_with_equal_cell_means_become_equal_files() {
    let face = |is_bright: fn(u32, u32) -> bool| {
        move |x: u32, y: u32| match (64..128).contains(&x) && (16..80).contains(&y) {
            true if is_bright(x, y) => 2300,
            true => 1500,
            false => picture(x, y),
        }
    };
    let hidden = Region {
        x: 68,
        y: 20,
        width: 56,
        height: 56,
    };
    for subsampling in SUBSAMPLINGS {
        let stripes = encoded(face(|x, _| x % 2 == 0), subsampling);
        let checks = encoded(face(|x, y| (x + y) % 2 == 0), subsampling);
        assert_ne!(stripes, checks);
        for look in [Look::Smooth, Look::Mosaic, Look::Solid, Look::Gaussian] {
            assert_eq!(
                redact(&stripes, &[hidden], look, 11).unwrap(),
                redact(&checks, &[hidden], look, 11).unwrap(),
                "{subsampling:?} {look}"
            );
        }
    }
}

const SUBSAMPLINGS: [Subsampling; 3] = [Subsampling::S444, Subsampling::S422, Subsampling::S420];
const SIDE: usize = 160;
/// With steps as coarse as those of a good file of 8 bits.
const QUALITY: u8 = 30;

fn encoded(grey: impl Fn(u32, u32) -> i16, subsampling: Subsampling) -> Vec<u8> {
    let places = (0..SIDE as u32).flat_map(|y| (0..SIDE as u32).map(move |x| (x, y)));
    let samples: Vec<i16> = places.flat_map(|(x, y)| [grey(x, y); 3]).collect();
    compress_12bit(&samples, SIDE, SIDE, 3, QUALITY, subsampling).unwrap()
}

fn picture(x: u32, y: u32) -> i16 {
    (x * 17 + y * 7 + if (x / 13 + y / 11).is_multiple_of(2) { 400 } else { 0 }) as i16
}

/// Of 4096, for each channel.
fn mean_in_face(file: &[u8]) -> [f32; 3] {
    let read = decompress_12bit(file).unwrap();
    let rows = FACE.y..FACE.y + FACE.height;
    let places: Vec<u32> = rows
        .flat_map(|y| (FACE.x..FACE.x + FACE.width).map(move |x| y * SIDE as u32 + x))
        .collect();
    [0, 1, 2].map(|channel| {
        let sum: f32 = places
            .iter()
            .map(|place| f32::from(read.data[*place as usize * 3 + channel]))
            .sum();
        sum / places.len() as f32
    })
}
