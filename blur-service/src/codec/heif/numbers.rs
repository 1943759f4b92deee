//! What the samples of a picture stand for.

use moxcms::{CicpColorPrimaries, CicpProfile, MatrixCoefficients, TransferCharacteristics};

use super::{super::Space, frame::UNUSUAL};
use crate::{error::Error, jpeg::Channels};

/// What a picture's numbers mean (ITU-T H.273).
#[derive(Clone, Copy)]
pub struct Numbers {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    pub is_full: bool,
}

impl Numbers {
    pub fn told(colr: &[u8]) -> Option<Self> {
        match *colr.strip_prefix(b"nclx")? {
            [_, primaries, _, transfer, _, matrix, range, ..] => Some(Self {
                primaries,
                transfer,
                matrix,
                is_full: range & 0x80 != 0,
            }),
            _ => None,
        }
    }

    pub fn space(self) -> Result<Space, Error> {
        // Browsers show what was made for film cameras' curves as if it were made for screens.
        let transfer = if CAMERAS.contains(&self.transfer) {
            SCREENS
        } else {
            self.transfer
        };
        let primaries = CicpColorPrimaries::try_from(self.primaries);
        let transfer = TransferCharacteristics::try_from(transfer);
        let (Ok(color_primaries), Ok(transfer_characteristics)) = (primaries, transfer) else {
            return Ok(Space::Plain);
        };
        if self.primaries == UNSPECIFIED || self.transfer == UNSPECIFIED {
            return Ok(Space::Plain);
        }
        Space::of_numbers(
            CicpProfile {
                color_primaries,
                transfer_characteristics,
                matrix_coefficients: MatrixCoefficients::Identity,
                full_range: true,
            },
            Channels::Rgb,
        )
    }

    /// What the planes are.
    pub fn mixture(self) -> Result<Mixture, Error> {
        let (red, blue) = match (self.matrix, self.primaries) {
            (0, _) => return Ok(Mixture::Plain),
            (8, _) => return Ok(Mixture::GreenAndOrange),
            // By the primaries.
            (1, _) | (12, 1 | UNSPECIFIED) => (0.2126, 0.0722),
            (4, _) => (0.3, 0.11),
            (2 | 5 | 6, _) => (0.299, 0.114),
            (7, _) => (0.212, 0.087),
            (9, _) | (12, 9) => (0.2627, 0.0593),
            (12, 12) => (0.2290, 0.0793),
            _ => return Err(UNUSUAL),
        };
        Ok(Mixture::Weighted { red, blue })
    }
}

/// How red, green and blue were made planes of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mixture {
    /// Green, blue, red.
    Plain,
    /// Brightness and two differences of colour; how much red and blue make up of the brightness.
    Weighted { red: f32, blue: f32 },
    /// YCgCo: brightness, and how green and how orange it is.
    GreenAndOrange,
}

/// BT.709, BT.601 and BT.2020.
const CAMERAS: [u8; 4] = [1, 6, 14, 15];
/// sRGB.
const SCREENS: u8 = 13;
pub const UNSPECIFIED: u8 = 2;
pub const UNTOLD: Numbers = Numbers {
    primaries: UNSPECIFIED,
    transfer: UNSPECIFIED,
    matrix: UNSPECIFIED,
    is_full: false,
};
