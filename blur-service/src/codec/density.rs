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
        let unit = match self.unit {
            Unit::Inch => PixelDensityUnit::Inches,
            Unit::Centimetre => PixelDensityUnit::Centimeters,
            Unit::Metre => return None,
        };
        let density = (self.across.try_into().ok()?, self.down.try_into().ok()?);
        Some(PixelDensity { density, unit })
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

    pub(super) fn in_png(self) -> Option<Vec<u8>> {
        (self.unit == Unit::Metre).then(|| [&self.across.to_be_bytes()[..], &self.down.to_be_bytes(), &[1]].concat())
    }
}
