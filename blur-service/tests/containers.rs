//! What is searched depends on the picture, never on the form of its file: the same pixels give the same faces.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Server, encoded, portrait};
use image::{
    DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage,
    imageops::{self, BiLevel},
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

#[test]
fn the_same_pixels_give_the_same_faces_in_every_form_of_file() {
    let server = Server::start(&["--allow-client-options"]);
    check(&server, Scene::of(640, 480), &["fast"]);
    check(&server, Scene::of(2700, 1800), &["thorough"]);
}

#[test]
fn so_do_those_of_a_picture_in_two_tones() {
    let server = Server::start(&["--allow-client-options"]);
    check(&server, Scene::dithered(900, 600), &["thorough"]);
    check(&server, Scene::dithered(4200, 2800), &["fast"]);
}

#[test]
#[ignore = "long: pictures of 12, 24 and 50 megapixels in every form of file"]
fn the_same_pixels_give_the_same_faces_in_every_form_of_large_files() {
    let server = Server::start(&["--allow-client-options", "--max-bytes", "200MiB"]);
    for (width, height) in [(4000, 3000), (6000, 4000), (8160, 6120)] {
        check(&server, Scene::of(width, height), &["fast", "thorough", "max"]);
    }
}

/// A picture and its files.
struct Scene {
    name: String,
    /// Each with its name: the files of the same colours, then those of the same greys.
    files: [Vec<(&'static str, Vec<u8>)>; 2],
}

impl Scene {
    fn of(width: u32, height: u32) -> Self {
        Self::made_of(&portraits(width, height))
    }

    /// In black and white, with a file of one bit too.
    fn dithered(width: u32, height: u32) -> Self {
        let mut grey = imageops::grayscale(&portraits(width, height));
        imageops::dither(&mut grey, &BiLevel);
        let mut scene = Self::made_of(&DynamicImage::from(grey.clone()).into_rgb8());
        scene.files[1].push(("one-bit PNG", one_bit(&grey)));
        scene
    }

    fn made_of(pixels: &RgbImage) -> Self {
        let grey = imageops::grayscale(pixels);
        let colours = vec![
            ("PNG", encoded(&pixels.clone().into(), ImageFormat::Png)),
            ("WebP", encoded(&pixels.clone().into(), ImageFormat::WebP)),
            (
                "baseline JPEG",
                jpeg(pixels, pixels.dimensions(), ColorType::Rgb, false),
            ),
            (
                "progressive JPEG",
                jpeg(pixels, pixels.dimensions(), ColorType::Rgb, true),
            ),
            (
                "CMYK JPEG",
                jpeg(&cmyk(pixels), pixels.dimensions(), ColorType::Cmyk, false),
            ),
        ];
        let greys = vec![
            ("grey JPEG", jpeg(&grey, grey.dimensions(), ColorType::Luma, false)),
            (
                "grey progressive JPEG",
                jpeg(&grey, grey.dimensions(), ColorType::Luma, true),
            ),
            ("grey PNG", encoded(&DynamicImage::from(grey), ImageFormat::Png)),
        ];
        Self {
            name: format!("{}x{}", pixels.width(), pixels.height()),
            files: [colours, greys],
        }
    }
}

/// The portrait in several sizes upon a slope of colour.
fn portraits(width: u32, height: u32) -> RgbImage {
    let mut pixels = RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            x * 120 / width + 60,
            y * 100 / height + 70,
            (x + y) * 80 / (width + height) + 60,
        ]
        .map(|level| level as u8))
    });
    let portrait = portrait();
    let mut left = 0;
    for share in [3, 4, 6, 9] {
        let side = width / share;
        let small = imageops::resize(&portrait, side, side, imageops::FilterType::Triangle);
        imageops::replace(&mut pixels, &small, left.into(), (height / share / 2).into());
        left += side;
    }
    pixels
}

/// Wants the faces of the first file of a kind in every other one too, and the first JPEG's on the road through pixels.
fn check(server: &Server, scene: Scene, details: &[&str]) {
    for detail in details {
        for files in &scene.files {
            let query = format!("?detail={detail}");
            let found = files
                .iter()
                .map(|(name, file)| (*name, boxes(&server.detect(&query, file))));
            let mut found: Vec<(&str, Vec<[f64; 4]>)> = found.collect();
            let through_pixels = format!("{query}&profile=reencode&verify=off");
            if let Some((name, jpeg)) = files.iter().find(|(name, _)| name.ends_with("JPEG")) {
                found.push((*name, boxes(&server.report(&through_pixels, jpeg))));
            }
            let (first, expected) = &found[0];
            assert!(expected.len() >= 3, "{} {detail} {first}: {expected:?}", scene.name);
            for (name, faces) in &found {
                let case = format!("{} {detail}: {first} {expected:?}, {name} {faces:?}", scene.name);
                assert_eq!(faces.len(), expected.len(), "{case}");
                for face in expected {
                    assert!(faces.iter().any(|other| iou(face, other) >= 0.8), "{case}");
                }
            }
        }
    }
}

fn boxes(answer: &serde_json::Value) -> Vec<[f64; 4]> {
    let side = |face: &serde_json::Value, name: &str| face[name].as_f64().unwrap();
    let faces = answer["faces"].as_array().unwrap().iter();
    faces
        .map(|face| ["x", "y", "width", "height"].map(|name| side(face, name)))
        .collect()
}

fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let common = |axis: usize| (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]) - a[axis].max(b[axis]);
    let shared = common(0).max(0.0) * common(1).max(0.0);
    shared / (a[2] * a[3] + b[2] * b[3] - shared)
}

fn jpeg(samples: &[u8], (width, height): (u32, u32), colours: ColorType, is_progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    // As good as without loss: noise would decide about what is hardly believed.
    let mut encoder = Encoder::new(&mut file, 100);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder.set_progressive(is_progressive);
    encoder.encode(samples, width as u16, height as u16, colours).unwrap();
    file
}

fn one_bit(grey: &GrayImage) -> Vec<u8> {
    let rows = grey.as_raw().chunks_exact(grey.width() as usize);
    let bits = rows.flat_map(|row| {
        row.chunks(8).map(|eight| {
            let bits = eight
                .iter()
                .enumerate()
                .map(|(index, level)| (level >> 7) << (7 - index));
            bits.sum::<u8>()
        })
    });
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, grey.width(), grey.height());
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&bits.collect::<Vec<u8>>()).unwrap();
    drop(writer);
    file
}

/// The same colours without black ink.
fn cmyk(pixels: &RgbImage) -> Vec<u8> {
    pixels
        .pixels()
        .flat_map(|Rgb([red, green, blue])| [255 - red, 255 - green, 255 - blue, 0])
        .collect()
}
