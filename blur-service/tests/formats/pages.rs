//! TIFF of several pages.

use blur_service::codec::{Header, Pages, Parts};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use tiff::{
    encoder::{TiffEncoder, colortype},
    tags::Tag,
};

use crate::{
    common::{Server, contains, encoded, portrait},
    made::{face, nobody},
};

#[test]
fn every_page_has_its_faces_hidden_and_is_written_again() {
    let server = Server::start(&["--detail", "fast"]);
    let answer = server.blur("", &pages());
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "image/tiff"),
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    assert_eq!(answer.headers["x-faces"], "2");
    assert!(!contains(&answer.body, b"SECRET"));
    let header = Header::read(&answer.body).unwrap();
    assert!(matches!(header.parts, Parts::Pages { count: 3, .. }));
    let mut read = Pages::open(&answer.body).unwrap();
    let mut sizes = Vec::new();
    while let Some((_, picture)) = read.next_page().unwrap() {
        sizes.push(picture.size().width);
        let png = encoded(&DynamicImage::from(picture.pixels.to_rgb8()), ImageFormat::Png);
        assert!(server.detect("", &png)["faces"].as_array().unwrap().is_empty());
    }
    assert_eq!(sizes, [256, 512, 256]);
    for format in ["jpeg", "png", "webp", "avif"] {
        assert_eq!(
            server.blur(&format!("?format={format}"), &pages()).status,
            415,
            "{format}"
        );
    }
}

#[test]
fn pages_are_bounded_by_the_operator() {
    let server = Server::start(&["--detail", "fast", "--max-frames", "2"]);
    let refused = server.blur("", &pages());
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_many_parts"));
    let server = Server::start(&["--detail", "fast", "--max-pixels", "300000"]);
    let refused = server.blur("", &pages());
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_many_pixels"));
}

#[test]
fn forms_that_scanners_and_printers_write_are_read() {
    let server = Server::start(&["--detail", "fast"]);
    let slope = RgbImage::from_fn(48, 32, |x, y| Rgb([x * 5, y * 7, (x + y) * 3].map(|level| level as u8)));
    let halves = RgbImage::from_fn(48, 32, |x, y| Rgb([if x * 2 / 3 > y { 255 } else { 0 }; 3]));
    for (name, file, wanted) in [
        ("tiles", &include_bytes!("files/planes-in-tiles.tif")[..], &slope),
        ("BigTIFF", include_bytes!("files/big-reversed.tif"), &slope),
        ("Lab", include_bytes!("files/lab.tif"), &slope),
        ("inks as JPEG", include_bytes!("files/inks-jpeg.tif"), &slope),
        ("12 bits", include_bytes!("files/twelve-bits.tif"), &slope),
        ("4:2:0", include_bytes!("files/subsampled.tif"), &slope),
        ("group 3", include_bytes!("files/group3.tif"), &halves),
        ("group 4", include_bytes!("files/group4.tif"), &halves),
    ] {
        let answer = server.blur("?format=png", file);
        assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
        let shown = image::load_from_memory(&answer.body).unwrap().into_rgb8();
        assert_eq!(shown.dimensions(), wanted.dimensions(), "{name}");
        let differences = shown
            .iter()
            .zip(wanted.iter())
            .map(|(one, other)| u32::from(one.abs_diff(*other)));
        let mean = f64::from(differences.sum::<u32>()) / (48.0 * 32.0 * 3.0);
        assert!(mean < 3.0, "{name}: {mean}");
        for part in [2, 4] {
            let broken = server.blur("", &file[..file.len() / part]);
            assert_eq!(broken.status, 422, "{name}: {}", String::from_utf8_lossy(&broken.body));
        }
    }
}

/// Nobody, the portrait, a reduced picture of it, and its face again.
fn pages() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for (pixels, kind) in [(nobody(), 2u32), (portrait(), 2), (face(), 1), (face(), 2)] {
        let mut image = encoder
            .new_image::<colortype::RGB8>(pixels.width(), pixels.height())
            .unwrap();
        image.encoder().write_tag(Tag::NewSubfileType, kind).unwrap();
        image.encoder().write_tag(Tag::Artist, "SECRET").unwrap();
        image.write_data(&pixels).unwrap();
    }
    file.into_inner()
}
