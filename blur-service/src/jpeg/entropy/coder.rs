//! Codes blocks, and counts the symbols that a table lacks.

use super::{
    bits::BitWriter,
    coding::{Block, Coefficients},
    huffman::{END_OF_BLOCK, SIXTEEN_ZEROS},
    optimal::Frequencies,
};
use crate::jpeg::{
    error::JpegError,
    syntax::{
        marker,
        spec::{Codes, Spec},
        tables::HuffmanTables,
    },
};

/// Codes blocks with given tables.
pub struct Coder {
    pub writer: BitWriter,
    /// The last DC coefficient of each component of the frame.
    pub dc: [i16; 4],
    dc_codes: [Option<Codes>; 4],
    ac_codes: [Option<Codes>; 4],
    /// Symbols asked for that no table has, and how often.
    missing: Symbols,
}

impl Coder {
    /// Behind these headers.
    pub fn new(headers: Vec<u8>, tables: &HuffmanTables) -> Self {
        let codes = |spec: &Option<Spec>| spec.as_ref().map(Codes::new);
        Self {
            writer: BitWriter::new(headers),
            dc: [0; 4],
            dc_codes: tables.dc.each_ref().map(codes),
            ac_codes: tables.ac.each_ref().map(codes),
            missing: Symbols::default(),
        }
    }

    pub fn put_block(&mut self, block: &Block, values: &Coefficients) -> Result<(), JpegError> {
        self.put_dc(block, values[0])?;
        let (mut zeros, mut rest) = (0, &values[1..]);
        while let [value, others @ ..] = rest {
            // Most of what is painted is zeros.
            if let Some((&[0, 0, 0, 0], others)) = rest.split_first_chunk() {
                zeros += 4;
                rest = others;
                continue;
            }
            rest = others;
            if *value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                self.put_ac(block, SIXTEEN_ZEROS, 0);
                zeros -= 16;
            }
            let (size, extra) = magnitude(i32::from(*value));
            if size > 15 {
                return Err(OUT_OF_RANGE);
            }
            self.put_ac(block, zeros << 4 | size as u8, extra);
            zeros = 0;
        }
        if zeros > 0 {
            self.put_ac(block, END_OF_BLOCK, 0);
        }
        Ok(())
    }

    pub fn put_dc(&mut self, block: &Block, value: i16) -> Result<(), JpegError> {
        let (size, extra) = magnitude(i32::from(value) - i32::from(self.dc[block.component]));
        self.dc[block.component] = value;
        if size > 15 {
            return Err(OUT_OF_RANGE);
        }
        match self.dc_codes[block.dc]
            .as_ref()
            .and_then(|codes| codes.find(size as u8))
        {
            Some((code, length)) => self.writer.put(code << size | extra, length + size),
            None => self.missing.dc[block.dc][size as usize] += 1,
        }
        Ok(())
    }

    fn put_ac(&mut self, block: &Block, symbol: u8, extra: u32) {
        let size = u32::from(symbol & 15);
        match self.ac_codes[block.ac].as_ref().and_then(|codes| codes.find(symbol)) {
            Some((code, length)) => self.writer.put(code << size | extra, length + size),
            None => self.missing.ac[block.ac][usize::from(symbol)] += 1,
        }
    }

    /// Ends the file.
    pub fn end(mut self) -> Written {
        if !self.missing.is_empty() {
            return Written::Lacking(self.missing);
        }
        let out = self.writer.finish();
        out.extend([0xff, marker::END_OF_IMAGE]);
        Written::Whole(std::mem::take(out))
    }
}

/// What a coder made of a scan.
pub enum Written {
    Whole(Vec<u8>),
    Lacking(Symbols),
}

impl Written {
    /// The file, which must be whole with these tables.
    pub fn whole(self) -> Result<Vec<u8>, JpegError> {
        match self {
            Self::Whole(file) => Ok(file),
            Self::Lacking(_) => Err(JpegError::Unproven("a table that was made for the scan lacks a symbol")),
        }
    }
}

/// How often symbols of each table are needed.
pub struct Symbols {
    pub dc: Box<[Frequencies; 4]>,
    pub ac: Box<[Frequencies; 4]>,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            dc: Box::new([[0; 256]; 4]),
            ac: Box::new([[0; 256]; 4]),
        }
    }
}

impl Symbols {
    fn is_empty(&self) -> bool {
        self.dc.iter().chain(self.ac.iter()).flatten().all(|count| *count == 0)
    }

    /// The shortest tables for these symbols.
    pub fn optimal(&self) -> HuffmanTables {
        let table = |frequencies: &Frequencies| {
            frequencies
                .iter()
                .any(|count| *count > 0)
                .then(|| Spec::optimal(frequencies))
        };
        HuffmanTables {
            dc: self.dc.each_ref().map(table),
            ac: self.ac.each_ref().map(table),
        }
    }

    /// What they take with these tables, their extra bits included.
    pub fn bits(&self, tables: &HuffmanTables) -> u64 {
        let taken = |(spec, frequencies): (&Option<Spec>, &Frequencies)| -> u64 {
            let codes = spec.iter().flat_map(Spec::codes);
            codes
                .map(|(_, length, symbol)| {
                    u64::from(frequencies[usize::from(symbol)]) * u64::from(length + u32::from(symbol & 15))
                })
                .sum()
        };
        let dc: u64 = tables.dc.iter().zip(self.dc.iter()).map(taken).sum();
        let ac: u64 = tables.ac.iter().zip(self.ac.iter()).map(taken).sum();
        dc + ac
    }

    /// `tables` with these symbols added, if there is room in each.
    pub fn extended(&self, tables: &HuffmanTables) -> Option<HuffmanTables> {
        let mut extended = tables.clone();
        for (spec, needed) in extended
            .dc
            .iter_mut()
            .zip(self.dc.iter())
            .chain(extended.ac.iter_mut().zip(self.ac.iter()))
        {
            let missing: Vec<u8> = (0..=255).filter(|symbol| needed[usize::from(*symbol)] > 0).collect();
            if !missing.is_empty() {
                *spec = Some(spec.as_ref()?.extended(&missing)?);
            }
        }
        Some(extended)
    }
}

/// How many extra bits a value takes, and those bits (F.1.2.1).
fn magnitude(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value };
    (size, bits as u32 & ((1 << size) - 1))
}

const OUT_OF_RANGE: JpegError = JpegError::Corrupt {
    at: 0,
    what: "coefficients are too far apart to be coded",
};

/// Room for headers and for blocks that take more than those they replace.
pub const SPARE: usize = 64 << 10;
