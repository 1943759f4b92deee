//! How a part of a picture is shown to a network: turned, as its negative, softened; and the way back.

use std::{borrow::Cow, collections::VecDeque, f32::consts::SQRT_2, iter};

use image::{Rgb, RgbImage, imageops};

use crate::geometry::{Rect, Size};

/// Turned clockwise by so much; or, for what was scanned from film, as its negative; or without its finest details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pose {
    #[default]
    Upright,
    Eighth,
    Quarter,
    ThreeEighths,
    Half,
    FiveEighths,
    ThreeQuarters,
    SevenEighths,
    Negative,
    /// What lies before a face, such as a net, fades more than the face does.
    Softened,
    /// Dots of a printed picture become its tones. Only where there are such dots.
    Descreened,
}

impl Pose {
    pub fn of(self, upright: Cow<'_, RgbImage>) -> Cow<'_, RgbImage> {
        match self {
            Self::Upright => upright,
            Self::Eighth => Cow::Owned(slanted(&upright)),
            Self::Quarter => Cow::Owned(imageops::rotate90(&*upright)),
            Self::ThreeEighths => Cow::Owned(imageops::rotate90(&slanted(&upright))),
            Self::Half => Cow::Owned(imageops::rotate180(&*upright)),
            Self::FiveEighths => Cow::Owned(imageops::rotate180(&slanted(&upright))),
            Self::ThreeQuarters => Cow::Owned(imageops::rotate270(&*upright)),
            Self::SevenEighths => Cow::Owned(imageops::rotate270(&slanted(&upright))),
            Self::Negative => Cow::Owned(negative(upright.into_owned())),
            Self::Softened => Cow::Owned(soften(upright.into_owned(), SOFTENED)),
            Self::Descreened => Cow::Owned(soften(upright.into_owned(), DESCREENED)),
        }
    }

    /// From pixels of what is shown to those of a picture of this size, upright.
    pub fn to_upright(self, shown: Rect, size: Size) -> Rect {
        let (width, height) = (size.width as f32, size.height as f32);
        let slanted = |quarters: Self| straightened(quarters.to_upright(shown, slanted_size(size)), size);
        match self {
            Self::Upright | Self::Negative | Self::Softened | Self::Descreened => shown,
            Self::Quarter => Rect::new(shown.y, height - shown.right(), shown.height, shown.width),
            Self::Half => Rect::new(
                width - shown.right(),
                height - shown.bottom(),
                shown.width,
                shown.height,
            ),
            Self::ThreeQuarters => Rect::new(width - shown.bottom(), shown.x, shown.height, shown.width),
            Self::Eighth => slanted(Self::Upright),
            Self::ThreeEighths => slanted(Self::Quarter),
            Self::FiveEighths => slanted(Self::Half),
            Self::SevenEighths => slanted(Self::ThreeQuarters),
        }
    }
}

fn negative(mut picture: RgbImage) -> RgbImage {
    picture.iter_mut().for_each(|sample| *sample = 255 - *sample);
    picture
}

/// The square in which a picture of this size is seen whole, turned by an eighth.
fn slanted_size(size: Size) -> Size {
    let side = ((size.width + size.height) as f32 / SQRT_2).ceil() as u32;
    Size::new(side, side)
}

/// Turned by an eighth, upon black.
fn slanted(upright: &RgbImage) -> RgbImage {
    let size = Size::new(upright.width(), upright.height());
    let (middle, side) = (slanted_size(size).width as f32 / 2.0, slanted_size(size).width);
    // Between the middles of pixels.
    let (left, top) = (size.width as f32 / 2.0 - 0.5, size.height as f32 / 2.0 - 0.5);
    RgbImage::from_fn(side, side, |x, y| {
        let (right, down) = (x as f32 + 0.5 - middle, y as f32 + 0.5 - middle);
        between(upright, left + (right + down) / SQRT_2, top + (down - right) / SQRT_2)
    })
}

/// What a picture has at this place, mixed of the four pixels about it; black beside it.
fn between(picture: &RgbImage, x: f32, y: f32) -> Rgb<u8> {
    let (column, row) = (x.floor(), y.floor());
    let inside = column >= 0.0 && row >= 0.0;
    if !inside || column as u32 + 1 >= picture.width() || row as u32 + 1 >= picture.height() {
        return Rgb([0; 3]);
    }
    let (right, down) = (((x - column) * 256.0) as u32, ((y - row) * 256.0) as u32);
    let (samples, width) = (picture.as_raw(), picture.width() as usize);
    let first = 3 * (row as usize * width + column as usize);
    let (above, below) = (&samples[first..][..6], &samples[first + 3 * width..][..6]);
    Rgb([0, 1, 2].map(|channel| {
        let mixed = |pixels: &[u8]| u32::from(pixels[channel]) * (256 - right) + u32::from(pixels[channel + 3]) * right;
        ((mixed(above) * (256 - down) + mixed(below) * down) >> 16) as u8
    }))
}

/// About the face in a box of what is shown slanted. A face is round: in the corners of its box, which is turned, there is
/// nothing of it.
fn straightened(slanted: Rect, size: Size) -> Rect {
    let middle = slanted_size(size).width as f32 / 2.0;
    let (x, y) = slanted.centre();
    let (right, down) = (x - middle, y - middle);
    let side = (slanted.width + slanted.height) / SQRT_2 * ROUND;
    Rect::centred(
        size.width as f32 / 2.0 + (right + down) / SQRT_2,
        size.height as f32 / 2.0 + (down - right) / SQRT_2,
        side,
        side,
    )
}

/// Mixed as by a Gaussian of this variance, in pixels; in place, since pictures are large.
fn soften(mut picture: RgbImage, variance: usize) -> RgbImage {
    let row = 3 * picture.width() as usize;
    for _ in 0..variance {
        for target in picture.chunks_exact_mut(row.max(1)) {
            let ends = [&target[..3], &target[row - 3..]].map(|pixel| pixel.repeat(2));
            let line = [&ends[0], &*target, &ends[1]].concat();
            mix(target, [0, 3, 6, 9, 12].map(|start| &line[start..]));
        }
        mix_rows(&mut picture, row);
    }
    picture
}

/// Each row with the two above and below it.
fn mix_rows(samples: &mut [u8], row: usize) {
    let count = samples.len() / row.max(1);
    let last = count.saturating_sub(1);
    // As they were before they were mixed.
    let mut above: VecDeque<Vec<u8>> = iter::repeat_n(samples[..row.min(samples.len())].to_vec(), 2).collect();
    for index in 0..count {
        let (before, rest) = samples.split_at_mut((index + 1) * row);
        let target = &mut before[index * row..];
        let own = target.to_vec();
        let below = [1, 2].map(|step| match (index + step).min(last) - index {
            0 => &own[..],
            down => &rest[(down - 1) * row..][..row],
        });
        mix(target, [&above[0], &above[1], &own, below[0], below[1]]);
        above.pop_front();
        above.push_back(own);
    }
}

/// The binomial of variance 1.
fn mix(target: &mut [u8], lines: [&[u8]; 5]) {
    let [a, b, c, d, e] = lines.map(|line| &line[..target.len()]);
    for (index, sample) in target.iter_mut().enumerate() {
        let [a, b, c, d, e] = [a, b, c, d, e].map(|line| u16::from(line[index]));
        *sample = ((a + e + 4 * (b + d) + 6 * c + 8) / 16) as u8;
    }
}

/// Variances in pixels of what is shown.
const SOFTENED: usize = 4;
const DESCREENED: usize = 2;
/// Side of the box about a face in a turned box, beside that of the box about the turned box.
const ROUND: f32 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_finds_its_way_back() {
        // A white field in black, not in the middle.
        let field = Rect::new(140.0, 70.0, 24.0, 24.0);
        let size = Size::new(300, 200);
        let picture = RgbImage::from_fn(size.width, size.height, |x, y| {
            let inside = field.covers(Rect::new(x as f32, y as f32, 1.0, 1.0)) > 0.0;
            Rgb([if inside { 255 } else { 0 }; 3])
        });
        for pose in [Pose::Eighth, Pose::ThreeEighths, Pose::FiveEighths, Pose::SevenEighths] {
            let shown = pose.of(Cow::Borrowed(&picture));
            // The field stands on its corner.
            let diagonal = bounds(&shown);
            assert!((diagonal.width - 24.0 * SQRT_2).abs() < 3.0, "{pose:?}: {diagonal:?}");
            let (x, y) = diagonal.centre();
            let back = pose.to_upright(Rect::centred(x, y, 24.0, 24.0), size);
            let (x, y) = back.centre();
            assert!((x - 152.0).abs() < 1.0 && (y - 82.0).abs() < 1.0, "{pose:?}: {back:?}");
            assert!(
                back.covers(field) > 0.999 && back.width < 24.0 * SQRT_2,
                "{pose:?}: {back:?}"
            );
        }
    }

    #[test]
    fn turns_by_eighths_are_as_many_steps_of_one_circle() {
        let size = Size::new(200, 200);
        let picture = RgbImage::from_fn(200, 200, |x, y| {
            Rgb([if x.abs_diff(100) < 10 && y.abs_diff(30) < 10 {
                255
            } else {
                0
            }; 3])
        });
        let turns = [
            (Pose::Eighth, (1.0, -1.0)),
            (Pose::ThreeEighths, (1.0, 1.0)),
            (Pose::FiveEighths, (-1.0, 1.0)),
            (Pose::SevenEighths, (-1.0, -1.0)),
        ];
        // What is above the middle goes clockwise about it.
        for (pose, (right, down)) in turns {
            let (x, y) = bounds(&pose.of(Cow::Borrowed(&picture))).centre();
            let middle = slanted_size(size).width as f32 / 2.0;
            let off = 70.0 / SQRT_2;
            assert!(
                (x - middle - right * off).abs() < 2.0 && (y - middle - down * off).abs() < 2.0,
                "{pose:?} {x} {y}"
            );
        }
    }

    #[test]
    fn softening_leaves_light_where_it_is() {
        let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([if (x / 2 + y / 2) % 2 == 0 { 0 } else { 200 }; 3]));
        for (pose, deviation) in [(Pose::Softened, 2.0), (Pose::Descreened, SQRT_2)] {
            let mut point = RgbImage::new(41, 31);
            point.put_pixel(20, 15, Rgb([255; 3]));
            let lit = pose.of(Cow::Borrowed(&point));
            let along: Vec<f32> = (0..41).map(|x| f32::from(lit.get_pixel(x, 15).0[0])).collect();
            let sums = along.iter().zip(-20i16..).fold((0.0, 0.0), |(all, far), (light, x)| {
                (all + light, far + light * f32::from(x * x))
            });
            assert!(
                ((sums.1 / sums.0).sqrt() - deviation).abs() < 0.3,
                "{pose:?}: {along:?}"
            );
            let shown = pose.of(Cow::Borrowed(&picture));
            assert!((90..=110).contains(&shown.get_pixel(32, 32).0[0]), "{pose:?}");
            let rect = Rect::new(1.0, 2.0, 3.0, 4.0);
            assert_eq!(pose.to_upright(rect, Size::new(64, 64)), rect);
        }
    }

    fn bounds(shown: &RgbImage) -> Rect {
        let lit = shown.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 100);
        let pixels = lit.map(|(x, y, _)| Rect::new(x as f32, y as f32, 1.0, 1.0));
        pixels.reduce(Rect::merged).unwrap_or(Rect::new(0.0, 0.0, 0.0, 0.0))
    }
}
