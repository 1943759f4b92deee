//! What is known of how a JPEG was written, so that it can be written again like itself.

use image::metadata::Orientation;
use jpeg_encoder::SamplingFactor;

use super::turns_sides;
use crate::{geometry::Size, jpeg::Jpeg};

/// What a JPEG needs to be written again like itself.
#[derive(Clone, Copy, Debug)]
pub struct JpegFacts {
    /// 1 to 100 on libjpeg's scale, estimated from the table of the first component.
    pub quality: u8,
    /// How many times wider and higher the first component is sampled than the others.
    pub sampling: (u8, u8),
    components: u8,
    /// Whether its coefficients are in memory all at once.
    keeps_coefficients: bool,
}

impl JpegFacts {
    /// The pixels that are coded together: what is hidden covers whole ones.
    pub fn block(&self) -> Size {
        Size {
            width: 8 * u32::from(self.sampling.0),
            height: 8 * u32::from(self.sampling.1),
        }
    }
}

impl JpegFacts {
    pub(super) fn of(jpeg: &Jpeg) -> Self {
        let frame = jpeg.frame();
        let (across, down) = frame.factors(0);
        let (chroma_across, chroma_down) = match frame.components.len() {
            1 => (across, down),
            _ => frame.factors(1),
        };
        Self {
            quality: jpeg
                .steps_in_8_bits(0)
                .map_or(DEFAULT_QUALITY, |steps| quality_of(steps.iter().sum())),
            sampling: ((across / chroma_across).max(1) as u8, (down / chroma_down).max(1) as u8),
            components: frame.components.len() as u8,
            keeps_coefficients: jpeg.supported().is_err(),
        }
    }
}

impl JpegFacts {
    /// Pixels, their turned copy or the coefficients, and the file that is written.
    pub(super) fn work_bytes(&self, size: Size) -> u64 {
        let pixels = size.pixels();
        let components = u64::from(self.components);
        let coefficients = if self.keeps_coefficients {
            2 * components * pixels
        } else {
            0
        };
        pixels * 6 + coefficients + pixels
    }

    /// The sampling as the encoder names it; a picture turned on its side has it turned too.
    pub(super) fn sampling_factor(&self, orientation: Orientation) -> SamplingFactor {
        let (across, down) = self.sampling;
        let (across, down) = if turns_sides(orientation) {
            (down, across)
        } else {
            (across, down)
        };
        SamplingFactor::from_factors(across, down).unwrap_or(SamplingFactor::F_1_1)
    }
}

/// The quality at which libjpeg's scaling of the standard brightness table has this sum, within sane bounds.
fn quality_of(sum: u32) -> u8 {
    let scale = sum * 100 / STANDARD_TABLE_SUM;
    let quality = if scale <= 100 { 100 - scale / 2 } else { 5000 / scale };
    (quality as u8).clamp(LEAST_QUALITY, MOST_QUALITY)
}

const DEFAULT_QUALITY: u8 = 90;
const LEAST_QUALITY: u8 = 60;
const MOST_QUALITY: u8 = 95;
/// Of the brightness table in Annex K of ITU-T T.81.
const STANDARD_TABLE_SUM: u32 = 3688;
