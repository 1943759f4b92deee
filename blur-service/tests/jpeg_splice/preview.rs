//! The small picture on the way shows what a full decode shows, made smaller.

use blur_service::jpeg::{Jpeg, Limits, Scale};
use image::{GenericImageView, RgbImage, imageops};

use crate::pictures::{Colour, encoded, recipes};

#[test]
fn every_scale_looks_like_the_whole_picture_made_smaller() {
    for recipe in recipes() {
        let file = encoded(recipe, 131, 75);
        let jpeg = Jpeg::parse(&file, &Limits::default()).unwrap();
        let whole = decoded(&file, recipe.colour == Colour::Grey);
        for scale in [Scale::Eighth, Scale::Quarter, Scale::Half] {
            let preview = jpeg.scan(Some(scale), &|| true).unwrap().preview.unwrap();
            let size = (131u32.div_ceil(scale.divisor()), 75u32.div_ceil(scale.divisor()));
            assert_eq!(preview.dimensions(), size, "{recipe:?} {scale:?}");
            let difference = mean_difference(&preview, &whole, scale.divisor());
            // Chroma of the preview is enlarged without smoothing.
            let limit = if recipe.sampling.iter().any(|factors| *factors != recipe.sampling[0]) {
                16.0
            } else {
                7.0
            };
            assert!(difference < limit, "{recipe:?} {scale:?}: {difference}");
        }
    }
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

/// Between the preview and the means of the squares of pixels it stands for, where those are whole.
fn mean_difference(preview: &RgbImage, whole: &RgbImage, divisor: u32) -> f64 {
    let (mut total, mut count) = (0.0, 0);
    for (x, y, pixel) in preview.enumerate_pixels() {
        if (x + 1) * divisor > whole.width() || (y + 1) * divisor > whole.height() {
            continue;
        }
        let square = imageops::crop_imm(whole, x * divisor, y * divisor, divisor, divisor);
        for channel in 0..3 {
            let sum: u32 = square.pixels().map(|(_, _, pixel)| u32::from(pixel[channel])).sum();
            total += (f64::from(sum) / f64::from(divisor * divisor) - f64::from(pixel[channel])).abs();
            count += 1;
        }
    }
    total / f64::from(count)
}
