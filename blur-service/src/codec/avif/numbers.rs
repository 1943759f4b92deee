//! What the samples of an AVIF stand for.

use moxcms::{CicpColorPrimaries, CicpProfile, MatrixCoefficients, TransferCharacteristics};
use re_rav1d::dav1d::{Picture as Frame, pixel};

use super::{super::Space, UNUSUAL};
use crate::{error::Error, jpeg::Channels};

/// What a picture's numbers mean (ITU-T H.273).
#[derive(Clone, Copy)]
pub struct Numbers {
    primaries: u8,
    transfer: u8,
    matrix: u8,
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

    /// Those in the coded data.
    pub fn coded(frame: &Frame) -> Self {
        Self {
            primaries: match frame.color_primaries() {
                pixel::ColorPrimaries::BT709 => 1,
                pixel::ColorPrimaries::BT2020 => 9,
                pixel::ColorPrimaries::P3DCI => 11,
                pixel::ColorPrimaries::P3Display => 12,
                _ => UNSPECIFIED,
            },
            transfer: match frame.transfer_characteristic() {
                pixel::TransferCharacteristic::BT1886 => 1,
                pixel::TransferCharacteristic::Linear => 8,
                pixel::TransferCharacteristic::SRGB => 13,
                pixel::TransferCharacteristic::PerceptualQuantizer => 16,
                pixel::TransferCharacteristic::HybridLogGamma => 18,
                _ => UNSPECIFIED,
            },
            matrix: match frame.matrix_coefficients() {
                pixel::MatrixCoefficients::Identity => 0,
                pixel::MatrixCoefficients::BT709 => 1,
                pixel::MatrixCoefficients::BT2020NonConstantLuminance => 9,
                pixel::MatrixCoefficients::BT470BG | pixel::MatrixCoefficients::Unspecified => 6,
                _ => UNKNOWN_MATRIX,
            },
            is_full: frame.color_range() == pixel::YUVRange::Full,
        }
    }

    pub fn space(self) -> Result<Space, Error> {
        let primaries = CicpColorPrimaries::try_from(self.primaries);
        let transfer = TransferCharacteristics::try_from(self.transfer);
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

    /// How much red and blue make up of the brightness; nothing where samples are green, blue and red.
    pub fn weights(self) -> Result<Option<(f32, f32)>, Error> {
        Ok(Some(match self.matrix {
            0 => return Ok(None),
            1 => (0.2126, 0.0722),
            4 => (0.3, 0.11),
            2 | 5 | 6 => (0.299, 0.114),
            7 => (0.212, 0.087),
            9 => (0.2627, 0.0593),
            _ => return Err(UNUSUAL),
        }))
    }
}

const UNSPECIFIED: u8 = 2;
const UNKNOWN_MATRIX: u8 = 255;
