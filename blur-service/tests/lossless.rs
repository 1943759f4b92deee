//! The lossless profile through the API: the face goes, and every other coded block of the JPEG stays as it was.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Answer, Server, contains, exif, jpeg, orientations, portrait, segment};
use image::{Rgb, RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};
use libjpeg_turbo_rs::{Subsampling, TransformOptions, compress_12bit, transform_jpeg_with_options};
use moxcms::ColorProfile;
use serde_json::Value;

#[test]
fn without_a_face_the_scan_is_the_same_bytes() {
    let server = Server::start(&["--detail", "fast"]);
    let scenery = imageops::crop_imm(&portrait(), 300, 0, 200, 200).to_image();
    let file = jpeg(&scenery);
    let answer = spliced(&server, &file);
    assert_eq!(answer.headers["x-faces"], "0");
    assert_eq!(scan(&answer.body), scan(&file));
}

#[test]
fn with_a_face_every_block_outside_is_the_same() {
    for detail in ["fast", "thorough"] {
        // A second look may add what only looks like a face.
        let server = Server::start(&["--detail", detail, "--verify", "off"]);
        // Small enough to be looked at in full, and large enough for a view of a quarter or an eighth.
        for (width, height) in [(512, 512), (4001, 2999)] {
            let file = jpeg(&scene(width, height));
            let faces = server.detect("", &file)["faces"].clone();
            let answer = spliced(&server, &file);
            assert_eq!(answer.headers["x-faces"], "1", "{detail}, {width}");
            assert_only_faces_changed(&file, &answer.body, &faces);
            let left = server.detect("", &answer.body)["faces"].clone();
            assert!(!is_clear(&left), "{detail}, {width}: {left}");
        }
    }
}

/// Whether a face is seen and not only suspected: the looks that know hoods and masks suspect one behind a bar of one
/// colour too, at scores below this.
fn is_clear(faces: &Value) -> bool {
    let scores = faces.as_array().unwrap().iter().map(|face| face["score"].as_f64());
    scores.flatten().any(|score| score >= 0.5)
}

#[test]
fn the_orientation_is_kept_as_the_only_tag_and_the_right_blocks_are_hidden() {
    let server = Server::start(&["--detail", "fast"]);
    // Not square, and the face far from the middle: any mistake in turning hides something else.
    let upright = scene(1201, 803);
    for (orientation, stored) in orientations(&upright) {
        let mut file = jpeg(&stored);
        file.splice(
            2..2,
            segment(0xe1, &[exif(orientation).as_slice(), b"a serial number"].concat()),
        );
        let answer = spliced(&server, &file);
        let what = format!("orientation {orientation}");
        assert_eq!(answer.headers["x-faces"], "1", "{what}");
        assert!(!contains(&answer.body, b"a serial number"), "{what}");
        let left = server.detect("", &answer.body);
        assert_eq!(left["faces"], Value::Array(Vec::new()), "{what}");
        assert_eq!((&left["width"], &left["height"]), (&1201.into(), &803.into()), "{what}");
        let (changed, all) = changed_units(&file, &answer.body);
        assert!(
            (4..all / 6).contains(&changed.len()),
            "{what}: {} of {all}",
            changed.len()
        );
    }
}

#[test]
fn each_file_takes_its_road_and_says_so() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = scene(640, 480);
    let mut odd_profile = ColorProfile::new_srgb();
    std::mem::swap(&mut odd_profile.red_colorant, &mut odd_profile.blue_colorant);
    let mut in_odd_colours = jpeg(&pixels);
    let profile = [b"ICC_PROFILE\0\x01\x01", &odd_profile.encode().unwrap()[..]].concat();
    in_odd_colours.splice(2..2, segment(0xe2, &profile));
    for (file, query, path) in [
        (progressive(&pixels), "", "coefficients"),
        (arithmetic(&pixels), "", "coefficients"),
        (arithmetic(&pixels), "?profile=reencode", "pixels"),
        (twelve_bits(&pixels), "", "splice"),
        (twelve_bits(&pixels), "?profile=reencode", "pixels"),
        (in_odd_colours, "", "pixels"),
        (jpeg(&pixels), "?profile=reencode", "pixels"),
    ] {
        let answer = server.blur(query, &file);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["x-veil-path"], path);
        assert_eq!(answer.headers["x-faces"], "1");
        assert_eq!(server.detect("", &file)["faces"].as_array().unwrap().len(), 1);
        assert_eq!(server.detect("", &answer.body)["faces"], Value::Array(Vec::new()));
    }
}

#[test]
fn inks_and_a_missing_end_are_no_hindrance() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = scene(640, 480);
    let inks: Vec<u8> = pixels
        .pixels()
        .flat_map(|Rgb([red, green, blue])| [255 - red, 255 - green, 255 - blue, 0])
        .collect();
    let mut printed = Vec::new();
    Encoder::new(&mut printed, 90)
        .encode(&inks, 640, 480, ColorType::Cmyk)
        .unwrap();
    let mut endless = jpeg(&pixels);
    endless.truncate(endless.len() - 2);
    for (what, file) in [("inks", printed), ("no end", endless)] {
        let answer = spliced(&server, &file);
        assert_eq!(answer.headers["x-faces"], "1", "{what}");
        assert_eq!(
            server.detect("", &answer.body)["faces"],
            Value::Array(Vec::new()),
            "{what}"
        );
    }
}

#[test]
fn a_cut_off_picture_is_refused_on_every_road() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = scene(640, 480);
    for (file, query) in [
        (jpeg(&pixels), ""),
        (jpeg(&pixels), "?profile=reencode"),
        (progressive(&pixels), ""),
        (arithmetic(&pixels), ""),
        (arithmetic(&pixels), "?profile=reencode"),
    ] {
        for share in [2, 3, 9] {
            let cut = &file[..file.len() * (share - 1) / share];
            assert_eq!(
                server.blur(query, cut).code(),
                "broken_picture",
                "{query}, 1/{share} missing"
            );
        }
    }
}

#[test]
fn the_operators_choice_to_reencode_is_kept() {
    let server = Server::start(&["--detail", "fast", "--profile", "reencode"]);
    let file = jpeg(&scene(640, 480));
    assert_eq!(server.blur("", &file).headers["x-veil-path"], "pixels");
    assert_eq!(server.blur("?profile=lossless", &file).code(), "option_not_allowed");
}

/// A grey ground with the portrait in its lower left corner.
fn scene(width: u32, height: u32) -> RgbImage {
    let mut scene = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x / 7 % 64 + 90) as u8, (y / 9 % 64 + 90) as u8, 120])
    });
    let side = width.min(height) * 3 / 4;
    let portrait = imageops::resize(&portrait(), side, side, imageops::FilterType::Triangle);
    imageops::replace(&mut scene, &portrait, 0, i64::from(height - side));
    scene
}

fn progressive(pixels: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_progressive(true);
    let (width, height) = (pixels.width() as u16, pixels.height() as u16);
    encoder.encode(pixels, width, height, ColorType::Rgb).unwrap();
    file
}

fn arithmetic(pixels: &RgbImage) -> Vec<u8> {
    let options = TransformOptions {
        arithmetic: true,
        ..TransformOptions::default()
    };
    transform_jpeg_with_options(&jpeg(pixels), &options).unwrap()
}

fn twelve_bits(pixels: &RgbImage) -> Vec<u8> {
    let samples: Vec<i16> = pixels.iter().map(|sample| i16::from(*sample) * 16 + 8).collect();
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    compress_12bit(&samples, width, height, 3, 90, Subsampling::S420).unwrap()
}

fn spliced(server: &Server, file: &[u8]) -> Answer {
    let answer = server.blur("", file);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.headers["x-veil-path"], "splice");
    answer
}

fn assert_only_faces_changed(before: &[u8], after: &[u8], faces: &Value) {
    let [face] = faces.as_array().unwrap().as_slice() else {
        panic!("{faces}");
    };
    let of = |side: &str| face[side].as_f64().unwrap();
    let centre = (of("x") + of("width") / 2.0, of("y") + of("height") / 2.0);
    // The margin, and two units outward: one for whole units, one for the chroma beside them.
    let reach = (of("width") * 0.65 + 32.0, of("height") * 0.65 + 32.0);
    let (changed, _) = changed_units(before, after);
    assert!(changed.contains(&(centre.0 as u32 / UNIT * UNIT, centre.1 as u32 / UNIT * UNIT)));
    for (left, top) in changed {
        let inside = f64::from(left) >= centre.0 - reach.0
            && f64::from(left + UNIT) <= centre.0 + reach.0
            && f64::from(top) >= centre.1 - reach.1
            && f64::from(top + UNIT) <= centre.1 + reach.1;
        assert!(inside, "what is coded at {left}, {top} changed; the face is {face}");
    }
}

/// Left and top, in stored pixels, of every unit of a 4:2:0 picture with a block whose coefficients differ; and how many
/// units there are.
fn changed_units(before: &[u8], after: &[u8]) -> (BTreeSet<(u32, u32)>, usize) {
    let columns = dct_io::inspect(before).unwrap().width.div_ceil(UNIT as u16) as usize;
    let [before, after] = [before, after].map(|file| dct_io::read_coefficients(file).unwrap().components);
    assert_eq!((before.len(), after.len()), (3, 3));
    let mut changed = BTreeSet::new();
    for ((was, is), blocks_in_unit) in before.iter().zip(&after).zip([4, 1, 1]) {
        assert_eq!(was.blocks.len(), is.blocks.len());
        let pairs = was.blocks.iter().zip(&is.blocks).enumerate();
        let units = pairs
            .filter(|(_, (was, is))| was != is)
            .map(|(index, _)| index / blocks_in_unit);
        changed.extend(units.map(|unit| ((unit % columns) as u32 * UNIT, (unit / columns) as u32 * UNIT)));
    }
    (changed, before[1].blocks.len())
}

/// Pixels along the side of what is coded together.
const UNIT: u32 = 16;

/// From the scan header on.
fn scan(file: &[u8]) -> &[u8] {
    let start = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    &file[start..]
}
