//! The binary arithmetic decoder: one decision after the other, each with what is known of its like (ITU-T T.81, D.2).

use super::estimates::ESTIMATES;
use crate::jpeg::entropy::bits::BitReader;

/// What is known so far of decisions of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bin {
    /// A row of [`ESTIMATES`].
    estimate: u8,
    /// The decision that is the more likely one.
    likely: bool,
}

impl Bin {
    fn learn(&mut self, was_likely: bool) {
        let estimate = &ESTIMATES[usize::from(self.estimate)];
        if was_likely {
            self.estimate = estimate.after_likely;
        } else {
            self.likely ^= estimate.turns;
            self.estimate = estimate.after_unlikely;
        }
    }
}

pub struct Decoder<'a> {
    bits: BitReader<'a>,
    /// The coded number, 16 bits of it, from where the interval begins (Cx).
    code: u32,
    /// The length of the interval that the number lies in, 2¹⁵ to 2¹⁶ between two decisions (A).
    interval: u32,
    /// Whether the interval began with the number when its bits ended.
    is_spent: bool,
}

impl<'a> Decoder<'a> {
    pub fn new(mut bits: BitReader<'a>) -> Self {
        let code = bits.take(16);
        Self {
            bits,
            code,
            interval: 1 << 16,
            is_spent: code == 0,
        }
    }

    /// What follows the bits that were looked at so far, some of which may not have told anything yet.
    pub fn bits(&self) -> &BitReader<'a> {
        &self.bits
    }

    /// Whether the codes break off. Behind its last bit a number goes on with zeros, which an encoder leaves out (D.1.8). It
    /// takes the number with the most of them in its last interval: few, but by a rare chance or where that interval begins
    /// with the number, as all do behind it that a long even ground narrows; then nothing of the number is left to read. Where
    /// a file was cut, there is.
    pub fn has_run_out(&self) -> bool {
        self.bits.missing() > MOST_LEFT_OUT && !self.is_spent
    }

    #[inline(always)]
    pub fn decide(&mut self, bin: &mut Bin) -> bool {
        let share = u32::from(ESTIMATES[usize::from(bin.estimate)].share);
        self.interval -= share;
        let is_upper = self.code >= self.interval;
        if !is_upper && self.interval >= LEAST_INTERVAL {
            return bin.likely;
        }
        // The less likely decision has the upper part, which is its share, unless the lower one became smaller than that.
        let is_likely = is_upper == (self.interval < share);
        if is_upper {
            self.code -= self.interval;
            self.interval = share;
        }
        let decision = bin.likely == is_likely;
        bin.learn(is_likely);
        self.widen();
        decision
    }

    /// A decision whose two sides are always equally likely.
    pub fn decide_evenly(&mut self) -> bool {
        self.decide(&mut Bin::default())
    }

    /// Doubles the interval until it is long enough again.
    fn widen(&mut self) {
        let doublings = self.interval.leading_zeros() - LEAST_INTERVAL.leading_zeros();
        self.bits.refill();
        self.code = self.code << doublings | self.bits.take(doublings);
        self.interval <<= doublings;
        if self.bits.overrun() && self.bits.missing() <= AHEAD {
            self.is_spent = self.code == 0;
        }
    }
}

const LEAST_INTERVAL: u32 = 1 << 15;
/// Bits that the decoder takes before it needs them.
const AHEAD: u32 = 16;
/// And the zeros up to a whole byte, and those of a rare chance.
const MOST_LEFT_OUT: u32 = AHEAD + 7 + 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::entropy::bits::Place;

    #[test]
    fn the_standards_test_sequence_is_read() {
        // K.4.1: 256 decisions, all of one kind, and what they are coded to.
        const DECISIONS: [u32; 8] = [
            0x0002_0051,
            0x0000_00c0,
            0x0352_872a,
            0xaaaa_aaaa,
            0x82c0_2000,
            0xfcd7_9ef6,
            0x74ea_abf7,
            0x697e_e74c,
        ];
        const CODED: [u32; 8] = [
            0x655b_5144,
            0xf796_9d51,
            0x7855_bfff,
            0x00fc_5184,
            0xc7ce_f939,
            0x0028_7d46,
            0x708e_cbc0,
            0xf6ff_d900,
        ];
        let data: Vec<u8> = CODED.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut decoder = Decoder::new(BitReader::new(&data, Place::byte(0)));
        let mut bin = Bin::default();
        let mut word = || (0..32).fold(0, |word, _| word << 1 | u32::from(decoder.decide(&mut bin)));
        assert_eq!([(); 8].map(|()| word()), DECISIONS);
    }
}
