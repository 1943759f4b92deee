//! Whole pictures through both roads, seen by eyes that see what a test wants.
#![allow(clippy::unwrap_used)]

mod many_answers;
mod marks;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::{
    codec::Wanted,
    detect::{Detail, Sensitivity},
    keep::Fields,
    marks::Marks,
    options::Search,
    redact::{Look, Shape, regions},
};

#[test]
fn pictures_whose_faces_have_equal_cell_means_become_the_same_bytes() {
    /// Makes a file of pixels.
    type Encode = fn(&RgbImage) -> Vec<u8>;
    let cases: [(Encode, &str); 8] = [
        (|p| jpeg(p, false), "splice"),
        (|p| jpeg(p, true), "coefficients"),
        (|p| arithmetic(p, false), "coefficients"),
        (|p| arithmetic(p, true), "coefficients"),
        (twelve_bits, "splice"),
        (|p| file(&p.clone().into(), ImageFormat::Png), "pixels"),
        (|p| file(&deep_with_alpha(p), ImageFormat::Png), "pixels"),
        (|p| file(&p.clone().into(), ImageFormat::WebP), "pixels"),
    ];
    for (file_of, lossless_road) in cases {
        for options in [Look::Smooth, Look::Mosaic, Look::Gaussian, Look::Solid]
            .into_iter()
            .flat_map(|effect| [Profile::Lossless, Profile::Reencode].map(|profile| options(effect, profile)))
            .flat_map(|options| {
                [Shape::Box, Shape::Ellipse].map(|shape| Options {
                    shape,
                    ..options.clone()
                })
            })
        {
            let [one, other] = [file_of(&picture(false)), file_of(&picture(true))];
            assert_ne!(one, other);
            let [one, other] = [hidden(&one, &options), hidden(&other, &options)];
            assert!(one.file == other.file, "{} {options:?}", one.road.name);
            if options.profile == Profile::Lossless {
                assert_eq!(one.road.name, lossless_road);
            }
        }
    }
}

#[test]
fn work_that_is_no_longer_wanted_stops() {
    let file = file(&picture(false).into(), ImageFormat::Png);
    let (header, options) = (Header::read(&file).unwrap(), options(Look::Smooth, Profile::Lossless));
    let task = Task {
        go_on: &|| false,
        ..task(&file, &header, &options)
    };
    assert!(matches!(task.blur(&Noise::repeatable(1)), Err(Error::Stopped)));
}

#[test]
fn a_picture_without_a_face_keeps_its_pixels() {
    let file = file(&picture(false).into(), ImageFormat::Png);
    let (header, options) = (Header::read(&file).unwrap(), options(Look::Smooth, Profile::Lossless));
    let task = Task {
        eyes: &Sees(&[]),
        ..task(&file, &header, &options)
    };
    let result = task.blur(&Noise::repeatable(1));
    assert_eq!(
        image::load_from_memory(&result.unwrap().file).unwrap().to_rgb8(),
        picture(false)
    );
}

#[test]
fn what_the_second_look_brings_to_light_is_hidden_on_every_road() {
    for file in all_formats(&picture(false)) {
        for profile in [Profile::Lossless, Profile::Reencode] {
            let options = Options {
                verify: Some(Verify::Whole),
                ..options(Look::Solid, profile)
            };
            let header = Header::read(&file).unwrap();
            let late = Task {
                eyes: &SeesLate,
                ..task(&file, &header, &options)
            };
            let late = late.blur(&Noise::repeatable(1)).unwrap();
            let outcome = SecondLook {
                looks: 2,
                blanked: 0,
                added: 1,
            };
            assert_eq!((late.second_look, late.faces.len()), (Some(outcome), 1));
            assert_eq!(
                late.file,
                hidden(&file, &options).file,
                "{:?} {profile:?}",
                header.format
            );
        }
    }
}

#[test]
fn a_ghost_in_a_hidden_region_makes_it_solid_on_every_road() {
    for file in all_formats(&picture(false)) {
        for profile in [Profile::Lossless, Profile::Reencode] {
            let options = Options {
                verify: Some(Verify::Whole),
                ..options(Look::Smooth, profile)
            };
            let header = Header::read(&file).unwrap();
            let ghostly = Task {
                eyes: &SeesGhosts,
                ..task(&file, &header, &options)
            };
            let ghostly = ghostly.blur(&Noise::repeatable(1)).unwrap();
            assert_eq!(ghostly.second_look.unwrap().blanked, 1);
            let solid = Options {
                effect: Look::Solid,
                ..options
            };
            assert_eq!(
                ghostly.file,
                hidden(&file, &solid).file,
                "{:?} {profile:?}",
                header.format
            );
        }
    }
}

fn all_formats(pixels: &RgbImage) -> [Vec<u8>; 3] {
    [
        jpeg(pixels, false),
        file(&pixels.clone().into(), ImageFormat::Png),
        file(&pixels.clone().into(), ImageFormat::WebP),
    ]
}

/// Sees the face only when it looks again.
struct SeesLate;

impl Eyes for SeesLate {
    fn enough_px(&self, size: Size) -> u32 {
        ONE_FACE.enough_px(size)
    }

    fn find(&self, _: Photo) -> Result<Vec<Face>, Error> {
        Ok(Vec::new())
    }

    fn find_again(&self, photo: Photo, regions: &[Rect]) -> Result<Vec<Face>, Error> {
        if regions.is_empty() {
            ONE_FACE.find(photo)
        } else {
            Ok(Vec::new())
        }
    }
}

/// Goes on seeing the face that is hidden.
struct SeesGhosts;

impl Eyes for SeesGhosts {
    fn enough_px(&self, size: Size) -> u32 {
        ONE_FACE.enough_px(size)
    }

    fn find(&self, photo: Photo) -> Result<Vec<Face>, Error> {
        ONE_FACE.find(photo)
    }

    fn find_again(&self, photo: Photo, _: &[Rect]) -> Result<Vec<Face>, Error> {
        ONE_FACE.find(photo)
    }
}

fn hidden(file: &[u8], options: &Options) -> Blurred {
    let header = Header::read(file).unwrap();
    task(file, &header, options).blur(&Noise::repeatable(1)).unwrap()
}

fn task<'a>(file: &'a [u8], header: &'a Header, options: &'a Options) -> Task<'a> {
    Task::new(file, header, options, &ONE_FACE, &|| true)
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

/// Sees these boxes the first time, and nothing the second.
struct Sees(&'static [Rect]);

const ONE_FACE: Sees = Sees(&[Rect {
    x: 32.0,
    y: 32.0,
    width: 128.0,
    height: 128.0,
}]);

impl Eyes for Sees {
    fn enough_px(&self, _: Size) -> u32 {
        u32::MAX
    }

    fn find(&self, _: Photo) -> Result<Vec<Face>, Error> {
        Ok(self
            .0
            .iter()
            .map(|rect| Face {
                rect: *rect,
                score: 1.0,
            })
            .collect())
    }

    fn find_again(&self, _: Photo, _: &[Rect]) -> Result<Vec<Face>, Error> {
        Ok(Vec::new())
    }
}

fn options(effect: Look, profile: Profile) -> Options {
    Options {
        animation_effect: Look::Solid,
        format: Wanted::Keep,
        quality: None,
        detect: Search::On,
        detail: Detail::Fast,
        sensitivity: Sensitivity::Normal,
        effect,
        shape: Shape::Box,
        profile,
        margin: 1.0,
        verify: None,
        marks: Marks::NONE,
        keep: Fields::NONE,
        report: false,
    }
}

/// Without chroma subsampling every block decodes by itself.
fn jpeg(pixels: &RgbImage, is_progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
    encoder.set_progressive(is_progressive);
    encoder.encode(pixels, 192, 192, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}

fn arithmetic(pixels: &RgbImage, is_progressive: bool) -> Vec<u8> {
    let options = libjpeg_turbo_rs::TransformOptions {
        arithmetic: true,
        progressive: is_progressive,
        ..Default::default()
    };
    libjpeg_turbo_rs::transform_jpeg_with_options(&jpeg(pixels, false), &options).unwrap()
}

fn twelve_bits(pixels: &RgbImage) -> Vec<u8> {
    let samples: Vec<i16> = pixels.iter().map(|sample| i16::from(*sample) * 16).collect();
    libjpeg_turbo_rs::compress_12bit(&samples, 192, 192, 3, 90, libjpeg_turbo_rs::Subsampling::S444).unwrap()
}

/// Sixteen bits, and an alpha that is a channel like the others.
fn deep_with_alpha(pixels: &RgbImage) -> DynamicImage {
    let with_alpha = RgbaImage::from_fn(192, 192, |x, y| {
        let [red, green, blue] = pixels.get_pixel(x, y).0;
        Rgba([red, green, blue, 128 + red / 2])
    });
    DynamicImage::from(with_alpha).into_rgba16().into()
}

fn file(pixels: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, format).unwrap();
    file.into_inner()
}
