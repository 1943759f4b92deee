//! Reads numbers of some bits.

/// The highest bit of a byte first.
pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn of(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Of up to 32 bits.
    pub fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0_u32, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    pub fn skip(&mut self, bits: u32) -> Option<()> {
        self.at = self.at.checked_add(bits as usize)?;
        (self.at <= self.data.len() * 8).then_some(())
    }

    /// Exp-Golomb (ITU-T H.265, 9.2; AV1's `uvlc`); signed ones are as long.
    pub fn varied(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        let rest = self.number((zeros < 31).then_some(zeros)?)?;
        Some((1 << zeros) - 1 + rest)
    }

    pub fn several_varied(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.varied().map(drop))
    }
}
