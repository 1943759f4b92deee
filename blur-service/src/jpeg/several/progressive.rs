//! The blocks of progressive scans: a band of coefficients first without its lowest bits, then those bits, scan by scan
//! (ITU-T T.81, G.1.2 and G.2).

use crate::jpeg::{
    bits::BitReader,
    coding::Coefficients,
    huffman::{BadCode, SymbolTable, signed},
};

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
    /// The first bits of a block's coefficients. `blocks_over`: how many blocks from this one on have nothing more here.
    pub fn read_first(
        self,
        table: &SymbolTable,
        bits: &mut BitReader,
        blocks_over: &mut u32,
        block: &mut Coefficients,
    ) -> Result<(), BadCode> {
        if *blocks_over > 0 {
            *blocks_over -= 1;
            return Ok(());
        }
        let mut at = self.first;
        while at <= self.last {
            let symbol = table.read(bits)?;
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                if run < 15 {
                    *blocks_over = (1 << run) - 1 + bits.take(run);
                    return Ok(());
                }
                at += 16;
                continue;
            }
            at += run as usize;
            let value = signed(bits.take(size), size) << self.low;
            *self.coefficient(block, at)? = i16::try_from(value).map_err(|_| BadCode)?;
            at += 1;
        }
        Ok(())
    }

    /// One more bit of the coefficients that are not zero, and those that become one or minus one by it.
    pub fn read_next_bit(
        self,
        table: &SymbolTable,
        bits: &mut BitReader,
        blocks_over: &mut u32,
        block: &mut Coefficients,
    ) -> Result<(), BadCode> {
        let mut at = self.first;
        while *blocks_over == 0 && at <= self.last {
            let symbol = table.read(bits)?;
            let (run, size) = (u32::from(symbol >> 4), symbol & 15);
            if size == 0 && run < 15 {
                *blocks_over = (1 << run) + bits.take(run);
                break;
            }
            let new = match size {
                0 => None,
                1 if next_bit(bits) => Some(1 << self.low),
                1 => Some(-1 << self.low),
                _ => return Err(BadCode),
            };
            at = self.refine(bits, block, at, run);
            if let Some(new) = new {
                *self.coefficient(block, at)? = new;
            }
            at += 1;
        }
        if *blocks_over > 0 {
            self.refine(bits, block, at, u32::MAX);
            *blocks_over -= 1;
        }
        Ok(())
    }

    /// Reads the next bit of every coefficient that has some already, up to the zero behind `zeros` others; returns
    /// where that is.
    fn refine(self, bits: &mut BitReader, block: &mut Coefficients, from: usize, mut zeros: u32) -> usize {
        let band = block.iter_mut().enumerate().take(self.last + 1).skip(from);
        for (at, value) in band {
            if *value == 0 {
                if zeros == 0 {
                    return at;
                }
                zeros -= 1;
            } else if next_bit(bits) && *value & (1 << self.low) == 0 {
                *value += value.signum() << self.low;
            }
        }
        self.last + 1
    }

    fn coefficient(self, block: &mut Coefficients, at: usize) -> Result<&mut i16, BadCode> {
        block[..=self.last].get_mut(at).ok_or(BadCode)
    }
}

fn next_bit(bits: &mut BitReader) -> bool {
    bits.refill();
    bits.take(1) == 1
}
