//! Stills in every format, and what they are written as.

use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use tiff::{
    encoder::{Compression, DeflateLevel, TiffEncoder, colortype},
    tags::Tag,
};

use crate::{
    common::{Server, encoded, jpeg, portrait},
    made::{face, faces_in, shift},
};

#[test]
fn what_is_read_is_written_as_it_is_asked_for() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = portrait();
    for (name, file) in sources(&pixels) {
        for (query, media_type) in [
            ("?format=keep", kept(name)),
            ("?format=jpeg", "image/jpeg"),
            ("?format=png", "image/png"),
            ("?format=webp", "image/webp"),
            ("?format=avif", "image/avif"),
        ] {
            let case = format!("{name}{query}");
            let answer = server.blur(&format!("{query}&effect=solid"), &file);
            assert_eq!(answer.status, 200, "{case}: {}", String::from_utf8_lossy(&answer.body));
            assert_eq!(answer.headers["content-type"], media_type, "{case}");
            assert_eq!(answer.headers["x-faces"], "1", "{case}");
            let shown = opened_by(&server, &answer.body);
            let shift = shift(&pixels, &shown);
            assert!(shift <= MOST_LOSS, "{case}: {shift}");
            assert_eq!(faces_in(&server, &DynamicImage::from(shown).into_rgba8()), 0, "{case}");
        }
    }
}

#[test]
fn a_lossy_webp_stays_as_small_as_it_was() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = portrait();
    for quality in [60.0, 75.0, 90.0] {
        let file = webp::Encoder::from_rgb(&pixels, 512, 512)
            .encode_simple(false, quality)
            .unwrap()
            .to_vec();
        let answer = server.blur("", &file);
        let ratio = answer.body.len() as f64 / file.len() as f64;
        assert!((0.5..1.3).contains(&ratio), "{quality}: {ratio}");
        let smaller = server.blur("?quality=20", &file);
        assert!(smaller.body.len() < answer.body.len(), "{quality}");
    }
}

#[test]
fn a_quality_counts_where_a_picture_is_coded_anew() {
    let server = Server::start(&["--detail", "fast"]);
    let file = jpeg(&portrait());
    let length = |query: &str| server.blur(query, &file).body.len();
    assert!(length("?profile=reencode&quality=20") * 2 < length("?profile=reencode&quality=95"));
    assert_eq!(length("?quality=20"), length("?quality=95"));
    assert!(length("?format=webp&quality=20") < length("?format=webp"));
}

#[test]
fn a_density_is_kept_in_another_format() {
    let server = Server::start(&["--detail", "fast"]);
    let file = tiff_of(&face(), Compression::Lzw);
    let answer = server.blur("", &file);
    // JFIF: dots an inch, across and down.
    assert_eq!(answer.body[13..18], [1, 1, 0x2c, 1, 0x2c]);
}

#[test]
fn a_turned_tiff_is_upright() {
    let server = Server::start(&["--detail", "fast"]);
    let pixels = portrait();
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<colortype::RGB8>(512, 512).unwrap();
    image.encoder().write_tag(Tag::Orientation, 6u16).unwrap();
    image.write_data(&imageops::rotate270(&pixels)).unwrap();
    let answer = server.blur("?format=png", &file.into_inner());
    assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "1"));
    assert!(shift(&pixels, &opened(&answer.body)) < 1.0);
}

#[test]
fn what_is_not_read_is_refused_with_its_reason() {
    let server = Server::start(&["--detail", "fast"]);
    for (head, name) in [
        (b"\0\0\0\x18ftypheic\0\0\0\0".as_slice(), "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "RAW"),
        (b"8BPS\0\x01\0\0", "PSD"),
        (b"%PDF-1.4\n", "PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\0\0\x01\0\x01\0", "ICO"),
    ] {
        let answer = server.blur("", head);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (415, "unsupported_format"),
            "{name}"
        );
        assert!(answer.json()["detail"].as_str().unwrap().contains(name), "{name}");
    }
    let answer = server.blur("?format=heic", &jpeg(&portrait()));
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_option"));
}

/// Of a JPEG or lossy WebP, in the mean.
const MOST_LOSS: f64 = 4.0;

fn sources(pixels: &RgbImage) -> Vec<(&'static str, Vec<u8>)> {
    let plain = DynamicImage::from(pixels.clone());
    let lossy = webp::Encoder::from_rgb(pixels, 512, 512)
        .encode_simple(false, 95.0)
        .unwrap()
        .to_vec();
    vec![
        ("jpeg", jpeg(pixels)),
        ("png", encoded(&plain, ImageFormat::Png)),
        ("deep png", encoded(&plain.to_rgba16().into(), ImageFormat::Png)),
        ("webp", encoded(&plain, ImageFormat::WebP)),
        ("lossy webp", lossy),
        ("bmp", encoded(&plain, ImageFormat::Bmp)),
        ("tiff", tiff_of(pixels, Compression::Uncompressed)),
        ("LZW tiff", tiff_of(pixels, Compression::Lzw)),
        (
            "Deflate tiff",
            tiff_of(pixels, Compression::Deflate(DeflateLevel::Fast)),
        ),
        ("PackBits tiff", tiff_of(pixels, Compression::Packbits)),
    ]
}

fn kept(name: &str) -> &'static str {
    match name.rsplit(' ').next() {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => "image/jpeg",
    }
}

/// At 300 dots an inch.
pub fn tiff_of(pixels: &RgbImage, compression: Compression) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap().with_compression(compression);
    let mut image = encoder
        .new_image::<colortype::RGB8>(pixels.width(), pixels.height())
        .unwrap();
    image.resolution(
        tiff::tags::ResolutionUnit::Inch,
        tiff::encoder::Rational { n: 300, d: 1 },
    );
    image.write_data(pixels).unwrap();
    file.into_inner()
}

/// An AVIF by the service, which no other reader here opens; what Chromium shows of it is in tests/corpus.
fn opened_by(server: &Server, file: &[u8]) -> RgbImage {
    match file.get(4..12) {
        Some(b"ftypavif") => opened(&server.blur("?format=png", file).body),
        _ => opened(file),
    }
}

fn opened(file: &[u8]) -> RgbImage {
    if file.starts_with(&[0xff, 0xd8]) {
        let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(file));
        let samples = decoder.decode().unwrap();
        return RgbImage::from_raw(512, 512, samples).unwrap();
    }
    image::load_from_memory(file).unwrap().to_rgb8()
}
