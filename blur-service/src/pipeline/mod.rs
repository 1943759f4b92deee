//! The life of a picture, step by step: the only place that names their order. Two roads lead through it.
//!
//! `pixels`: decode → upright → detect → pad, round outward, merge → redact → encode → prove.
//! `splice`, for most JPEGs: read through → detect on a small upright view → pad, merge → cells → splice → prove.

mod pixels;
mod splice;

use std::time::{Duration, Instant};

use image::RgbImage;

use crate::{
    codec::{Format, Header},
    detect::{DetectError, Detectors, Face},
    error::Error,
    geometry::Size,
    options::{Options, Profile},
    redact::{Noise, operating_system_noise},
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
    Task {
        file,
        header,
        options,
        find: &|view| find(view, options, detectors, go_on),
        enough_px: detectors.long_side(options.detail, header.upright_size()),
        go_on,
    }
    .blur(&mut operating_system_noise)
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
    Task {
        file,
        header,
        options,
        find: &|view| find(view, options, detectors, go_on),
        enough_px: detectors.long_side(options.detail, header.upright_size()),
        go_on,
    }
    .detect()
}

/// One picture and what is wanted of it.
struct Task<'a> {
    file: &'a [u8],
    header: &'a Header,
    options: &'a Options,
    find: &'a Find<'a>,
    /// Long side of a view that `find` sees all in that it can.
    enough_px: u32,
    go_on: &'a GoOn<'a>,
}

type Find<'a> = dyn Fn(&RgbImage) -> Result<Vec<Face>, Error> + 'a;

impl Task<'_> {
    fn blur(&self, noise: &mut Noise) -> Result<Blurred, Error> {
        if self.header.format == Format::Jpeg && self.options.profile == Profile::Lossless {
            match splice::blur(self, noise) {
                Ok(blurred) => return Ok(blurred),
                Err(splice::Leave::Failed(error)) => return Err(error),
                Err(splice::Leave::ForPixels) => {}
            }
        }
        pixels::blur(self, noise)
    }

    fn detect(&self) -> Result<Found, Error> {
        if self.header.format == Format::Jpeg {
            match splice::detect(self) {
                Ok(found) => return Ok(found),
                Err(splice::Leave::Failed(error)) => return Err(error),
                Err(splice::Leave::ForPixels) => {}
            }
        }
        pixels::detect(self)
    }
}

fn find(view: &RgbImage, options: &Options, detectors: &Detectors, go_on: &GoOn) -> Result<Vec<Face>, Error> {
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
            for options in [Look::Smooth, Look::Mosaic, Look::Gaussian, Look::Solid]
                .into_iter()
                .flat_map(|effect| [Profile::Lossless, Profile::Reencode].map(|profile| options(effect, profile)))
            {
                let [one, other] = [file_of(&picture(false)), file_of(&picture(true))];
                assert_ne!(one, other);
                assert_eq!(hidden(&one, &options), hidden(&other, &options), "{options:?}");
            }
        }
    }

    #[test]
    fn work_that_is_no_longer_wanted_stops() {
        let file = file(&picture(false), ImageFormat::Png);
        let (header, options) = (Header::read(&file).unwrap(), options(Look::Smooth, Profile::Lossless));
        let task = Task {
            go_on: &|| false,
            ..task(&file, &header, &options)
        };
        assert!(matches!(task.blur(&mut operating_system_noise), Err(Error::Stopped)));
    }

    #[test]
    fn a_picture_without_a_face_keeps_its_pixels() {
        let file = file(&picture(false), ImageFormat::Png);
        let (header, options) = (Header::read(&file).unwrap(), options(Look::Smooth, Profile::Lossless));
        let task = Task {
            find: &|_| Ok(Vec::new()),
            ..task(&file, &header, &options)
        };
        let result = task.blur(&mut operating_system_noise);
        assert_eq!(
            image::load_from_memory(&result.unwrap().file).unwrap().to_rgb8(),
            picture(false)
        );
    }

    fn hidden(file: &[u8], options: &Options) -> Vec<u8> {
        let header = Header::read(file).unwrap();
        let mut state = 1u8;
        let mut noise = |bytes: &mut [u8]| {
            for byte in bytes {
                state = state.wrapping_mul(109).wrapping_add(89);
                *byte = state;
            }
            Ok(())
        };
        task(file, &header, options).blur(&mut noise).unwrap().file
    }

    fn task<'a>(file: &'a [u8], header: &'a Header, options: &'a Options) -> Task<'a> {
        Task {
            file,
            header,
            options,
            find: &one_face,
            enough_px: u32::MAX,
            go_on: &|| true,
        }
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

    fn options(effect: Look, profile: Profile) -> Options {
        Options {
            detail: Detail::Fast,
            sensitivity: Sensitivity::Normal,
            effect,
            profile,
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
