//! The life of a picture, step by step: the only place that names their order.
//!
//! limits → decode → upright → detect → pad, round outward, merge → redact → encode → prove.

use std::time::{Duration, Instant};

use crate::{
    codec::Header,
    detect::{DetectError, Detectors, Face},
    error::Error,
    geometry::Size,
    options::Options,
    redact::{Noise, operating_system_noise, regions},
};

/// A picture with its faces hidden.
pub struct Blurred {
    pub file: Vec<u8>,
    /// Upright pixels.
    pub faces: Vec<Face>,
    /// Which road it took: `pixels`, or `splice` for a JPEG whose other blocks are untouched.
    pub path: &'static str,
    pub timings: Timings,
}

/// The faces of a picture, in its upright pixels.
pub struct Found {
    pub size: Size,
    pub faces: Vec<Face>,
    pub timings: Timings,
}

/// How long each step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    pub decode: Duration,
    pub detect: Duration,
    pub redact: Duration,
    pub encode: Duration,
}

/// Whether the work is still wanted; asked between the steps and inside the long ones.
pub type GoOn<'a> = dyn Fn() -> bool + 'a;

/// Hides every face in `file`, whose head is `header`, which passed the limits.
///
/// # Errors
/// Any step's; there is no picture then. [`Error::Stopped`] once `go_on` says no.
pub fn blur(
    file: &[u8],
    header: &Header,
    options: &Options,
    detectors: &Detectors,
    go_on: &GoOn,
) -> Result<Blurred, Error> {
    blur_with_noise(
        file,
        header,
        options,
        &|view| find(view, options, detectors, go_on),
        &mut operating_system_noise,
        go_on,
    )
}

/// Finds every face in `file`, whose head is `header`, which passed the limits.
///
/// # Errors
/// Any step's; [`Error::Stopped`] once `go_on` says no.
pub fn detect(
    file: &[u8],
    header: &Header,
    options: &Options,
    detectors: &Detectors,
    go_on: &GoOn,
) -> Result<Found, Error> {
    let mut clock = Clock::start(go_on);
    let picture = header.format.decode(file, header)?;
    let decode = clock.lap()?;
    let faces = faces_in(&picture, &|view| find(view, options, detectors, go_on))?;
    let detect = clock.lap()?;
    Ok(Found {
        size: picture.size(),
        faces,
        timings: Timings {
            decode,
            detect,
            ..Timings::default()
        },
    })
}

fn blur_with_noise(
    file: &[u8],
    header: &Header,
    options: &Options,
    find: &Find,
    noise: &mut Noise,
    go_on: &GoOn,
) -> Result<Blurred, Error> {
    let mut clock = Clock::start(go_on);
    let mut picture = header.format.decode(file, header)?;
    let decode = clock.lap()?;
    let faces = faces_in(&picture, find)?;
    let detect = clock.lap()?;
    picture.clear_hidden_colour();
    for region in regions(&faces, picture.size(), options.margin, header.block()) {
        picture.hide(region, options.effect.effect(), noise)?;
    }
    // Cells with a trace of alpha may have become clear ones.
    picture.clear_hidden_colour();
    let redact = clock.lap()?;
    let file = header.format.encode(&picture, header)?;
    drop(picture);
    header.format.prove(&file)?;
    let encode = clock.lap()?;
    Ok(Blurred {
        file,
        faces,
        path: "pixels",
        timings: Timings {
            decode,
            detect,
            redact,
            encode,
        },
    })
}

type Find<'a> = dyn Fn(&image::RgbImage) -> Result<Vec<Face>, Error> + 'a;

/// The faces in every view of the picture; one seen in several views counts once.
fn faces_in(picture: &crate::codec::Picture, find: &Find) -> Result<Vec<Face>, Error> {
    let mut faces: Vec<Face> = Vec::new();
    for view in picture.views() {
        for face in find(&view)? {
            if !faces.iter().any(|known| known.rect.iou(face.rect) > SAME_FACE) {
                faces.push(face);
            }
        }
    }
    Ok(faces)
}

fn find(view: &image::RgbImage, options: &Options, detectors: &Detectors, go_on: &GoOn) -> Result<Vec<Face>, Error> {
    detectors
        .detect(view, options.detail, options.sensitivity, go_on)
        .map_err(|error| match error {
            DetectError::Cancelled => Error::Stopped,
            other => Error::internal(other),
        })
}

/// Measures the steps, and stops between them when nobody waits any more.
struct Clock<'a> {
    since: Instant,
    go_on: &'a GoOn<'a>,
}

impl<'a> Clock<'a> {
    fn start(go_on: &'a GoOn<'a>) -> Self {
        Self {
            since: Instant::now(),
            go_on,
        }
    }

    fn lap(&mut self) -> Result<Duration, Error> {
        let now = Instant::now();
        let lap = now - std::mem::replace(&mut self.since, now);
        if (self.go_on)() { Ok(lap) } else { Err(Error::Stopped) }
    }
}

/// Two boxes in two views that overlap so much are one face.
const SAME_FACE: f32 = 0.4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

    use super::*;
    use crate::{
        detect::{Detail, Sensitivity},
        geometry::Rect,
        redact::Look,
    };

    #[test]
    fn pictures_whose_faces_have_equal_cell_means_become_the_same_bytes() {
        for file_of in [
            jpeg as fn(&RgbImage) -> Vec<u8>,
            |p| file(p, ImageFormat::Png),
            |p| file(p, ImageFormat::WebP),
        ] {
            for effect in [Look::Smooth, Look::Mosaic, Look::Gaussian, Look::Solid] {
                let [one, other] = [file_of(&picture(false)), file_of(&picture(true))];
                assert_ne!(one, other);
                assert_eq!(hidden(&one, effect), hidden(&other, effect), "{effect}");
            }
        }
    }

    #[test]
    fn work_that_is_no_longer_wanted_stops() {
        let file = file(&picture(false), ImageFormat::Png);
        let header = Header::read(&file).unwrap();
        let result = blur_with_noise(
            &file,
            &header,
            &options(Look::Smooth),
            &one_face,
            &mut operating_system_noise,
            &|| false,
        );
        assert!(matches!(result, Err(Error::Stopped)));
    }

    #[test]
    fn a_picture_without_a_face_keeps_its_pixels() {
        let file = file(&picture(false), ImageFormat::Png);
        let header = Header::read(&file).unwrap();
        let nobody = |_: &RgbImage| Ok(Vec::new());
        let result = blur_with_noise(
            &file,
            &header,
            &options(Look::Smooth),
            &nobody,
            &mut operating_system_noise,
            &|| true,
        );
        assert_eq!(
            image::load_from_memory(&result.unwrap().file).unwrap().to_rgb8(),
            picture(false)
        );
    }

    fn hidden(file: &[u8], effect: Look) -> Vec<u8> {
        let header = Header::read(file).unwrap();
        let mut state = 1u8;
        let mut noise = |bytes: &mut [u8]| {
            for byte in bytes {
                state = state.wrapping_mul(109).wrapping_add(89);
                *byte = state;
            }
            Ok(())
        };
        blur_with_noise(file, &header, &options(effect), &one_face, &mut noise, &|| true)
            .unwrap()
            .file
    }

    /// Cells of 16 × 16 pixels, each of four JPEG blocks with a pattern of its own; `turned` moves the blocks about
    /// inside their cell, which no mean can tell.
    fn picture(turned: bool) -> RgbImage {
        RgbImage::from_fn(192, 192, |x, y| {
            let inside = (32..160).contains(&x) && (32..160).contains(&y);
            let (x, y) = if turned && inside { (x ^ 8, y ^ 8) } else { (x, y) };
            let block = (x / 8 * 7 + y / 8 * 13) % 29;
            let texture = x % 8 * (block % 5) * 4 + y % 8 * (block % 3) * 6;
            Rgb([block * 5 + texture, 255 - block * 6 - texture % 80, texture].map(|level| level as u8))
        })
    }

    fn one_face(_: &RgbImage) -> Result<Vec<Face>, Error> {
        Ok(vec![Face {
            rect: Rect {
                x: 32.0,
                y: 32.0,
                width: 128.0,
                height: 128.0,
            },
            score: 1.0,
        }])
    }

    fn options(effect: Look) -> Options {
        Options {
            detail: Detail::Fast,
            sensitivity: Sensitivity::Normal,
            effect,
            margin: 1.0,
        }
    }

    /// Without chroma subsampling every block decodes by itself.
    fn jpeg(pixels: &RgbImage) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
        encoder.encode(pixels, 192, 192, jpeg_encoder::ColorType::Rgb).unwrap();
        file
    }

    fn file(pixels: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut file = std::io::Cursor::new(Vec::new());
        DynamicImage::from(pixels.clone()).write_to(&mut file, format).unwrap();
        file.into_inner()
    }
}
