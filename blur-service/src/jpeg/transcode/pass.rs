//! What a scan says of its blocks: all of it, or a band of coefficients, first without its lowest bits and then those
//! bits, scan by scan (ITU-T T.81, G.1.1.1).

use crate::jpeg::{
    entropy::{coding::Coefficients, huffman::BadCode},
    syntax::header::ScanHeader,
};

/// `low`: how many of the lowest bits later scans bring.
#[derive(Clone, Copy, Debug)]
pub enum Pass {
    Whole,
    DcFirst { low: u32 },
    DcNextBit { low: u32 },
    AcFirst(Band),
    AcNextBit(Band),
}

impl Pass {
    /// Of a scan whose components all have their lowest frequency already, or none of them has; nothing if there is no
    /// such scan.
    pub fn new(header: &ScanHeader, is_progressive: bool, has_begun: bool) -> Option<Self> {
        let [first, last, bits] = header.spectrum;
        if !is_progressive {
            return (!has_begun && header.spectrum == [0, 63, 0]).then_some(Self::Whole);
        }
        let (high, low) = (u32::from(bits >> 4), u32::from(bits & 15));
        let is_next_bit = high > 0;
        if low > 13 || is_next_bit && high != low + 1 {
            return None;
        }
        if first == 0 {
            return match (last, is_next_bit, has_begun) {
                (0, false, false) => Some(Self::DcFirst { low }),
                (0, true, true) => Some(Self::DcNextBit { low }),
                _ => None,
            };
        }
        if !(first..64).contains(&last) || header.components.len() != 1 {
            return None;
        }
        let band = Band {
            first: usize::from(first),
            last: usize::from(last),
            low,
        };
        Some(match is_next_bit {
            false => Self::AcFirst(band),
            true => Self::AcNextBit(band),
        })
    }
}

/// Puts the first bits of a DC coefficient in their place, which later scans bring `low` more of.
pub fn put_dc(block: &mut Coefficients, value: i32, low: u32) -> Result<(), BadCode> {
    let value = value.checked_mul(1 << low).ok_or(BadCode)?;
    block[0] = i16::try_from(value).map_err(|_| BadCode)?;
    Ok(())
}

/// The part of the coefficients that a scan codes.
#[derive(Clone, Copy, Debug)]
pub struct Band {
    /// Zigzag indices of the first and the last coefficient.
    pub first: usize,
    pub last: usize,
    /// How many of the lowest bits later scans bring.
    pub low: u32,
}

impl Band {
    pub const ALL: Self = Self {
        first: 1,
        last: 63,
        low: 0,
    };

    /// Puts the first bits of a coefficient in their place.
    pub fn put(self, block: &mut Coefficients, at: usize, value: i32) -> Result<(), BadCode> {
        let coefficient = block[..=self.last].get_mut(at).ok_or(BadCode)?;
        *coefficient = i16::try_from(value << self.low).map_err(|_| BadCode)?;
        Ok(())
    }

    /// Adds the next bit, a one, to a coefficient that is not zero.
    pub fn refine(self, coefficient: &mut i16) -> Result<(), BadCode> {
        if *coefficient & (1 << self.low) == 0 {
            let more = coefficient.signum() << self.low;
            *coefficient = coefficient.checked_add(more).ok_or(BadCode)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_bit_goes_away_from_zero_and_never_around() {
        let band = Band { low: 13, ..Band::ALL };
        let refined = |mut coefficient: i16| band.refine(&mut coefficient).map(|()| coefficient);
        assert_eq!(refined(1 << 14), Ok(3 << 13));
        assert_eq!(refined(-(1 << 14)), Ok(-(3 << 13)));
        assert_eq!(refined(i16::MIN + 1), Err(BadCode));
    }
}
