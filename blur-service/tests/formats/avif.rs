//! AVIF, made by libavif from the upper middle of the portrait, 192 pixels wide.

use image::{DynamicImage, RgbImage, RgbaImage, imageops};

use crate::common::{Server, contains, portrait};

#[test]
fn avif_is_read_in_every_sampling_upright_and_without_its_metadata() {
    let server = Server::start(&["--detail", "fast"]);
    for (name, file, most) in [
        ("4:2:0", &include_bytes!("files/420.avif")[..], 4.0),
        ("4:4:4", include_bytes!("files/444.avif"), 4.0),
        ("turned", include_bytes!("files/turned.avif"), 4.0),
        ("grey", include_bytes!("files/grey.avif"), 4.0),
    ] {
        let answer = server.blur("", file);
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_str()),
            (200, "image/jpeg"),
            "{name}"
        );
        assert_eq!(answer.headers["x-faces"], "1", "{name}");
        assert!(!contains(&answer.body, b"SECRET"), "{name}");
        let answer = server.blur("?format=png", file);
        let shown = image::load_from_memory(&answer.body).unwrap().into_rgb8();
        let wanted = if name == "grey" { grey(&source()) } else { source() };
        let found = below(&wanted, &shown);
        assert!(found <= most, "{name}: {found}");
    }
}

#[test]
fn the_alpha_of_an_avif_is_kept() {
    let server = Server::start(&["--detail", "fast"]);
    let answer = server.blur("?format=png", include_bytes!("files/alpha.avif"));
    assert_eq!(answer.status, 200);
    let shown: RgbaImage = image::load_from_memory(&answer.body).unwrap().into_rgba8();
    let (clear, solid) = (shown.get_pixel(5, 185)[3], shown.get_pixel(5, 5)[3]);
    assert!(clear.abs_diff(90) < 6 && solid > 250, "{clear} {solid}");
}

#[test]
fn a_small_part_of_an_avif_is_shown_unless_the_whole_is_large() {
    let server = Server::start(&["--detail", "fast"]);
    let file = include_bytes!("files/cut.avif");
    let answer = server.blur("?format=png", file);
    assert_eq!(answer.status, 200);
    let shown = image::load_from_memory(&answer.body).unwrap().into_rgb8();
    assert_eq!(shown.dimensions(), (40, 24));
    let wanted = imageops::crop_imm(&source(), 150, 166, 40, 24).to_image();
    let far = wanted
        .iter()
        .zip(shown.iter())
        .map(|(one, other)| u64::from(one.abs_diff(*other)));
    assert!(far.sum::<u64>() / (3 * 40 * 24) <= 4);
    let mut large = file.to_vec();
    let sides = large.windows(4).position(|window| window == b"ispe").unwrap() + 8;
    large[sides..sides + 8].copy_from_slice(&[0, 0, 16, 0, 0, 0, 16, 0]);
    let cut = large.windows(4).position(|window| window == b"clap").unwrap() + 4;
    // About the middle.
    large[cut + 16..cut + 32].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    let refused = server.blur("", &large);
    assert_eq!((refused.status, refused.code().as_str()), (415, "unsupported_format"));
    assert!(contains(&refused.body, b"a small part of the picture"));
}

#[test]
fn what_an_avif_may_not_be_is_told() {
    let server = Server::start(&["--detail", "fast"]);
    let mut moving = include_bytes!("files/420.avif").to_vec();
    moving[8..12].copy_from_slice(b"avis");
    let mut broken = include_bytes!("files/420.avif").to_vec();
    broken.truncate(broken.len() / 2);
    for (file, status, code) in [
        (moving.as_slice(), 415, "unsupported_format"),
        (&broken, 422, "broken_picture"),
        (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", 422, "broken_picture"),
    ] {
        let answer = server.blur("", file);
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
}

pub fn source() -> RgbImage {
    let part = imageops::crop_imm(&portrait(), 120, 0, 256, 256).to_image();
    imageops::resize(&part, 192, 192, imageops::FilterType::CatmullRom)
}

pub fn grey(pixels: &RgbImage) -> RgbImage {
    DynamicImage::from(DynamicImage::from(pixels.clone()).into_luma8()).into_rgb8()
}

/// The mean difference below the face.
pub fn below(wanted: &RgbImage, shown: &RgbImage) -> f64 {
    assert_eq!(wanted.dimensions(), shown.dimensions());
    let lower = |pixels: &RgbImage| imageops::crop_imm(pixels, 0, 165, 192, 27).to_image().into_raw();
    let (wanted, shown) = (lower(wanted), lower(shown));
    let differences = wanted
        .iter()
        .zip(&shown)
        .map(|(one, other)| f64::from(one.abs_diff(*other)));
    differences.sum::<f64>() / wanted.len() as f64
}
