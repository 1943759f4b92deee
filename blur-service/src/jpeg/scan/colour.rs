//! What the components of a picture are, and their way to pixels: as viewers (libjpeg, in browsers too) have it.

use crate::jpeg::syntax::header::{ColourMarkers, Jpeg};

/// What the components are, as libjpeg tells it from markers and names. Inks are upside down in every file, 255 is no
/// ink: so Adobe writes them, and so every viewer reads them, with its marker and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
    /// Inks of which 255 is all.
    UprightCmyk,
}

/// What a file says of the JPEG that is in it, whose own markers and names do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    None,
    YCbCr,
    UprightInks,
}

impl Jpeg<'_> {
    /// The picture with its components being what the file around it says.
    pub fn meant(mut self, transform: Transform) -> Self {
        self.colour = ColourMarkers {
            has_jfif: false,
            adobe: Some(u8::from(transform == Transform::YCbCr)),
            has_upright_inks: transform == Transform::UprightInks,
        };
        self
    }
}

/// What the samples of a picture are for: a profile is for one of these. Grey has one channel as pixels, all else has
/// red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    Grey,
    Rgb,
    Inks,
}

impl Channels {
    /// Of a pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb | Self::Inks => 3,
        }
    }
}

impl Colour {
    pub fn of(jpeg: &Jpeg) -> Self {
        let ids: Vec<u8> = jpeg.frame.components.iter().map(|component| component.id).collect();
        let ColourMarkers {
            has_jfif,
            adobe,
            has_upright_inks,
        } = jpeg.colour;
        match (ids.len(), has_jfif, adobe) {
            (1, ..) => Self::Grey,
            (4, ..) if has_upright_inks => Self::UprightCmyk,
            (4, _, None | Some(0)) => Self::Cmyk,
            (4, ..) => Self::Ycck,
            (_, false, Some(0)) => Self::Rgb,
            (_, false, None) if ids == *b"RGB" => Self::Rgb,
            _ => Self::YCbCr,
        }
    }

    pub fn is_of_inks(self) -> bool {
        matches!(self, Self::Cmyk | Self::Ycck | Self::UprightCmyk)
    }

    /// Fills a row of pixels from the rows of the components.
    #[inline(always)]
    pub fn convert<'a>(self, channels: Channels, rows: impl Fn(usize) -> &'a [u8], pixels: &mut [u8]) {
        match channels {
            Channels::Rgb | Channels::Inks => self.show(rows, pixels.as_chunks_mut().0),
            Channels::Grey => pixels.copy_from_slice(&rows(0)[..pixels.len()]),
        }
    }

    #[inline(always)]
    fn show<'a>(self, rows: impl Fn(usize) -> &'a [u8], pixels: &mut [[u8; 3]]) {
        let pixels = pixels.iter_mut();
        let row = |index: usize| rows(index).iter().copied();
        match self {
            Self::Grey => pixels.zip(row(0)).for_each(|(pixel, grey)| *pixel = [grey; 3]),
            Self::YCbCr => {
                let values = row(0).zip(row(1)).zip(row(2));
                pixels
                    .zip(values)
                    .for_each(|(pixel, ((y, cb), cr))| *pixel = rgb(y, cb, cr));
            }
            Self::Rgb => {
                let values = row(0).zip(row(1)).zip(row(2));
                pixels.zip(values).for_each(|(pixel, ((r, g), b))| *pixel = [r, g, b]);
            }
            Self::Cmyk => {
                let values = row(0).zip(row(1)).zip(row(2)).zip(row(3));
                pixels
                    .zip(values)
                    .for_each(|(pixel, (((c, m), y), k))| *pixel = printed([c, m, y], k));
            }
            Self::UprightCmyk => {
                let values = row(0).zip(row(1)).zip(row(2)).zip(row(3));
                pixels
                    .zip(values)
                    .for_each(|(pixel, (((c, m), y), k))| *pixel = printed(upside_down([c, m, y]), 255 - k));
            }
            Self::Ycck => {
                let values = row(0).zip(row(1)).zip(row(2)).zip(row(3));
                pixels
                    .zip(values)
                    .for_each(|(pixel, (((y, cb), cr), k))| *pixel = printed(upside_down(rgb(y, cb, cr)), k));
            }
        }
    }
}

/// JFIF's conversion, in 16-bit fixed point.
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let y = (i32::from(y) << 16) + (1 << 15);
    let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
    let values = [y + 91_881 * cr, y - 22_554 * cb - 46_802 * cr, y + 116_130 * cb];
    values.map(|value| (value >> 16).clamp(0, 255) as u8)
}

#[inline(always)]
fn upside_down(values: [u8; 3]) -> [u8; 3] {
    values.map(|value| 255 - value)
}

/// Inks upon white paper, told by how little of each there is.
#[inline(always)]
fn printed(light: [u8; 3], black: u8) -> [u8; 3] {
    light.map(|light| (u32::from(light) * u32::from(black) / 255) as u8)
}
