//! The small picture on the way shows what a full decode shows, made smaller.

use blur_service::{
    jpeg::{Jpeg, Limits, Metadata, Scale},
    redact::{Look, Noise, Region},
};
use image::{GenericImageView, RgbImage, imageops};

use crate::pictures::{Colour, Recipe, SIZES, encoded, recipes};

#[test]
fn every_scale_looks_like_the_whole_picture_made_smaller() {
    for recipe in recipes() {
        let file = encoded(recipe, 131, 75);
        let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
        let whole = decoded(&file, recipe.colour == Colour::Grey);
        for scale in Scale::ALL {
            let preview = jpeg.scan(Some(scale), &|| true).unwrap().preview.unwrap();
            let size = (scale.of(131), scale.of(75));
            assert_eq!(preview.dimensions(), size, "{recipe:?} {scale:?}");
            let difference = mean_difference(&preview, &whole, scale.eighths());
            // Chroma of a small preview is enlarged without smoothing.
            let limit = if is_subsampled(recipe) { 16.0 } else { 7.0 };
            assert!(difference < limit, "{recipe:?} {scale:?}: {difference}");
        }
    }
}

#[test]
fn all_pixels_are_those_of_libjpeg() {
    for recipe in recipes() {
        for (width, height) in SIZES {
            let file = encoded(recipe, width, height);
            let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
            let pixels = jpeg.pixels(&|| true).unwrap();
            let theirs = libjpeg_turbo_rs::decompress(&file).unwrap();
            // Of inks they give four.
            if recipe.colour == Colour::Cmyk || recipe.colour == Colour::Ycck {
                continue;
            }
            assert_eq!(pixels.samples.len(), theirs.data.len());
            let both = pixels.samples.iter().zip(&theirs.data);
            let most = both.map(|(one, other)| one.abs_diff(*other)).max().unwrap();
            // Their transform is of whole numbers.
            assert!(most <= 4, "{recipe:?} {width} × {height}: {most}");
        }
    }
}

#[test]
fn a_repainted_preview_is_that_of_the_file_to_be_written() {
    let regions = [(20, 10, 50, 40), (100, 50, 31, 25)].map(|(x, y, width, height)| Region { x, y, width, height });
    let (effect, metadata, go_on) = (Look::Smooth.effect(), Metadata::default(), || true);
    for recipe in recipes() {
        let file = encoded(recipe, 131, 75);
        let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
        for scale in Scale::ALL {
            let mut scan = jpeg.scan(Some(scale), &go_on).unwrap();
            let mut preview = scan.preview.take().unwrap();
            let mut plan = scan
                .plan(&jpeg, &regions.map(Into::into), &Noise::repeatable(1), &go_on)
                .unwrap();
            for is_blank in [false, true] {
                if is_blank {
                    assert_eq!(plan.blank(&jpeg, regions[1].rect()), 1);
                    assert_eq!(plan.blank(&jpeg, regions[1].rect()), 0);
                }
                scan.repaint(&jpeg, &plan, effect, scale, &mut preview);
                let output = scan.write(&jpeg, &plan, effect, &metadata, &go_on).unwrap();
                let written = Jpeg::parse(&output, &Limits::default()).unwrap();
                let expected = written.scan(Some(scale), &go_on).unwrap().preview.unwrap();
                let difference = mean_difference(&preview, &expected, 8);
                // What stands around a place is not smoothed into it.
                let limit = if is_subsampled(recipe) && is_smooth(recipe, scale) {
                    2.0
                } else {
                    0.0
                };
                assert!(
                    difference <= limit,
                    "{recipe:?} {scale:?}, blank: {is_blank}: {difference}"
                );
            }
        }
    }
}

fn is_smooth(recipe: Recipe, scale: Scale) -> bool {
    scale == Scale::Full || matches!(recipe.colour, Colour::Cmyk | Colour::Ycck)
}

fn is_subsampled(recipe: Recipe) -> bool {
    recipe.sampling.iter().any(|factors| *factors != recipe.sampling[0])
}

fn decoded(file: &[u8], is_grey: bool) -> RgbImage {
    use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    let pixels = decoder.decode().unwrap();
    let pixels = if is_grey && pixels.len() == 131 * 75 {
        pixels.iter().flat_map(|v| [*v; 3]).collect()
    } else {
        pixels
    };
    RgbImage::from_raw(131, 75, pixels).unwrap()
}

/// Between the preview and the means of the squares of pixels it stands for, where those are whole. A pixel of three
/// or five eighths stands for parts of pixels: there squares of so many are compared with squares of eight.
fn mean_difference(preview: &RgbImage, whole: &RgbImage, eighths: u32) -> f64 {
    let (own, stands_for) = if eighths % 2 == 1 && eighths > 1 {
        (eighths, 8)
    } else {
        (1, 8 / eighths)
    };
    let (mut total, mut count) = (0.0, 0);
    for (x, y) in (0..whole.height() / stands_for).flat_map(|y| (0..whole.width() / stands_for).map(move |x| (x, y))) {
        let small = mean(preview, x * own, y * own, own);
        let large = mean(whole, x * stands_for, y * stands_for, stands_for);
        total += small.iter().zip(large).map(|(a, b)| (a - b).abs()).sum::<f64>();
        count += 3;
    }
    total / f64::from(count)
}

/// Of each channel in a square of pixels.
fn mean(picture: &RgbImage, x: u32, y: u32, side: u32) -> [f64; 3] {
    let square = imageops::crop_imm(picture, x, y, side, side);
    [0, 1, 2].map(|channel| {
        let sum: u32 = square.pixels().map(|(_, _, pixel)| u32::from(pixel[channel])).sum();
        f64::from(sum) / f64::from(side * side)
    })
}
