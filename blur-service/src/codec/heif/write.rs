//! AVIF out, by `rav1e` without assembler: 8 bits, full range, colour as fine as brightness, alpha as a picture of its own.
//! Its boxes are made here and always the same, so that the proof is to make them once more.

use crate::{
    codec::{Items, Picture, Profile},
    error::Error,
    geometry::Size,
};
use hevc_still::boxes::{BOX_HEAD, boxed, full};
use image::DynamicImage;

/// At a quality from 1 to 100.
///
/// # Errors
/// [`Error::Internal`].
pub(in super::super) fn encode(picture: &Picture, quality: u8) -> Result<Vec<u8>, Error> {
    let size = picture.size();
    let quantiser = quantiser(quality);
    let colours = match picture.pixels.color().has_color() {
        true => coded(size, &planes(&picture.pixels), quantiser)?,
        false => coded(size, &[picture.pixels.to_luma8().into_raw()], quantiser)?,
    };
    let alpha = picture.pixels.color().has_alpha().then(|| alpha(&picture.pixels));
    let alpha = alpha.map(|levels| coded(size, &[levels], FINEST)).transpose()?;
    let content = Content {
        size,
        has_colour: picture.pixels.color().has_color(),
        profile: picture.profile,
        colours: &colours,
        alpha: alpha.as_deref(),
    };
    content.file()
}

/// Nothing but the boxes that are made here, and nothing but pictures in the coded data.
pub(in super::super) fn prove(written: &[u8]) -> Option<()> {
    let items = Items::of(written)?;
    let has_alpha = items.kind(ALPHA_ITEM).is_some();
    let colours = items.data(COLOUR_ITEM)?;
    let alpha = if has_alpha { Some(items.data(ALPHA_ITEM)?) } else { None };
    let profile = items
        .properties(COLOUR_ITEM, b"colr")
        .find_map(|told| told.strip_prefix(b"prof"));
    let content = Content {
        size: super::size(&items, COLOUR_ITEM).ok()?,
        has_colour: items.properties(COLOUR_ITEM, b"pixi").next()?.get(4) == Some(&3),
        profile: match profile {
            Some(icc) => Some(Profile::of_ours(icc)?),
            None => None,
        },
        colours: &colours,
        alpha: alpha.as_deref(),
    };
    let are_pictures = [Some(&*colours), alpha.as_deref()]
        .into_iter()
        .flatten()
        .all(|data| units(data).is_some_and(|kinds| kinds.iter().all(|kind| PICTURE_UNITS.contains(kind))));
    (are_pictures && content.file().ok()? == written).then_some(())
}

/// What a file is made of.
struct Content<'a> {
    size: Size,
    has_colour: bool,
    profile: Option<Profile>,
    colours: &'a [u8],
    alpha: Option<&'a [u8]>,
}

impl Content<'_> {
    fn file(&self) -> Result<Vec<u8>, Error> {
        let kind = boxed(b"ftyp", &[b"avif\0\0\0\0avifmif1miaf"]);
        let data = boxed(b"mdat", &[self.colours, self.alpha.unwrap_or_default()]);
        // As long wherever the data lie.
        let meta = self.meta(0)?;
        let data_at = kind.len() + meta.len() + BOX_HEAD;
        Ok([kind, self.meta(data_at)?, data].concat())
    }

    fn meta(&self, data_at: usize) -> Result<Vec<u8>, Error> {
        let number = |number: usize| u32::try_from(number).map(u32::to_be_bytes).map_err(Error::internal);
        let items: Vec<(u8, &[u8])> = [(COLOUR_ITEM, Some(self.colours)), (ALPHA_ITEM, self.alpha)]
            .into_iter()
            .filter_map(|(item, data)| Some((item as u8, data?)))
            .collect();
        let count = items.len() as u8;
        let (mut places, mut kinds, mut at) = (Vec::new(), Vec::new(), data_at);
        for (item, data) in items {
            places.extend([0, item, 0, 0, 0, 1]);
            places.extend([number(at)?, number(data.len())?].concat());
            kinds.extend(full(b"infe", 2, &[&[0, item, 0, 0], b"av01\0"]));
            at += data.len();
        }
        let reference = boxed(b"auxl", &[&[0, ALPHA_ITEM as u8, 0, 1, 0, COLOUR_ITEM as u8]]);
        Ok(full(
            b"meta",
            0,
            &[
                &full(b"hdlr", 0, &[&[0; 4], b"pict", &[0; 13]]),
                &full(b"pitm", 0, &[&[0, COLOUR_ITEM as u8]]),
                &full(b"iloc", 0, &[&[0x44, 0, 0, count], &places]),
                &full(b"iinf", 0, &[&[0, count], &kinds]),
                &self.alpha.map_or(Vec::new(), |_| full(b"iref", 0, &[&reference])),
                &self.properties(),
            ],
        ))
    }

    fn properties(&self) -> Vec<u8> {
        let (channels, profile): (&[u8], u8) = if self.has_colour {
            (&[3, 8, 8, 8], 1)
        } else {
            (&[1, 8], 0)
        };
        let mut all = vec![
            full(
                b"ispe",
                0,
                &[&self.size.width.to_be_bytes(), &self.size.height.to_be_bytes()],
            ),
            boxed(b"av1C", &[&av1_configuration(profile, !self.has_colour)]),
            full(b"pixi", 0, &[channels]),
            boxed(b"colr", &[b"nclx", &self.numbers()]),
        ];
        all.extend(self.profile.map(|profile| boxed(b"colr", &[b"prof", profile.file()])));
        let of_colours = all.len() as u8;
        // Which are needed to show the picture says the highest bit.
        let mut belong = vec![0, COLOUR_ITEM as u8, of_colours];
        belong.extend((1..=of_colours).map(|number| if number == 2 { NEEDED | number } else { number }));
        if self.alpha.is_some() {
            all.push(boxed(b"av1C", &[&av1_configuration(0, true)]));
            all.push(full(b"pixi", 0, &[&[1, 8]]));
            all.push(full(b"auxC", 0, &[super::ALPHA[0], &[0]]));
            belong.extend([
                0,
                ALPHA_ITEM as u8,
                4,
                1,
                NEEDED | (of_colours + 1),
                of_colours + 2,
                of_colours + 3,
            ]);
        }
        let count = 1 + u8::from(self.alpha.is_some());
        let properties = boxed(b"ipco", &[&all.concat()]);
        boxed(
            b"iprp",
            &[&properties, &full(b"ipma", 0, &[&[0, 0, 0, count], &belong])],
        )
    }

    /// sRGB, or what the profile says, in BT.601's planes of the full range.
    fn numbers(&self) -> [u8; 7] {
        match self.profile {
            None => [0, 1, 0, 13, 0, 6, 0x80],
            Some(_) => [0, 2, 0, 2, 0, 6, 0x80],
        }
    }
}

/// Of 8 bits, on no level that is told (AV1 in ISOBMFF, 2.3).
fn av1_configuration(profile: u8, is_grey: bool) -> [u8; 4] {
    let sampling = if is_grey { 0b0001_1100 } else { 0 };
    [0x81, profile << 5 | 31, sampling, 0]
}

/// One plane, or three as large.
fn coded(size: Size, planes: &[Vec<u8>], quantiser: u8) -> Result<Vec<u8>, Error> {
    let sides = (size.width as usize, size.height as usize);
    av1_still::encode(sides, planes, quantiser).map_err(Error::internal)
}

/// Brightness and how much bluer and redder it is, by BT.601 in the full range.
fn planes(pixels: &DynamicImage) -> [Vec<u8>; 3] {
    let pixels = pixels.to_rgb8();
    let plane = |[red, green, blue]: [f32; 3], ground: f32| {
        let level = |pixel: &image::Rgb<u8>| {
            let [r, g, b] = pixel.0.map(f32::from);
            (red * r + green * g + blue * b + ground).round() as u8
        };
        pixels.pixels().map(level).collect()
    };
    [
        plane([0.299, 0.587, 0.114], 0.0),
        plane([-0.168_736, -0.331_264, 0.5], 128.0),
        plane([0.5, -0.418_688, -0.081_312], 128.0),
    ]
}

fn alpha(pixels: &DynamicImage) -> Vec<u8> {
    pixels.to_rgba8().pixels().map(|pixel| pixel[3]).collect()
}

/// AV1's step for a quality, so that it looks about as in a JPEG of that quality.
fn quantiser(quality: u8) -> u8 {
    ((100 - quality.min(100)) * 2).max(FINEST)
}

/// The kinds of the units in coded data, each of which says how long it is (AV1, 5.3).
fn units(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut kinds = Vec::new();
    while let [head, rest @ ..] = data {
        kinds.push(head >> 3 & 15);
        // Neither an extension nor a unit up to the end of the data is written here.
        (head & 0b110 == 0b010).then_some(())?;
        let (mut length, mut bytes) = (0_usize, 0);
        loop {
            let byte = rest.get(bytes)?;
            length |= usize::from(byte & 0x7f) << (7 * bytes);
            bytes += 1;
            match byte & 0x80 {
                0 => break,
                _ if bytes == 4 => return None,
                _ => {}
            }
        }
        data = rest.get(bytes..)?.get(length..)?;
    }
    Some(kinds)
}

const COLOUR_ITEM: u32 = 1;
const ALPHA_ITEM: u32 = 2;
const NEEDED: u8 = 0x80;
/// Of what is shown through.
const FINEST: u8 = 4;
/// A sequence's head, the mark between pictures, a picture.
const PICTURE_UNITS: [u8; 3] = [1, 2, 6];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{Rgba, RgbaImage};

    use super::*;
    use crate::codec::{Format, Header};

    #[test]
    fn what_is_written_reads_back_in_every_kind_of_pixels_and_any_size() {
        for (width, height) in [(1, 1), (2, 9), (17, 16), (64, 33), (130, 70)] {
            let pixels = DynamicImage::from(slope(width, height));
            for pixels in [
                pixels.to_luma8().into(),
                pixels.to_luma_alpha8().into(),
                pixels.to_rgb8().into(),
                pixels.to_rgba16().into(),
                pixels,
            ] {
                let picture = Picture { pixels, profile: None };
                let written = encode(&picture, 97).unwrap();
                assert!(prove(&written).is_some());
                let read = read(&written);
                let kind = picture.pixels.color();
                assert_eq!(read.pixels.color().has_alpha(), kind.has_alpha());
                let (shown, meant) = (read.pixels.to_rgba8(), picture.pixels.to_rgba8());
                let far = |(one, other): (&u8, &u8)| one.abs_diff(*other);
                let furthest = shown.iter().zip(meant.iter()).map(far).max().unwrap();
                assert!(furthest <= 12, "{width} x {height}, {kind:?}: {furthest}");
            }
        }
    }

    #[test]
    fn a_profile_is_written_and_read_as_the_same_one() {
        for profile in [
            Profile::DisplayP3,
            Profile::AdobeRgb,
            Profile::ProPhoto,
            Profile::Bt2020,
        ] {
            let pixels = slope(40, 24).into();
            let picture = Picture {
                pixels,
                profile: Some(profile),
            };
            let written = encode(&picture, 80).unwrap();
            assert!(prove(&written).is_some());
            assert_eq!(read(&written).profile, Some(profile));
        }
    }

    #[test]
    fn whatever_is_added_is_noticed() {
        let picture = Picture {
            pixels: slope(40, 24).into(),
            profile: None,
        };
        let written = encode(&picture, 80).unwrap();
        for at in 0..=written.len() {
            let more = boxed(b"free", &[b"where"]);
            let changed = [&written[..at], &more, &written[at..]].concat();
            assert!(prove(&changed).is_none(), "at {at}");
        }
        let items = Items::of(&written).unwrap();
        let alpha = items.data(ALPHA_ITEM);
        // A unit of metadata behind the picture, in boxes that are as they would be with it.
        let colours = [&items.data(COLOUR_ITEM).unwrap()[..], &[5 << 3 | 2, 3, 1, 2, 3]].concat();
        let content = Content {
            size: picture.size(),
            has_colour: true,
            profile: None,
            colours: &colours,
            alpha: alpha.as_deref(),
        };
        assert!(prove(&content.file().unwrap()).is_none());
    }

    fn read(written: &[u8]) -> Picture {
        let header = Header::read(written).unwrap();
        Format::Avif.decode(written, &header, &|| true).unwrap()
    }

    fn slope(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            Rgba([x * 255 / width, y * 255 / height, 90, 255 - x * 100 / width].map(|level| level as u8))
        })
    }
}
