//! Faces in dots, behind nets and aslant are found.
#![allow(clippy::unwrap_used)]

use image::{Rgb, RgbImage, imageops};

use super::{Detail, Detectors, Photo, Sensitivity, halftone::testing::printed};
use crate::geometry::Rect;

#[test]
fn small_faces_of_a_page_in_dots_are_found() {
    let mut page = RgbImage::from_pixel(1400, 1000, Rgb([240; 3]));
    let small = imageops::resize(&portrait(), 180, 180, imageops::FilterType::Triangle);
    let expected = [40, 380, 720, 1060].map(|left| {
        imageops::replace(&mut page, &small, left, 300);
        FACE.scaled(180.0 / 512.0, 180.0 / 512.0).moved(left as f32, 300.0)
    });
    finds(&printed(&page, 4.0, 45.0), Detail::Thorough, &expected, 0.4);
}

#[test]
fn a_face_in_coarse_dots_is_found() {
    finds(&printed(&portrait(), 8.0, 45.0), Detail::Thorough, &[FACE], 0.4);
}

#[test]
fn a_face_behind_a_net_is_found() {
    for step in [10, 12] {
        let mut netted = portrait();
        for (x, y, pixel) in netted.enumerate_pixels_mut() {
            if (x + y) % step < 4 || (x + 1024 - y) % step < 4 {
                *pixel = Rgb([30; 3]);
            }
        }
        finds(&netted, Detail::Thorough, &[FACE], 0.4);
    }
}

#[test]
fn a_face_upside_down_and_aslant_has_a_box_that_fits() {
    let mut ground = RgbImage::from_pixel(1000, 800, Rgb([110; 3]));
    let near = imageops::resize(&portrait(), 256, 256, imageops::FilterType::Triangle);
    // By three eighths, counterclockwise, about the middle of what is shown of it.
    let (sine, cosine) = 135f32.to_radians().sin_cos();
    for (x, y, pixel) in ground.enumerate_pixels_mut() {
        let (right, down) = (x as f32 - 241.0, y as f32 - 221.0);
        let (x, y) = (
            128.0 + right * cosine - down * sine,
            128.0 + right * sine + down * cosine,
        );
        if (0.0..255.0).contains(&x) && (0.0..255.0).contains(&y) {
            *pixel = imageops::interpolate_bilinear(&near, x, y).unwrap();
        }
    }
    let (x, y) = FACE.scaled(0.5, 0.5).centre();
    let (right, down) = (x - 128.0, y - 128.0);
    let (x, y) = (
        241.0 + right * cosine + down * sine,
        221.0 + down * cosine - right * sine,
    );
    finds(&ground, Detail::Max, &[Rect::centred(x, y, 70.0, 70.0)], 0.6);
}

fn finds(picture: &RgbImage, detail: Detail, expected: &[Rect], least_overlap: f32) {
    let detectors = Detectors::load(None).unwrap();
    let photo = Photo::whole(picture);
    let faces = detectors.detect(photo, detail, Sensitivity::Normal, &|| true).unwrap();
    for rect in expected {
        assert!(
            faces.iter().any(|face| face.rect.iou(*rect) > least_overlap),
            "{rect:?}: {faces:?}"
        );
    }
}

fn portrait() -> RgbImage {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pictures/astronaut.png");
    image::open(path).unwrap().into_rgb8()
}

const FACE: Rect = Rect {
    x: 175.0,
    y: 65.0,
    width: 95.0,
    height: 125.0,
};
