//! The decisions that make a coefficient, and the statistics of each (ITU-T T.81, F.1.4.1 to F.1.4.3 and G.1.3.3).

use super::decoder::{Bin, Decoder};
use crate::jpeg::{
    entropy::{coding::Coefficients, huffman::BadCode},
    syntax::conditioning::LowFrequencies,
    transcode::pass::Band,
};

/// Of differences of DC coefficients; tables F.4 and F.2's names in brackets.
#[derive(Clone, Default)]
pub struct DcStatistics {
    /// By the class of the difference before.
    by_class: [AfterClass; 5],
    /// Whether it is more than two (X1).
    more_than_two: Bin,
    larger: Magnitudes,
}

#[derive(Clone, Default)]
struct AfterClass {
    /// Whether there is any difference (S0).
    is_any: Bin,
    /// Whether it is negative (SS).
    is_negative: Bin,
    /// Whether it is more than one, of positive and of negative ones (SP, SN).
    more_than_one: [Bin; 2],
}

impl DcStatistics {
    pub fn read(&mut self, decoder: &mut Decoder, class: usize) -> Result<i32, BadCode> {
        let after = &mut self.by_class[class];
        if !decoder.decide(&mut after.is_any) {
            return Ok(0);
        }
        let is_negative = decoder.decide(&mut after.is_negative);
        let size = if !decoder.decide(&mut after.more_than_one[usize::from(is_negative)]) {
            1
        } else if !decoder.decide(&mut self.more_than_two) {
            2
        } else {
            self.larger.read(decoder)?
        };
        Ok(if is_negative { -size } else { size })
    }
}

/// Of AC coefficients.
#[derive(Clone)]
pub struct AcStatistics {
    by_index: [AtIndex; 64],
    larger: ByFrequency,
}

/// At one zigzag index.
#[derive(Clone, Copy, Default)]
struct AtIndex {
    /// Whether nothing but zeros follows (SE).
    is_end: Bin,
    /// Whether it is not zero (S0).
    is_any: Bin,
    /// Whether it is more than one, and if so, more than two (SP, SN and X1); whether its next bit is set (SC).
    is_more: Bin,
}

#[derive(Clone, Default)]
struct ByFrequency {
    low: Magnitudes,
    high: Magnitudes,
}

impl Default for AcStatistics {
    fn default() -> Self {
        Self {
            by_index: [AtIndex::default(); 64],
            larger: ByFrequency::default(),
        }
    }
}

impl AcStatistics {
    /// The first bits of a block's coefficients.
    pub fn read_first(
        &mut self,
        band: Band,
        low: LowFrequencies,
        decoder: &mut Decoder,
        block: &mut Coefficients,
    ) -> Result<(), BadCode> {
        let mut at = band.first;
        while at <= band.last && !decoder.decide(&mut self.by_index[at].is_end) {
            at = self.next_that_is_any(at, band, decoder)?;
            let is_negative = decoder.decide_evenly();
            let is_more = &mut self.by_index[at].is_more;
            let size = if !decoder.decide(is_more) {
                1
            } else if !decoder.decide(is_more) {
                2
            } else if low.contains(at) {
                self.larger.low.read(decoder)?
            } else {
                self.larger.high.read(decoder)?
            };
            band.put(block, at, if is_negative { -size } else { size })?;
            at += 1;
        }
        Ok(())
    }

    fn next_that_is_any(&mut self, mut at: usize, band: Band, decoder: &mut Decoder) -> Result<usize, BadCode> {
        while !decoder.decide(&mut self.by_index[at].is_any) {
            at += 1;
            if at > band.last {
                return Err(BadCode);
            }
        }
        Ok(at)
    }

    /// One more bit of the coefficients that are not zero, and those that become one or minus one by it.
    pub fn read_next_bit(
        &mut self,
        band: Band,
        decoder: &mut Decoder,
        block: &mut Coefficients,
    ) -> Result<(), BadCode> {
        // Up to where there was something before, no end is coded.
        let known = block[..=band.last].iter().rposition(|value| *value != 0).unwrap_or(0);
        let mut at = band.first;
        while at <= band.last && (at <= known || !decoder.decide(&mut self.by_index[at].is_end)) {
            while block[at] == 0 && !decoder.decide(&mut self.by_index[at].is_any) {
                at += 1;
                if at > band.last {
                    return Err(BadCode);
                }
            }
            if block[at] == 0 {
                let is_negative = decoder.decide_evenly();
                band.put(block, at, if is_negative { -1 } else { 1 })?;
            } else if decoder.decide(&mut self.by_index[at].is_more) {
                band.refine(&mut block[at])?;
            }
            at += 1;
        }
        Ok(())
    }
}

/// Of magnitudes above two: their category, then the bits below their first one.
#[derive(Clone, Default)]
struct Magnitudes {
    /// X2 to X15.
    is_larger: [Bin; 14],
    /// M2 to M15.
    next_bit: [Bin; 14],
}

impl Magnitudes {
    fn read(&mut self, decoder: &mut Decoder) -> Result<i32, BadCode> {
        let mut category = 0;
        while decoder.decide(self.is_larger.get_mut(category).ok_or(BadCode)?) {
            category += 1;
        }
        let next_bit = self.next_bit.get_mut(category).ok_or(BadCode)?;
        let less_one = (0..=category).fold(1, |bits, _| bits << 1 | i32::from(decoder.decide(next_bit)));
        Ok(less_one + 1)
    }
}
