//! Huffman tables: as a file gives them, for reading (several symbols and their extra bits in one look-up) and for
//! writing; a table that lacks symbols is extended without changing a code it has (ITU-T T.81, annexes C, F and K.2).

use super::bits::BitReader;

/// A table as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How many codes there are of 1 to 16 bits.
    pub counts: [u8; 16],
    /// Symbols by growing code.
    pub symbols: Vec<u8>,
}

/// A set of symbols, or their frequencies.
pub type Frequencies = [u32; 256];

impl Spec {
    /// The table, or nothing if its codes do not fit their lengths. No code may be all ones.
    pub fn new(counts: [u8; 16], symbols: &[u8]) -> Option<Self> {
        let spec = Self {
            counts,
            symbols: symbols.to_vec(),
        };
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let fits = (1..=16).zip(spec.next_codes()).all(|(length, next)| next < 1 << length);
        (total == symbols.len() && total <= 256 && fits).then_some(spec)
    }

    /// Every code: its bits, its length and its symbol.
    fn codes(&self) -> impl Iterator<Item = (u32, u32, u8)> {
        let lengths = (1u32..=16)
            .zip(self.counts)
            .flat_map(|(length, count)| (0..count).map(move |_| length));
        let mut next = (0u32, 0u32);
        lengths.zip(&self.symbols).map(move |(length, symbol)| {
            let code = next.0 << (length - next.1);
            next = (code + 1, length);
            (code, length, *symbol)
        })
    }

    /// For 1 to 16 bits, the first code of that length that is free.
    fn next_codes(&self) -> [u32; 16] {
        let mut next = 0u32;
        self.counts.map(|count| {
            next = (next << 1).saturating_add(u32::from(count)).min(1 << 20);
            next
        })
    }

    /// This table with `missing` symbols behind its own ones, every code it has unchanged; nothing if there is no room.
    pub fn extended(&self, missing: &[u8]) -> Option<Self> {
        let longest = self.counts.iter().rposition(|count| *count > 0)?;
        let next = self.next_codes();
        let length = (longest..16).find(|bits| (2 << bits) > next[*bits] as usize + missing.len())?;
        let mut counts = self.counts;
        counts[length] = counts[length].checked_add(u8::try_from(missing.len()).ok()?)?;
        Self::new(counts, &[&self.symbols, missing].concat())
    }

    /// The shortest table for these frequencies (annex K.2): a Huffman tree, cut to 16 bits.
    pub fn optimal(frequencies: &Frequencies) -> Self {
        // The 257th symbol is never used; it keeps the code of all ones free.
        let mut weights: Vec<u64> = frequencies.iter().map(|count| u64::from(*count)).chain([1]).collect();
        let mut group: Vec<usize> = (0..weights.len()).collect();
        let mut sizes = vec![0usize; weights.len()];
        while let Some((least, second)) = two_least(&weights) {
            weights[least] += weights[second];
            weights[second] = 0;
            for (owner, size) in group.iter_mut().zip(&mut sizes) {
                if *owner == least || *owner == second {
                    *owner = least;
                    *size += 1;
                }
            }
        }
        let mut order: Vec<u8> = (0..=255)
            .filter(|symbol| frequencies[usize::from(*symbol)] > 0)
            .collect();
        order.sort_by_key(|symbol| sizes[usize::from(*symbol)]);
        Self {
            counts: limited(&sizes),
            symbols: order,
        }
    }
}

/// The two least weights above zero, the later one first among equals.
fn two_least(weights: &[u64]) -> Option<(usize, usize)> {
    let least = |except: usize| {
        let candidates = weights
            .iter()
            .enumerate()
            .filter(|(index, weight)| **weight > 0 && *index != except);
        candidates
            .min_by_key(|(index, weight)| (**weight, usize::MAX - index))
            .map(|(index, _)| index)
    };
    let first = least(usize::MAX)?;
    Some((first, least(first)?))
}

/// How many codes of each length, none longer than 16 bits, without that of the 257th symbol.
fn limited(sizes: &[usize]) -> [u8; 16] {
    let mut counts = vec![0u32; sizes.len() + 1];
    sizes
        .iter()
        .filter(|size| **size > 0)
        .for_each(|size| counts[*size] += 1);
    for length in (17..counts.len()).rev() {
        while counts[length] > 0 {
            // Two of the longest codes become one that is shorter by a bit; the other hangs below a shorter code.
            let Some(shorter) = (1..length - 1).rev().find(|shorter| counts[*shorter] > 0) else {
                break;
            };
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    if let Some(longest) = (1..=16).rev().find(|length| counts[*length] > 0) {
        counts[longest] -= 1;
    }
    std::array::from_fn(|index| counts[index + 1] as u8)
}

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
            let entry = self.quick[bits.peek(QUICK_BITS)];
            let (value, advance) = if entry != 0 {
                bits.consume(entry & 0xff);
                (entry as i32 >> 16, entry >> 8 & 0xff)
            } else {
                let symbol = self.symbol(bits)?;
                let size = u32::from(symbol & 15);
                let advance = advance(symbol).ok_or(BadCode)?;
                (
                    signed(bits.take(size), size),
                    if symbol == END_OF_BLOCK { END } else { advance },
                )
            };
            if advance == END {
                return Ok(());
            }
            next += advance as usize;
            *block.get_mut(next - 1).ok_or(BadCode)? = value as i16;
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

const LOOKUPS_PER_REFILL: u32 = super::bits::REFILLED / SKIP_BITS;

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

/// Finds codes by the length, one after the other.
struct CodeTable {
    /// For 1 to 16 bits: the end of the codes of up to that length, as 16 bits from the left.
    ends: [u32; 16],
    /// What to add to a code to find its symbol.
    offsets: [i32; 16],
    symbols: Vec<u8>,
}

impl CodeTable {
    fn new(spec: &Spec) -> Self {
        let mut table = Self {
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
        let index = self.ends.iter().position(|end| bits < *end)?;
        let code = (bits >> (15 - index)) as i32;
        let symbol = self.symbols.get(usize::try_from(code + self.offsets[index]).ok()?)?;
        Some((*symbol, index as u32 + 1))
    }
}

/// Codes by symbol, for writing.
pub struct Codes {
    /// Code and length; length zero: the table lacks this symbol.
    codes: Box<[(u16, u8); 256]>,
}

impl Codes {
    pub fn new(spec: &Spec) -> Self {
        let mut codes = Box::new([(0, 0); 256]);
        for (code, length, symbol) in spec.codes() {
            codes[usize::from(symbol)] = (code as u16, length as u8);
        }
        Self { codes }
    }

    /// The code of `symbol` and its length in bits, if the table has it.
    #[inline(always)]
    pub fn find(&self, symbol: u8) -> Option<(u32, u32)> {
        let (code, length) = self.codes[usize::from(symbol)];
        (length > 0).then_some((u32::from(code), u32::from(length)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::jpeg::bits::{BitWriter, Place};

    #[test]
    fn an_extended_table_keeps_its_codes() {
        let spec = Spec::new(counts(&[0, 1, 5]), &[1, 2, 3, 4, 5, 6]).unwrap();
        let extended = spec.extended(&[7, 8, 9, 10, 11]).unwrap();
        let (before, after) = (Codes::new(&spec), Codes::new(&extended));
        for symbol in 1..=6 {
            assert_eq!(before.find(symbol), after.find(symbol));
        }
        for symbol in 7..=11 {
            assert!(before.find(symbol).is_none() && after.find(symbol).is_some());
        }
    }

    #[test]
    fn a_full_table_cannot_be_extended() {
        let mut full = counts(&[1; 16]);
        full[15] = 1;
        let spec = Spec::new(full, &(0..16).collect::<Vec<u8>>()).unwrap();
        assert!(spec.extended(&[100]).is_none());
    }

    #[test]
    fn a_table_with_too_many_codes_is_refused() {
        assert!(Spec::new(counts(&[2]), &[1, 2]).is_none());
        assert!(Spec::new(counts(&[1, 2]), &[1, 2, 3]).is_none());
    }

    #[test]
    fn an_optimal_table_has_every_symbol_and_no_long_code() {
        let mut frequencies = [0; 256];
        let (mut a, mut b) = (1u32, 1u32);
        for count in frequencies.iter_mut().take(40) {
            *count = a;
            (a, b) = (b, a.saturating_add(b));
        }
        let spec = Spec::optimal(&frequencies);
        assert!(Spec::new(spec.counts, &spec.symbols).is_some());
        let codes = Codes::new(&spec);
        assert!((0..40).all(|symbol| codes.find(symbol).is_some()));
        assert!(codes.find(39).unwrap().1 < codes.find(0).unwrap().1);
    }

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

    fn counts(first: &[u8]) -> [u8; 16] {
        std::array::from_fn(|index| first.get(index).copied().unwrap_or(0))
    }
}
