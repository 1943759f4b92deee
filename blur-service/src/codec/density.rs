//! How large a picture is meant to be printed, which the answer keeps.

use jpeg_encoder::{PixelDensity, PixelDensityUnit};

use crate::jpeg::syntax::density;

/// Pixels along a unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Density {
    pub unit: Unit,
    pub across: u32,
    pub down: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Inch,
    Centimetre,
    Metre,
}

impl Density {
    /// Of a picture that is turned on its side.
    pub fn turned(self) -> Self {
        Self {
            unit: self.unit,
            across: self.down,
            down: self.across,
        }
    }

    pub(super) fn of_jpeg(density: density::Density) -> Self {
        Self {
            unit: match density.unit {
                density::Unit::Inch => Unit::Inch,
                density::Unit::Centimetre => Unit::Centimetre,
            },
            across: density.across.into(),
            down: density.down.into(),
        }
    }

    /// As the encoder wants it; nothing where its numbers do not fit.
    pub(super) fn in_jpeg(self) -> Option<PixelDensity> {
        let (unit, density) = match self.unit {
            Unit::Inch => (PixelDensityUnit::Inches, self),
            Unit::Centimetre => (PixelDensityUnit::Centimeters, self),
            Unit::Metre => (PixelDensityUnit::Inches, self.times(METRES_AN_INCH)),
        };
        let density = (density.across.try_into().ok()?, density.down.try_into().ok()?);
        (density > (0, 0)).then_some(PixelDensity { density, unit })
    }

    fn times(self, factor: f64) -> Self {
        let times = |number: u32| (f64::from(number) * factor).round() as u32;
        Self {
            unit: self.unit,
            across: times(self.across),
            down: times(self.down),
        }
    }

    /// Of a PNG's `pHYs`.
    pub(super) fn of_png(data: &[u8]) -> Option<Self> {
        let [x3, x2, x1, x0, y3, y2, y1, y0, 1] = *data else {
            return None;
        };
        let density = Self {
            unit: Unit::Metre,
            across: u32::from_be_bytes([x3, x2, x1, x0]),
            down: u32::from_be_bytes([y3, y2, y1, y0]),
        };
        (density.across > 0 && density.down > 0).then_some(density)
    }

    pub(super) fn in_png(self) -> Vec<u8> {
        let density = match self.unit {
            Unit::Inch => self.times(1.0 / METRES_AN_INCH),
            Unit::Centimetre => self.times(100.0),
            Unit::Metre => self,
        };
        [&density.across.to_be_bytes()[..], &density.down.to_be_bytes(), &[1]].concat()
    }

    /// Of a BMP's head: pixels a metre, across and down.
    pub(super) fn of_bmp(data: &[u8]) -> Option<Self> {
        let (numbers, _) = data.as_chunks::<4>();
        let [across, down] = *numbers else {
            return None;
        };
        let density = Self {
            unit: Unit::Metre,
            across: u32::from_le_bytes(across),
            down: u32::from_le_bytes(down),
        };
        let is_sane = |number: u32| (1..i32::MAX as u32).contains(&number);
        (is_sane(density.across) && is_sane(density.down)).then_some(density)
    }
}

const METRES_AN_INCH: f64 = 0.0254;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_keeps_its_meaning_in_another_format() {
        let density = Density {
            unit: Unit::Inch,
            across: 300,
            down: 72,
        };
        let metres = Density::of_png(&density.in_png());
        assert_eq!(metres.map(|metres| (metres.across, metres.down)), Some((11811, 2835)));
        let inches = metres.and_then(Density::in_jpeg);
        assert_eq!(inches.map(|inches| inches.density), Some((300, 72)));
    }
}
