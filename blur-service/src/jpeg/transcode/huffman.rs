//! Blocks in Huffman codes: whole, or a band of coefficients scan by scan (ITU-T T.81, F.2.2, G.1.2 and G.2).

use super::{
    pass::{Band, Pass, put_dc},
    scan::Entropy,
};
use crate::jpeg::{
    entropy::{
        bits::BitReader,
        coding::Coefficients,
        huffman::{AcTable, BadCode, DcTable, SymbolTable, signed},
    },
    syntax::{header::ScanComponent, tables::HuffmanTables},
};

/// Reads the blocks of a scan.
pub struct Huffman<'a> {
    bits: BitReader<'a>,
    parts: Vec<Part>,
    /// Blocks of the band that have nothing more, from the next one on.
    blocks_over: u32,
}

/// One component of the scan.
struct Part {
    work: Work,
    /// Its last DC coefficient, without the bits of later scans.
    dc: i32,
}

/// What is to be read of each block, and by which tables.
enum Work {
    Whole(Box<(DcTable, AcTable)>),
    DcFirst(DcTable, u32),
    DcNextBit(u32),
    AcFirst(SymbolTable, Band),
    AcNextBit(SymbolTable, Band),
}

impl<'a> Huffman<'a> {
    /// Nothing if a table is missing.
    pub fn new(bits: BitReader<'a>, pass: Pass, components: &[ScanComponent], tables: &HuffmanTables) -> Option<Self> {
        let part = |component: &ScanComponent| {
            Some(Part {
                work: Work::new(pass, component, tables)?,
                dc: 0,
            })
        };
        Some(Self {
            bits,
            parts: components.iter().map(part).collect::<Option<_>>()?,
            blocks_over: 0,
        })
    }
}

impl<'a> Entropy<'a> for Huffman<'a> {
    fn begin(&mut self, bits: BitReader<'a>) {
        self.bits = bits;
        self.parts.iter_mut().for_each(|part| part.dc = 0);
        self.blocks_over = 0;
    }

    fn block(&mut self, part: usize, block: &mut Coefficients) -> Result<(), BadCode> {
        let (bits, blocks_over) = (&mut self.bits, &mut self.blocks_over);
        let Part { work, dc } = &mut self.parts[part];
        match work {
            Work::Whole(tables) => {
                *dc += tables.0.read(bits)?;
                put_dc(block, *dc, 0)?;
                tables.1.read::<63>(bits, block)
            }
            Work::DcFirst(table, low) => {
                *dc += table.read(bits)?;
                put_dc(block, *dc, *low)
            }
            Work::DcNextBit(low) => {
                block[0] |= i16::from(next_bit(bits)) << *low;
                Ok(())
            }
            Work::AcFirst(table, band) => read_first(*band, table, bits, blocks_over, block),
            Work::AcNextBit(table, band) => read_next_bit(*band, table, bits, blocks_over, block),
        }
    }

    fn bits(&self) -> &BitReader<'a> {
        &self.bits
    }

    fn has_run_out(&self) -> bool {
        self.bits.overrun()
    }
}

impl Work {
    fn new(pass: Pass, component: &ScanComponent, tables: &HuffmanTables) -> Option<Self> {
        let dc_table = || {
            let spec = tables.dc[component.dc].as_ref()?;
            spec.symbols.iter().all(|size| *size <= 15).then(|| DcTable::new(spec))
        };
        let ac_spec = || tables.ac[component.ac].as_ref();
        Some(match pass {
            Pass::Whole => Self::Whole(Box::new((dc_table()?, AcTable::new(ac_spec()?)))),
            Pass::DcFirst { low } => Self::DcFirst(dc_table()?, low),
            Pass::DcNextBit { low } => Self::DcNextBit(low),
            Pass::AcFirst(band) => Self::AcFirst(SymbolTable::new(ac_spec()?), band),
            Pass::AcNextBit(band) => Self::AcNextBit(SymbolTable::new(ac_spec()?), band),
        })
    }
}

/// The first bits of a block's coefficients. `blocks_over`: how many blocks from this one on have nothing more here.
fn read_first(
    band: Band,
    table: &SymbolTable,
    bits: &mut BitReader,
    blocks_over: &mut u32,
    block: &mut Coefficients,
) -> Result<(), BadCode> {
    if *blocks_over > 0 {
        *blocks_over -= 1;
        return Ok(());
    }
    let mut at = band.first;
    while at <= band.last {
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
        band.put(block, at, signed(bits.take(size), size))?;
        at += 1;
    }
    Ok(())
}

/// One more bit of the coefficients that are not zero, and those that become one or minus one by it.
fn read_next_bit(
    band: Band,
    table: &SymbolTable,
    bits: &mut BitReader,
    blocks_over: &mut u32,
    block: &mut Coefficients,
) -> Result<(), BadCode> {
    let mut at = band.first;
    while *blocks_over == 0 && at <= band.last {
        let symbol = table.read(bits)?;
        let (run, size) = (u32::from(symbol >> 4), symbol & 15);
        if size == 0 && run < 15 {
            *blocks_over = (1 << run) + bits.take(run);
            break;
        }
        let new = match size {
            0 => None,
            1 if next_bit(bits) => Some(1),
            1 => Some(-1),
            _ => return Err(BadCode),
        };
        at = refine(band, bits, block, at, run)?;
        if let Some(new) = new {
            band.put(block, at, new)?;
        }
        at += 1;
    }
    if *blocks_over > 0 {
        refine(band, bits, block, at, u32::MAX)?;
        *blocks_over -= 1;
    }
    Ok(())
}

/// Reads the next bit of every coefficient that has some already, up to the zero behind `zeros` others; returns where
/// that is.
fn refine(
    band: Band,
    bits: &mut BitReader,
    block: &mut Coefficients,
    from: usize,
    mut zeros: u32,
) -> Result<usize, BadCode> {
    for (at, value) in block.iter_mut().enumerate().take(band.last + 1).skip(from) {
        if *value == 0 {
            if zeros == 0 {
                return Ok(at);
            }
            zeros -= 1;
        } else if next_bit(bits) {
            band.refine(value)?;
        }
    }
    Ok(band.last + 1)
}

fn next_bit(bits: &mut BitReader) -> bool {
    bits.refill();
    bits.take(1) == 1
}
