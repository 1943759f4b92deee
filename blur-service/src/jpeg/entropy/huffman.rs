//! Tables for reading: several symbols and their extra bits in one look-up (ITU-T T.81, annex F.2.2).

use super::bits::{BitReader, REFILLED};
use crate::jpeg::syntax::spec::Spec;

/// A bit pattern that is no code, or a run beyond the end of its block.
#[derive(Debug, PartialEq, Eq)]
pub struct BadCode;

/// Reads differences of DC coefficients.
pub struct DcTable {
    /// By the next [`QUICK_BITS`] bits: the difference (upper 16 bits) and the bits it takes (lower 8), or zero.
    quick: Box<[u32; 1 << QUICK_BITS]>,
    codes: CodeTable,
}

const QUICK_BITS: u32 = 10;

impl DcTable {
    pub fn new(spec: &Spec) -> Self {
        let codes = CodeTable::new(spec);
        let mut quick = Box::new([0; 1 << QUICK_BITS]);
        for (bits, entry) in quick.iter_mut().enumerate() {
            let Some((size, length)) = codes.find((bits as u32) << (16 - QUICK_BITS)) else {
                continue;
            };
            let size = u32::from(size);
            if length + size <= QUICK_BITS {
                let extra = bits as u32 >> (QUICK_BITS - length - size) & ((1 << size) - 1);
                *entry = (signed(extra, size) as u32) << 16 | (length + size);
            }
        }
        Self { quick, codes }
    }

    #[inline(always)]
    pub fn read(&self, bits: &mut BitReader) -> Result<i32, BadCode> {
        bits.refill();
        let entry = self.quick[bits.peek(QUICK_BITS)];
        if entry & 0xff != 0 {
            bits.consume(entry & 0xff);
            return Ok(entry as i32 >> 16);
        }
        let (size, length) = self.codes.find(bits.peek(16) as u32).ok_or(BadCode)?;
        bits.consume(length);
        let size = u32::from(size & 15);
        Ok(signed(bits.take(size), size))
    }
}

/// Reads or steps over AC coefficients.
pub struct AcTable {
    /// By the next [`QUICK_BITS`] bits: the value (upper 16 bits), by how many coefficients one gets on (8 bits;
    /// [`END`] at the end of the block) and the bits it takes (lower 8), or zero.
    quick: Box<[u32; 1 << QUICK_BITS]>,
    /// By the next [`SKIP_BITS`] bits, for as many whole symbols as they hold: the bits those take (lower 4 bits), by
    /// how many coefficients one gets on (7 bits) and whether the block ends ([`SKIP_ENDS`]).
    skip: Box<[u16; 1 << SKIP_BITS]>,
    codes: CodeTable,
}

const SKIP_BITS: u32 = 12;
const SKIP_ENDS: u16 = 1 << 11;
/// More than any block has left: sends the reader to the one-symbol road.
const SKIP_NOTHING: u16 = 127 << 4;
/// How far the end of a block goes, in entries of `quick`.
const END: u32 = 128;
/// The symbols for the end of a block and for 16 zeros.
pub const END_OF_BLOCK: u8 = 0;
pub const SIXTEEN_ZEROS: u8 = 0xf0;

impl AcTable {
    pub fn new(spec: &Spec) -> Self {
        let codes = CodeTable::new(spec);
        let mut quick = Box::new([0; 1 << QUICK_BITS]);
        for (bits, entry) in quick.iter_mut().enumerate() {
            let Some((symbol, length)) = codes.find((bits as u32) << (16 - QUICK_BITS)) else {
                continue;
            };
            let size = u32::from(symbol & 15);
            if length + size <= QUICK_BITS
                && let Some(advance) = advance(symbol)
            {
                let extra = bits as u32 >> (QUICK_BITS - length - size) & ((1 << size) - 1);
                let advance = if symbol == END_OF_BLOCK { END } else { advance };
                *entry = (signed(extra, size) as u32) << 16 | advance << 8 | (length + size);
            }
        }
        let mut skip = Box::new([0; 1 << SKIP_BITS]);
        for (bits, entry) in skip.iter_mut().enumerate() {
            *entry = skip_entry(&codes, bits as u32);
        }
        Self { quick, skip, codes }
    }

    /// Reads the coefficients of a block from the second one on, zigzag indices 1 to `LAST`, into `block`, which holds
    /// zeros; steps over the others.
    #[inline(always)]
    pub fn read<const LAST: usize>(&self, bits: &mut BitReader, block: &mut [i16; 64]) -> Result<(), BadCode> {
        let mut next = 1usize;
        while next <= LAST {
            bits.refill();
            for _ in 0..REFILLED / QUICK_BITS {
                let entry = self.quick[bits.peek(QUICK_BITS)];
                let (value, advance) = if entry != 0 {
                    bits.consume(entry & 0xff);
                    (entry as i32 >> 16, entry >> 8 & 0xff)
                } else {
                    let symbol = self.symbol(bits)?;
                    let size = u32::from(symbol & 15);
                    let extra = signed(bits.take(size), size);
                    bits.refill();
                    let advance = advance(symbol).ok_or(BadCode)?;
                    (extra, if symbol == END_OF_BLOCK { END } else { advance })
                };
                if advance == END {
                    return Ok(());
                }
                next += advance as usize;
                *block.get_mut(next - 1).ok_or(BadCode)? = value as i16;
                if next > LAST {
                    break;
                }
            }
        }
        if next < 64 {
            self.skip(bits, next as u32)
        } else {
            Ok(())
        }
    }

    /// Steps over the rest of a block, from zigzag index `next` on.
    #[inline(always)]
    fn skip(&self, bits: &mut BitReader, mut next: u32) -> Result<(), BadCode> {
        loop {
            bits.refill();
            for _ in 0..LOOKUPS_PER_REFILL {
                let entry = self.skip[bits.peek(SKIP_BITS)];
                let reached = next + u32::from(entry >> 4 & 127);
                if reached > 64 {
                    // A long code, or symbols of which the last ones may belong to the next block.
                    let symbol = self.symbol(bits)?;
                    if symbol == END_OF_BLOCK {
                        return Ok(());
                    }
                    next += advance(symbol).ok_or(BadCode)?;
                    bits.consume(u32::from(symbol & 15));
                    if next >= 64 {
                        return if next == 64 { Ok(()) } else { Err(BadCode) };
                    }
                    break;
                }
                bits.consume(u32::from(entry & 15));
                if entry & SKIP_ENDS != 0 || reached == 64 {
                    return Ok(());
                }
                next = reached;
            }
        }
    }

    /// The next symbol, the slow way; its extra bits, up to 15, are there too.
    #[inline(always)]
    pub fn symbol(&self, bits: &mut BitReader) -> Result<u8, BadCode> {
        bits.refill();
        let (symbol, length) = self.codes.find(bits.peek(16) as u32).ok_or(BadCode)?;
        bits.consume(length);
        Ok(symbol)
    }
}

const LOOKUPS_PER_REFILL: u32 = REFILLED / SKIP_BITS;

/// As many whole symbols as fit into [`SKIP_BITS`] bits, up to the end of a block.
fn skip_entry(codes: &CodeTable, bits: u32) -> u16 {
    let (mut used, mut reached, mut ends) = (0u32, 0u32, false);
    while !ends {
        let rest = bits << (32 - SKIP_BITS) << used >> 16;
        let Some((symbol, length)) = codes.find(rest) else {
            break;
        };
        let Some(advance) = advance(symbol) else { break };
        let total = length + u32::from(symbol & 15);
        if used + total > SKIP_BITS || reached + advance > 64 {
            break;
        }
        used += total;
        reached += advance;
        ends = symbol == END_OF_BLOCK;
        if used == SKIP_BITS {
            break;
        }
    }
    let entry = (used | reached << 4) as u16;
    if used == 0 {
        SKIP_NOTHING
    } else {
        entry | if ends { SKIP_ENDS } else { 0 }
    }
}

/// By how many coefficients a symbol gets on; one at the end of a block, which is right as long as it fits into it.
#[inline(always)]
pub fn advance(symbol: u8) -> Option<u32> {
    let is_valid = symbol & 15 != 0 || symbol == END_OF_BLOCK || symbol == SIXTEEN_ZEROS;
    is_valid.then_some(u32::from(symbol >> 4) + 1)
}

/// The value of `size` extra bits (F.12).
#[inline(always)]
pub fn signed(extra: u32, size: u32) -> i32 {
    let negative = size > 0 && extra >> (size - 1) == 0;
    if negative {
        extra as i32 - (1 << size) + 1
    } else {
        extra as i32
    }
}

/// Reads one symbol at a time; its extra bits, up to 15, are there too.
pub struct SymbolTable(CodeTable);

impl SymbolTable {
    pub fn new(spec: &Spec) -> Self {
        Self(CodeTable::new(spec))
    }

    #[inline(always)]
    pub fn read(&self, bits: &mut BitReader) -> Result<u8, BadCode> {
        bits.refill();
        let (symbol, length) = self.0.find(bits.peek(16) as u32).ok_or(BadCode)?;
        bits.consume(length);
        Ok(symbol)
    }
}

/// Finds codes: short ones by one look-up, others by the length, one after the other.
struct CodeTable {
    /// By the next [`SHORT_BITS`] bits: the symbol (upper 8 bits) and the length of its code (lower 8), or zero.
    short: Box<[u16; 1 << SHORT_BITS]>,
    /// For 1 to 16 bits: the end of the codes of up to that length, as 16 bits from the left.
    ends: [u32; 16],
    /// What to add to a code to find its symbol.
    offsets: [i32; 16],
    symbols: Vec<u8>,
}

const SHORT_BITS: u32 = 12;

impl CodeTable {
    fn new(spec: &Spec) -> Self {
        let mut short = Box::new([0; 1 << SHORT_BITS]);
        for (code, length, symbol) in spec.codes().take_while(|(_, length, _)| *length <= SHORT_BITS) {
            let first = (code << (SHORT_BITS - length)) as usize;
            short[first..first + (1 << (SHORT_BITS - length))].fill(u16::from(symbol) << 8 | length as u16);
        }
        let mut table = Self {
            short,
            ends: [0; 16],
            offsets: [0; 16],
            symbols: spec.symbols.clone(),
        };
        let mut before = 0i32;
        for (index, next) in spec.next_codes().into_iter().enumerate() {
            let count = i32::from(spec.counts[index]);
            table.ends[index] = next << (15 - index);
            table.offsets[index] = before + count - next as i32;
            before += count;
        }
        table
    }

    /// The symbol whose code the 16 bits begin with, and how long that is.
    #[inline(always)]
    fn find(&self, bits: u32) -> Option<(u8, u32)> {
        match self.short[(bits >> (16 - SHORT_BITS)) as usize] {
            0 => self.find_long(bits),
            entry => Some(((entry >> 8) as u8, u32::from(entry & 0xff))),
        }
    }

    #[cold]
    fn find_long(&self, bits: u32) -> Option<(u8, u32)> {
        let index = self.ends.iter().position(|end| bits < *end)?;
        let code = (bits >> (15 - index)) as i32;
        let symbol = self.symbols.get(usize::try_from(code + self.offsets[index]).ok()?)?;
        Some((*symbol, index as u32 + 1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::jpeg::{
        entropy::bits::{BitWriter, Place},
        syntax::spec::Codes,
    };

    #[test]
    fn skipping_and_reading_end_at_the_same_bit() {
        let mut frequencies = [0; 256];
        for symbol in (0..=255u8).filter(|symbol| advance(*symbol).is_some()) {
            frequencies[usize::from(symbol)] = 1 << (12 - (symbol & 15).min(11)) >> (symbol >> 6);
        }
        frequencies[0] = 9000;
        frequencies[0xf0] = 3;
        let spec = Spec::optimal(&frequencies);
        let (codes, table) = (Codes::new(&spec), AcTable::new(&spec));
        let mut writer = BitWriter::new(Vec::new());
        let mut state = 9u32;
        for _ in 0..2000 {
            let mut at = 1;
            while at < 64 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let symbol = [0, 1, 2, 1, 3, 0x11, 0x21, 5, 0xf0, 9, 0x32, 0x0a][(state >> 16) as usize % 12];
                let symbol = if at + advance(symbol).unwrap() > 64 { 0 } else { symbol };
                let (code, length) = codes.find(symbol).unwrap();
                writer.put(code, length);
                let size = u32::from(symbol & 15);
                writer.put(state >> 8 & ((1 << size) - 1), size);
                at = if symbol == 0 { 64 } else { at + advance(symbol).unwrap() };
            }
        }
        let data = writer.finish().clone();
        let (mut skipping, mut reading) = (
            BitReader::new(&data, Place::byte(0)),
            BitReader::new(&data, Place::byte(0)),
        );
        for _ in 0..2000 {
            table.read::<0>(&mut skipping, &mut [0; 64]).unwrap();
            table.read::<63>(&mut reading, &mut [0; 64]).unwrap();
            assert_eq!(skipping.place(), reading.place());
        }
    }
}
