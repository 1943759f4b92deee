//! Pixels that a look at the picture does not show.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage, imageops};
use serde_json::Value;

use crate::common::{Server, encoded, exif, jpeg, orientations, portrait, segment};

pub fn clear_alpha(server: &Server) {
    let face = portrait();
    let hidden = RgbaImage::from_fn(512, 512, |x, y| {
        let [red, green, blue] = face.get_pixel(x, y).0;
        Rgba([red, green, blue, 0])
    });
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let answer = server.blur("", &encoded(&DynamicImage::from(hidden.clone()), format));
        assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "1"));
        let shown = image::load_from_memory(&answer.body).unwrap().to_rgba8();
        let mut clear = shown.pixels().filter(|pixel| pixel[3] == 0);
        assert!(clear.all(|pixel| pixel.0 == [0; 4]));
    }
}

/// However the picture lies in the file, the face is found and the right place is hidden.
pub fn orientation(server: &Server) {
    let upright = portrait();
    for (orientation, stored) in orientations(&upright) {
        let mut file = jpeg(&stored);
        file.splice(2..2, segment(0xe1, &exif(orientation)));
        for profile in ["lossless", "reencode"] {
            let answer = server.blur(&format!("?effect=solid&profile={profile}"), &file);
            let what = format!("orientation {orientation}, {profile}");
            assert_eq!(
                (answer.status, answer.headers["x-faces"].as_str()),
                (200, "1"),
                "{what}"
            );
            assert_eq!(
                server.detect("", &answer.body)["faces"],
                Value::Array(Vec::new()),
                "{what}"
            );
        }
    }
}

/// The head of the file says a few pixels less than its blocks hold: the edge goes through the face, and the rest of it
/// lies in the padding.
pub fn padding(server: &Server) {
    let mut file = jpeg(&imageops::crop_imm(&portrait(), 0, 0, CODED, CODED).to_image());
    say_size(&mut file, SHOWN);
    let found = server.detect("", &file)["faces"].clone();
    let middle = |side: &str, length: &str| found[0][side].as_f64().unwrap() + found[0][length].as_f64().unwrap() / 2.0;
    let row = middle("y", "height") as u32;
    let before = coded(&file);
    for profile in ["lossless", "reencode"] {
        let answer = server.blur(&format!("?effect=solid&profile={profile}"), &file);
        assert_eq!(
            (answer.status, answer.headers["x-faces"].as_str()),
            (200, "1"),
            "{profile}"
        );
        let after = coded(&answer.body);
        let edge = after.get_pixel(SHOWN - 1, row);
        for x in SHOWN..CODED {
            assert!(
                alike(edge, after.get_pixel(x, row)),
                "{profile}: column {x} is not hidden"
            );
        }
        assert!(
            (SHOWN..CODED).any(|x| !alike(edge, before.get_pixel(x, row))),
            "nothing was in the padding"
        );
    }
}

/// An ellipse is a matter of the look: the corners of the hidden box beside it show nothing of the picture either.
pub fn beside_an_ellipse(server: &Server) {
    let mut picture = portrait();
    let face = server.detect("", &jpeg(&picture))["faces"][0].clone();
    let of = |side: &str| face[side].as_f64().unwrap();
    let (width, height) = (of("width") / 10.0, of("height") / 10.0);
    let rows = || (of("y") - height) as u32..of("y") as u32;
    let columns = || (of("x") - width) as u32..of("x") as u32;
    let corner = || rows().flat_map(|y| columns().map(move |x| (x, y)));
    corner().for_each(|(x, y)| picture.put_pixel(x, y, Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3])));
    let files = [jpeg(&picture), encoded(&picture.into(), ImageFormat::Png)];
    for (file, effect, profile) in files.iter().flat_map(|file| {
        let effects = ["smooth", "gaussian"].into_iter();
        effects.flat_map(move |effect| ["lossless", "reencode"].map(|profile| (file, effect, profile)))
    }) {
        let answer = server.blur(&format!("?shape=ellipse&effect={effect}&profile={profile}"), file);
        assert_eq!((answer.status, answer.headers["x-faces"].as_str()), (200, "1"));
        let shown = decoded(&answer.body);
        let steps = corner().map(|(x, y)| shown.get_pixel(x, y)[1].abs_diff(shown.get_pixel(x + 1, y)[1]));
        assert!(steps.max().unwrap() < 16, "{effect}, {profile}");
    }
}

/// All that is coded, the padding included.
fn coded(file: &[u8]) -> RgbImage {
    let mut file = file.to_vec();
    say_size(&mut file, CODED);
    decoded(&file)
}

fn decoded(file: &[u8]) -> RgbImage {
    if !file.starts_with(&[0xff, 0xd8]) {
        return image::load_from_memory(file).unwrap().into_rgb8();
    }
    let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(file));
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    RgbImage::from_raw(width as u32, height as u32, pixels).unwrap()
}

fn say_size(file: &mut [u8], side: u32) {
    let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let side = (side as u16).to_be_bytes();
    file[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());
}

fn alike(one: &Rgb<u8>, other: &Rgb<u8>) -> bool {
    one.0.iter().zip(other.0).all(|(one, other)| one.abs_diff(other) <= 2)
}

const CODED: u32 = 256;
const SHOWN: u32 = 249;
