//! Files of several pictures: what is planted in their frames and pages and beside them.

use blur_service::{
    codec::{Delay, Frame, FramesPlan, FramesWriter, Output, Pages, frames},
    geometry::Size,
};
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};
use tiff::{
    encoder::{TiffEncoder, colortype},
    tags::Tag,
};

use crate::{
    common::{Server, encoded, has_heic, portrait},
    planted::{MARKER, assert_no_trace, face, traces},
    webp::chunk,
};

pub fn animations(server: &Server) {
    let gif = animation(Output::Gif);
    // Behind the screen's description and its table of colours.
    let behind_screen = 13 + if gif[10] & 0x80 == 0 { 0 } else { 6 << (gif[10] & 7) };
    for (label, name) in [(0xfe, "comment"), (0x01, "text"), (0x77, "unknown")] {
        let block = [&[0x21, label][..], &stretches(&planted()), &[0]].concat();
        assert_clean(server, &spliced(&gif, behind_screen, &block), name);
    }
    for program in [b"XMP DataXMP", b"ICCRGBG1012", b"SECRETSTUFF"] {
        let block = [&[0x21, 0xff, 11][..], program, &stretches(&planted()), &[0]].concat();
        assert_clean(
            server,
            &spliced(&gif, behind_screen, &block),
            &String::from_utf8_lossy(program),
        );
    }
    assert_clean(server, &[&gif[..], &planted()].concat(), "bytes behind a GIF");
    let png = animation(Output::Png);
    for kind in [b"tEXt", b"eXIf", b"prVt"] {
        let chunk = crate::png::chunk(kind, &planted());
        assert_clean(server, &spliced(&png, 33, &chunk), &String::from_utf8_lossy(kind));
    }
    assert_clean(server, &[&png[..], &planted()].concat(), "bytes behind an animated PNG");
    let webp = animation(Output::WebP { quality: None });
    for kind in [b"EXIF", b"XMP ", b"prVt"] {
        let file = [&webp[..], &chunk(kind, &planted())].concat();
        let mut file = file;
        let length = (file.len() as u32 - 8).to_le_bytes();
        file[4..8].copy_from_slice(&length);
        assert_clean(server, &file, &String::from_utf8_lossy(kind));
    }
    assert_clean(
        server,
        &[&webp[..], &planted()].concat(),
        "bytes behind an animated WebP",
    );
}

/// A still that viewers without animations would show, and no frame of the animation.
pub fn default_pictures(server: &Server) {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 512, 512);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).unwrap();
    encoder.set_sep_def_img(true).unwrap();
    let mut writer = encoder.write_header().unwrap();
    let nobody = RgbImage::new(512, 512);
    for pixels in [&portrait(), &nobody, &nobody] {
        writer.write_image_data(pixels).unwrap();
    }
    writer.finish().unwrap();
    let answer = server.blur("", &file);
    assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "0"));
    let still = image::load_from_memory(&answer.body).unwrap().into_rgb8();
    assert!(still.pixels().all(|pixel| pixel.0 == [0; 3]), "the still is there");
}

pub fn pages(server: &Server) {
    for tag in [
        Tag::Artist,
        Tag::ImageDescription,
        Tag::Unknown(700),
        Tag::Unknown(34_377),
        Tag::Unknown(50_000),
    ] {
        assert_clean(server, &tiff(&[portrait()], tag), &format!("{tag:?} of a TIFF"));
        assert_clean(
            server,
            &tiff(&[portrait(), portrait()], tag),
            &format!("{tag:?} of two pages"),
        );
    }
    assert_clean(
        server,
        &[tiff(&[portrait()], Tag::Make), planted()].concat(),
        "bytes behind a TIFF",
    );
}

pub fn auxiliary_pictures(server: &Server) {
    assert_refused(server, b"\0\0\x01\0\x02\0", "ICO");
    let avif = include_bytes!("../formats/files/alpha.avif");
    further_items(server, avif, (b"auxiliary:alpha", b"auxiliary:depth"));
    if has_heic() {
        let heic = include_bytes!("../formats/files/alpha.heic");
        further_items(server, heic, (b"auxid:1", b"auxid:2"));
        // A thumbnail and EXIF.
        let answer = server.blur("", &tailed(include_bytes!("../formats/files/420.heic")));
        assert_eq!(answer.status, 200);
        assert_no_trace(&answer, "what lies beside a HEIC's picture");
    }
}

/// The second item of the file is the alpha of the first, and would be seen in the answer: as anything else it is not.
fn further_items(server: &Server, alpha: &[u8], name: (&[u8], &[u8])) {
    for (told, instead) in [name, (b"auxl", b"thmb"), (b"auxl", b"cdsc")] {
        let mut file = alpha.to_vec();
        let at = file.windows(told.len()).position(|found| found == told).unwrap();
        file[at..at + told.len()].copy_from_slice(instead);
        let answer = server.blur("?format=png", &tailed(&file));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_no_trace(&answer, "a further item");
        let shown = image::load_from_memory(&answer.body).unwrap();
        assert!(!shown.color().has_alpha(), "{}", String::from_utf8_lossy(instead));
    }
    let shown = image::load_from_memory(&server.blur("?format=png", alpha).body).unwrap();
    assert!(shown.color().has_alpha());
}

fn tailed(file: &[u8]) -> Vec<u8> {
    [file, &[0, 0, 0, 8][..], b"free", &planted()].concat()
}

fn planted() -> Vec<u8> {
    [MARKER, &face()].concat()
}

/// As the data of a GIF's block, so short that the marker is in one of them.
fn stretches(data: &[u8]) -> Vec<u8> {
    let stretch = |data: &[u8]| [&[data.len() as u8][..], data].concat();
    data.chunks(192).flat_map(stretch).collect()
}

fn spliced(file: &[u8], at: usize, more: &[u8]) -> Vec<u8> {
    [&file[..at], more, &file[at..]].concat()
}

/// Two frames, of which the second shows the portrait.
fn animation(output: Output) -> Vec<u8> {
    let size = Size {
        width: 512,
        height: 512,
    };
    let plan = FramesPlan {
        size,
        frames: 2,
        plays: 0,
        profile: None,
    };
    let mut writer = FramesWriter::start(output, &plan).unwrap();
    let portrait = DynamicImage::from(portrait()).into_rgba8();
    for pixels in [RgbaImage::from_pixel(512, 512, image::Rgba([9, 9, 9, 255])), portrait] {
        let delay = Delay {
            ticks: 10,
            per_second: 100,
        };
        writer.add(Frame { pixels, delay }).unwrap();
    }
    writer.finish().unwrap()
}

fn tiff(pages: &[RgbImage], tag: Tag) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for pixels in pages {
        let mut image = encoder.new_image::<colortype::RGB8>(512, 512).unwrap();
        image.encoder().write_tag(tag, planted().as_slice()).unwrap();
        image.write_data(pixels).unwrap();
    }
    file.into_inner()
}

fn assert_clean(server: &Server, file: &[u8], place: &str) {
    assert!(
        traces().iter().any(|trace| crate::common::contains(file, trace)),
        "{place}: nothing was planted"
    );
    let answer = server.blur("", file);
    assert_eq!(answer.status, 200, "{place}: {}", String::from_utf8_lossy(&answer.body));
    assert_ne!(answer.headers["x-faces"], "0", "{place}");
    assert_no_trace(&answer, place);
    for pixels in shown(&answer.body) {
        let found = server.detect("", &encoded(&pixels.into(), ImageFormat::Png));
        assert!(found["faces"].as_array().unwrap().is_empty(), "{place} shows a face");
    }
}

/// Every picture in a file that came back.
fn shown(file: &[u8]) -> Vec<RgbImage> {
    let header = blur_service::codec::Header::read(file).unwrap();
    let mut shown = Vec::new();
    if file.starts_with(b"II") || file.starts_with(b"MM") {
        let mut pages = Pages::open(file).unwrap();
        while let Some((_, picture)) = pages.next_page().unwrap() {
            shown.push(picture.pixels.into_rgb8());
        }
    } else if header.parts.count() > 1 {
        let mut reader = frames(file, &header).unwrap();
        while let Some(frame) = reader.next().unwrap() {
            shown.push(DynamicImage::from(frame.pixels).into_rgb8());
        }
    }
    shown
}

fn assert_refused(server: &Server, head: &[u8], name: &str) {
    let file = [head, MARKER, &face()].concat();
    for path in ["/v1/blur", "/v1/detect"] {
        let answer = server.send("POST", path, &[], &file);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (415, "unsupported_format"),
            "{name}"
        );
        assert!(answer.json()["detail"].as_str().unwrap().contains(name), "{name}");
        assert_no_trace(&answer, name);
    }
}
