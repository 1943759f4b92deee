//! TIFF of several pages.

use blur_service::codec::{Header, Pages, Parts};
use image::{DynamicImage, ImageFormat};
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
    for format in ["jpeg", "png", "webp"] {
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
