//! From the samples of a page to its pixels.

use image::{DynamicImage, ImageBuffer};

use super::{
    super::{Picture, Space, colour},
    directory::Directory,
    layout::{Alpha, Layout, Meaning},
    samples::{Samples, Store},
    unsupported,
};
use crate::{codec::header::broken, error::Error, geometry::Size, jpeg::Channels};

/// The pixels, and what their colours mean.
pub fn picture(samples: Samples, layout: &Layout, page: &Directory) -> Result<Picture, Error> {
    let icc = page.bytes(PROFILE).unwrap_or_default();
    let Samples { store, count, .. } = samples;
    let plain = |store, count| divided(store, count, layout).and_then(|store| pixels(store, count, layout.size));
    match layout.meaning {
        Meaning::Grey { is_white_zero } => {
            let store = if is_white_zero {
                upside_down(store, count)
            } else {
                store
            };
            Picture::new(plain(store, count)?, Space::of(icc, Channels::Grey)?)
        }
        Meaning::Palette => {
            let store = coloured(&store, count, page)?;
            Picture::new(plain(store, count + 2)?, Space::of(icc, Channels::Rgb)?)
        }
        Meaning::Inks => on_paper(store, count, layout.size, icc),
        Meaning::Lab { is_signed } => {
            let store = in_srgb(store, count, is_signed);
            Picture::new(plain(store, count)?, Space::Plain)
        }
        Meaning::YCbCr { .. } if !layout.is_painted() => {
            let store = mixed(store, count, page)?;
            Picture::new(plain(store, count)?, Space::of(icc, Channels::Rgb)?)
        }
        Meaning::Rgb | Meaning::YCbCr { .. } => Picture::new(plain(store, count)?, Space::of(icc, Channels::Rgb)?),
    }
}

fn pixels(store: Store, count: usize, Size { width, height }: Size) -> Result<DynamicImage, Error> {
    use DynamicImage::{
        ImageLuma8, ImageLuma16, ImageLumaA8, ImageLumaA16, ImageRgb8, ImageRgb16, ImageRgba8, ImageRgba16,
    };
    let pixels = match (store, count) {
        (Store::Bytes(samples), 1) => ImageBuffer::from_raw(width, height, samples).map(ImageLuma8),
        (Store::Bytes(samples), 2) => ImageBuffer::from_raw(width, height, samples).map(ImageLumaA8),
        (Store::Bytes(samples), 3) => ImageBuffer::from_raw(width, height, samples).map(ImageRgb8),
        (Store::Bytes(samples), _) => ImageBuffer::from_raw(width, height, samples).map(ImageRgba8),
        (Store::Words(samples), 1) => ImageBuffer::from_raw(width, height, samples).map(ImageLuma16),
        (Store::Words(samples), 2) => ImageBuffer::from_raw(width, height, samples).map(ImageLumaA16),
        (Store::Words(samples), 3) => ImageBuffer::from_raw(width, height, samples).map(ImageRgb16),
        (Store::Words(samples), _) => ImageBuffer::from_raw(width, height, samples).map(ImageRgba16),
    };
    pixels.ok_or_else(|| broken("it has fewer samples than pixels"))
}

fn upside_down(mut store: Store, count: usize) -> Store {
    match &mut store {
        Store::Bytes(samples) => samples.iter_mut().step_by(count).for_each(|level| *level = !*level),
        Store::Words(samples) => samples.iter_mut().step_by(count).for_each(|level| *level = !*level),
    }
    store
}

/// A palette has all its reds first, then its greens and blues, of 16 bits each. Some programs wrote them with 8.
fn coloured(store: &Store, count: usize, page: &Directory) -> Result<Store, Error> {
    let Store::Bytes(places) = store else {
        return Err(unsupported(
            "TIFF with a palette of more than 256 colours is not supported: send it as RGB",
        ));
    };
    let palette = page.values(PALETTE).ok_or_else(|| broken("its palette is missing"))?;
    let colours = palette.count() / 3;
    let word = |index| palette.whole(index).unwrap_or(0);
    let has_bytes = (0..colours * 3).all(|index| word(index) < 256);
    let level = |index| {
        if has_bytes {
            word(index) as u8
        } else {
            (word(index) >> 8) as u8
        }
    };
    let colours: Vec<[u8; 3]> = (0..colours.min(256))
        .map(|index| [0, 1, 2].map(|plane| level(plane * colours + index)))
        .collect();
    let mut samples = Vec::with_capacity(places.len() / count * (count + 2));
    for pixel in places.chunks_exact(count) {
        samples.extend(colours.get(usize::from(pixel[0])).unwrap_or(&[0; 3]));
        samples.extend(&pixel[1..]);
    }
    Ok(Store::Bytes(samples))
}

/// Four inks, or what a JPEG showed of them.
fn on_paper(store: Store, count: usize, Size { width, height }: Size, icc: &[u8]) -> Result<Picture, Error> {
    let inks = match store {
        Store::Bytes(samples) => samples,
        Store::Words(samples) => samples.into_iter().map(|sample| (sample >> 8) as u8).collect(),
    };
    let mut shown = match count {
        3 => inks,
        _ => inks.as_chunks::<4>().0.iter().flat_map(printed).collect(),
    };
    if let Space::Other(profile) = Space::of(icc, Channels::Inks)? {
        colour::print(&mut shown, &profile)?;
    }
    let pixels = ImageBuffer::from_raw(width, height, shown).map(DynamicImage::ImageRgb8);
    Picture::new(
        pixels.ok_or_else(|| broken("it has fewer samples than pixels"))?,
        Space::Plain,
    )
}

/// What viewers show of four inks without a profile.
fn printed([cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let paper = u16::from(u8::MAX - black);
    [cyan, magenta, yellow].map(|ink| ((u16::from(u8::MAX - ink) * paper + 127) / 255) as u8)
}

/// Brightness and two colour differences as red, green and blue (TIFF 6.0, section 21).
fn mixed(store: Store, count: usize, page: &Directory) -> Result<Store, Error> {
    let Store::Bytes(mut samples) = store else {
        return Err(unsupported(
            "TIFF with brightness and colour differences of more than 8 bits is not supported: send it as RGB",
        ));
    };
    let told = |tag, usual: &[f64]| {
        let values = page.values(tag);
        let value = |(index, usual): (usize, &f64)| {
            let told = values.and_then(|values| values.fraction(index));
            told.unwrap_or(*usual) as f32
        };
        usual.iter().enumerate().map(value).collect::<Vec<f32>>()
    };
    let weights = told(WEIGHTS, &[0.299, 0.587, 0.114]);
    let range = told(RANGE, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
    let stretched = |level: u8, index: usize, most: f32| {
        let (zero, full) = (range[2 * index], range[2 * index + 1]);
        (f32::from(level) - zero) * most / (full - zero)
    };
    for pixel in samples.chunks_exact_mut(count) {
        let bright = stretched(pixel[0], 0, 255.0);
        let (blueness, redness) = (stretched(pixel[1], 1, 127.0), stretched(pixel[2], 2, 127.0));
        let red = bright + redness * (2.0 - 2.0 * weights[0]);
        let blue = bright + blueness * (2.0 - 2.0 * weights[2]);
        let green = (bright - weights[0] * red - weights[2] * blue) / weights[1];
        let colours = [red, green, blue].map(|level| level.round().clamp(0.0, 255.0) as u8);
        pixel[..3].copy_from_slice(&colours);
    }
    Ok(Store::Bytes(samples))
}

/// Lightness and two axes of colour, under the light D50, as a screen shows them.
fn in_srgb(mut store: Store, count: usize, is_signed: bool) -> Store {
    match &mut store {
        Store::Bytes(samples) => {
            for pixel in samples.chunks_exact_mut(count) {
                let axis = |level: u8| match is_signed {
                    true => f32::from(level as i8),
                    false => f32::from(level) - 128.0,
                };
                let lab = [f32::from(pixel[0]) / 2.55, axis(pixel[1]), axis(pixel[2])];
                let levels = shown(lab).map(|level| (level * 255.0).round() as u8);
                pixel[..3].copy_from_slice(&levels);
            }
        }
        Store::Words(samples) => {
            for pixel in samples.chunks_exact_mut(count) {
                let axis = |level: u16| match is_signed {
                    true => f32::from(level as i16) / 256.0,
                    false => f32::from(level) / 256.0 - 128.0,
                };
                let lab = [f32::from(pixel[0]) / 655.35, axis(pixel[1]), axis(pixel[2])];
                let levels = shown(lab).map(|level| (level * 65_535.0).round() as u16);
                pixel[..3].copy_from_slice(&levels);
            }
        }
    }
    store
}

/// CIE L*a*b* to sRGB, 0 to 1, by Bradford's adaptation.
fn shown([lightness, a, b]: [f32; 3]) -> [f32; 3] {
    let y = (lightness + 16.0) / 116.0;
    let unbent = |t: f32| {
        if t > 6.0 / 29.0 {
            t * t * t
        } else {
            (t - 4.0 / 29.0) * 3.0 * 36.0 / 841.0
        }
    };
    let (x, y, z) = (
        0.964_22 * unbent(y + a / 500.0),
        unbent(y),
        0.825_21 * unbent(y - b / 200.0),
    );
    let light = [
        3.133_856 * x - 1.616_867 * y - 0.490_615 * z,
        -0.978_768 * x + 1.916_142 * y + 0.033_454 * z,
        0.071_945 * x - 0.228_991 * y + 1.405_243 * z,
    ];
    light.map(|level| match level.clamp(0.0, 1.0) {
        low @ ..0.003_130_8 => low * 12.92,
        level => 1.055 * level.powf(1.0 / 2.4) - 0.055,
    })
}

/// Takes the alpha out of colours that were multiplied with it.
fn divided(mut store: Store, count: usize, layout: &Layout) -> Result<Store, Error> {
    if layout.alpha == Some(Alpha::Multiplied) {
        match &mut store {
            Store::Bytes(samples) => divide(samples, count, u8::MAX.into()),
            Store::Words(samples) => divide(samples, count, u16::MAX.into()),
        }
    }
    Ok(store)
}

fn divide<S: Copy + Into<u32> + TryFrom<u32>>(samples: &mut [S], channels: usize, most: u32) {
    for pixel in samples.chunks_exact_mut(channels) {
        let alpha: u32 = pixel[channels - 1].into();
        for sample in &mut pixel[..channels - 1] {
            let level: u32 = (*sample).into();
            let level = (level * most + alpha / 2).checked_div(alpha).unwrap_or(0).min(most);
            *sample = S::try_from(level).unwrap_or(*sample);
        }
    }
}

const PALETTE: u16 = 320;
const WEIGHTS: u16 = 529;
const RANGE: u16 = 532;
const PROFILE: u16 = 34_675;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_lab_are_those_of_srgb() {
        for (lab, expected) in [
            ([100.0, 0.0, 0.0], [255, 255, 255]),
            ([0.0, 0.0, 0.0], [0, 0, 0]),
            ([54.29, 80.81, 69.89], [255, 0, 0]),
            ([29.57, 68.30, -112.03], [0, 0, 255]),
        ] {
            let levels = shown(lab).map(|level| (level * 255.0).round() as i32);
            let is_near = levels
                .iter()
                .zip(expected)
                .all(|(level, wanted)| (level - wanted).abs() <= 1);
            assert!(is_near, "{lab:?}: {levels:?}");
        }
    }
}
