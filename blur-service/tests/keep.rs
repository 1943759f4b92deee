//! What a file says in words is kept where it may be, and nothing rides along.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Server, contains, encoded, jpeg, portrait, segment};
use image::ImageFormat;
use serde_json::json;

#[test]
fn the_named_values_are_written_anew_and_nothing_rides_along() {
    let server = Server::start(&["--detail", "fast", "--allow-keep", "copyright,credit,gps"]);
    for (name, file) in files() {
        let bare = server.blur("", &file);
        let kept = server.blur("?keep=copyright,gps", &file);
        assert_eq!(kept.status, 200, "{name}");
        assert!(contains(&kept.body, b"A. Photographer 2026"), "{name}");
        assert!(contains(&kept.body, b"<exif:GPSLatitude>52,30.00000N"), "{name}");
        for secret in [
            &b"Nikon"[..],
            b"secret caption",
            b"SERIAL",
            b"thumbnail",
            b"Agency",
            b"hidden in xmp",
            b"Exif",
        ] {
            assert!(
                !contains(&kept.body, secret),
                "{name}: {}",
                String::from_utf8_lossy(secret)
            );
        }
        assert!(
            without_packet(&kept.body) == without_packet(&bare.body),
            "{name}: something else differs"
        );
        assert!(!contains(&bare.body, b"xmpmeta"), "{name}");
        let report = server.report("?keep=copyright,credit,gps", &file);
        let fields = if name == "JPEG" {
            json!(["copyright", "credit", "gps"])
        } else {
            json!(["copyright", "gps"])
        };
        assert_eq!(report["kept"], fields, "{name}");
        assert_eq!(server.report("", &file)["kept"], json!([]));
        // The result is sound, and its own values can be kept again.
        let again = server.blur("?keep=copyright", &kept.body);
        assert_eq!(again.status, 200, "{name}");
        assert!(contains(&again.body, b"A. Photographer 2026"), "{name}");
    }
}

#[test]
fn what_is_not_allowed_is_refused() {
    let server = Server::start(&["--detail", "fast", "--allow-keep", "copyright"]);
    let refused = server.blur("?keep=copyright,caption", &jpeg(&portrait()));
    assert_eq!((refused.status, refused.code().as_str()), (403, "keep_not_allowed"));
}

/// The same picture in each format, with EXIF and, in a JPEG, IPTC and XMP.
fn files() -> [(&'static str, Vec<u8>); 3] {
    let pixels = portrait().into();
    let mut photo = jpeg(&portrait());
    let iptc = [&b"\x1c\x02\x6e\0\x06Agency"[..], b"\x1c\x02\x78\0\x0esecret caption"].concat();
    let resources = [
        &b"Photoshop 3.0\08BIM\x04\x04\0\0"[..],
        &(iptc.len() as u32).to_be_bytes(),
        &iptc,
    ]
    .concat();
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><a hidden=\"hidden in xmp\"/></x:xmpmeta>";
    let segments = [
        segment(0xe1, &[b"Exif\0\0", &tiff()[..]].concat()),
        segment(0xed, &resources),
        segment(0xe1, xmp),
    ];
    photo.splice(2..2, segments.concat());
    let mut png = encoded(&pixels, ImageFormat::Png);
    let typed = [b"eXIf", &tiff()[..]].concat();
    let chunk = [
        &(typed.len() as u32 - 4).to_be_bytes()[..],
        &typed,
        &crc(&typed).to_be_bytes(),
    ]
    .concat();
    png.splice(33..33, chunk);
    let mut webp = encoded(&pixels, ImageFormat::WebP);
    let head = [
        &b"VP8X\x0a\0\0\0\x08\0\0\0"[..],
        &511u32.to_le_bytes()[..3],
        &511u32.to_le_bytes()[..3],
    ]
    .concat();
    webp.splice(12..12, head);
    webp.extend([b"EXIF", &(tiff().len() as u32).to_le_bytes()[..], &tiff()].concat());
    let length = webp.len() as u32 - 8;
    webp.splice(4..8, length.to_le_bytes());
    [("JPEG", photo), ("PNG", png), ("WebP", webp)]
}

/// EXIF, little-endian: a maker, a copyright, a caption, coordinates, a thumbnail.
fn tiff() -> Vec<u8> {
    let mut values = Vec::new();
    let mut entry = |tag: u16, kind: u16, count: u32, value: &[u8]| {
        let placed = if value.len() > 4 {
            values.extend(value);
            (VALUES + (values.len() - value.len()) as u32).to_le_bytes()
        } else {
            let mut short = [0; 4];
            short[..value.len()].copy_from_slice(value);
            short
        };
        [
            &tag.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &placed,
        ]
        .concat()
    };
    let text = |text: &str| [text.as_bytes(), b"\0"].concat();
    let angle = |degrees: u32, minutes: u32| {
        [degrees, 1, minutes, 1, 0, 1]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let (caption, maker, copyright, serial) = (
        text("secret caption"),
        text("Nikon thumbnail"),
        text("A. Photographer 2026"),
        text("SERIAL 12345"),
    );
    let first = [
        entry(0x010e, 2, caption.len() as u32, &caption),
        entry(0x010f, 2, maker.len() as u32, &maker),
        entry(0x8298, 2, copyright.len() as u32, &copyright),
        entry(0x8825, 4, 1, &GPS.to_le_bytes()),
        entry(0xc62f, 2, serial.len() as u32, &serial),
    ];
    let gps = [
        entry(1, 2, 2, b"N\0"),
        entry(2, 5, 3, &angle(52, 30)),
        entry(3, 2, 2, b"E\0"),
        entry(4, 5, 3, &angle(13, 24)),
    ];
    let mut tiff = b"II\x2a\0\x08\0\0\0".to_vec();
    for entries in [&first[..], &gps] {
        tiff.extend((entries.len() as u16).to_le_bytes());
        tiff.extend(entries.concat());
        tiff.extend([0; 4]);
    }
    assert_eq!(tiff.len() as u32, VALUES);
    [tiff, values].concat()
}

/// Where the second directory and the values begin.
const GPS: u32 = 8 + 2 + 5 * 12 + 4;
const VALUES: u32 = GPS + 2 + 4 * 12 + 4;

/// A file without XMP: of a WebP, its picture data.
fn without_packet(file: &[u8]) -> Vec<u8> {
    let Some(at) = file.windows(4).position(|four| four == b"VP8L") else {
        let cut = |from: usize, length: usize| [&file[..from], &file[from + length..]].concat();
        let xmp = |tag: &[u8]| file.windows(tag.len()).position(|window| window == tag);
        if let Some(at) = xmp(b"http://ns.adobe.com/xap/1.0/\0") {
            return cut(
                at - 4,
                2 + usize::from(u16::from_be_bytes([file[at - 2], file[at - 1]])),
            );
        }
        return match xmp(b"iTXt") {
            Some(at) => cut(
                at - 4,
                12 + u32::from_be_bytes(*file[at - 4..].first_chunk().unwrap()) as usize,
            ),
            None => file.to_vec(),
        };
    };
    let length = u32::from_le_bytes(*file[at + 4..].first_chunk().unwrap()) as usize;
    file[at..at + 8 + length].to_vec()
}

/// CRC-32 as PNG has it.
fn crc(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
    })
}
