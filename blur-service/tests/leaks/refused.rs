//! Formats that can hold more than one picture: refused by name, and nothing of them comes back.

use image::{DynamicImage, ImageFormat};

use crate::{
    common::{Server, encoded},
    planted::{MARKER, assert_no_trace, face},
    webp::chunk,
};

pub fn animations(server: &Server) {
    assert_refused(server, b"GIF89a\x10\0\x10\0\0\0\0!\xfe\x18", "GIF");
    let png = encoded(&DynamicImage::new_rgb8(8, 8), ImageFormat::Png);
    let control = b"\0\0\0\x08acTL\0\0\0\x02\0\0\0\0\xf3\x8d\x93\x70";
    assert_refused(server, &[&png[..33], control, &png[33..]].concat(), "animated PNG");
    let webp = [b"WEBP".as_slice(), &chunk(b"VP8X", b"\x02\0\0\0\x07\0\0\x07\0\0")].concat();
    assert_refused(server, &chunk(b"RIFF", &webp), "animated WebP");
}

pub fn pages(server: &Server) {
    assert_refused(server, b"II\x2a\0\x08\0\0\0", "TIFF");
    assert_refused(server, b"MM\0\x2a\0\0\0\x08", "TIFF");
    assert_refused(server, b"\0\0\x01\0\x02\0", "ICO");
}

pub fn auxiliary_pictures(server: &Server) {
    for (brand, name) in [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")] {
        assert_refused(server, &[b"\0\0\0\x18ftyp".as_slice(), brand].concat(), name);
    }
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
