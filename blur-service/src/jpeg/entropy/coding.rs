//! How the blocks of a scan follow each other, and a cursor that reads them unit by unit.
//!
//! A unit (the standard's MCU) is the smallest group of blocks that is coded as a whole.

use super::{
    bits::{BitReader, Place},
    huffman::{AcTable, BadCode, DcTable},
};
use crate::{
    geometry::Size,
    jpeg::{
        error::JpegError,
        syntax::{
            header::{Jpeg, ScanComponent},
            marker,
        },
    },
};

/// Tables and order of one scan.
pub struct Coding {
    /// How many units lie beside and below each other.
    pub units: Size,
    /// How many there are.
    pub total: u32,
    /// How many an interval has, after which a restart marker stands; all of them if there are no such markers.
    pub interval: u32,
    /// The blocks of a unit, in their order.
    pub blocks: Vec<Block>,
    dc: Vec<DcTable>,
    ac: Vec<AcTable>,
}

/// One block of a unit.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Its component's place in the frame.
    pub component: usize,
    /// Its place among the blocks of its component in the unit.
    pub x: u32,
    pub y: u32,
    /// The numbers of its Huffman tables in the file.
    pub dc: usize,
    pub ac: usize,
    /// Where its tables lie in [`Coding`].
    dc_table: usize,
    ac_table: usize,
}

/// One for the DC difference and one for the end.
pub const LEAST_BITS_OF_A_BLOCK: u64 = 2;

/// What the standard allows a unit of several components.
pub const MOST_BLOCKS: usize = 10;

impl Coding {
    pub fn new(jpeg: &Jpeg) -> Result<Self, JpegError> {
        jpeg.supported()?;
        let corrupt = |what| JpegError::Corrupt {
            at: jpeg.scan.start,
            what,
        };
        let (mut dc, mut ac) = (Vec::new(), Vec::new());
        for number in numbers(jpeg, |part| part.dc) {
            let spec = jpeg.huffman.dc[number].as_ref().ok_or(corrupt(NO_TABLE))?;
            if spec.symbols.iter().any(|size| *size > 15) {
                return Err(corrupt("a Huffman table has differences of more than 15 bits"));
            }
            dc.push(DcTable::new(spec));
        }
        for number in numbers(jpeg, |part| part.ac) {
            ac.push(AcTable::new(jpeg.huffman.ac[number].as_ref().ok_or(corrupt(NO_TABLE))?));
        }
        let blocks = blocks(jpeg);
        if blocks.len() > MOST_BLOCKS {
            return Err(corrupt("a unit has more than ten blocks"));
        }
        if jpeg
            .frame
            .components
            .iter()
            .any(|component| jpeg.quantisation[usize::from(component.quantisation)].is_none())
        {
            return Err(corrupt("a quantisation table is missing"));
        }
        let units = jpeg.frame.units();
        let total = units.width * units.height;
        let interval = match jpeg.restart_interval {
            0 => total,
            interval => u32::from(interval).min(total),
        };
        Ok(Self {
            units,
            total,
            interval,
            blocks,
            dc,
            ac,
        })
    }

    /// Bits of the shortest scan there can be.
    pub fn least_bits(&self) -> u64 {
        u64::from(self.total) * self.blocks.len() as u64 * LEAST_BITS_OF_A_BLOCK
    }

    /// Column and row of a unit.
    pub fn position(&self, unit: u32) -> (u32, u32) {
        (unit % self.units.width, unit / self.units.width)
    }
}

/// The blocks of a unit, in their order.
pub fn blocks(jpeg: &Jpeg) -> Vec<Block> {
    let (dc_numbers, ac_numbers) = (numbers(jpeg, |part| part.dc), numbers(jpeg, |part| part.ac));
    let place = |numbers: &[usize], number| numbers.iter().position(|other| *other == number).unwrap_or(0);
    let of_component = |part: &ScanComponent| {
        let (horizontal, vertical) = jpeg.frame.factors(part.component);
        let first = Block {
            component: part.component,
            x: 0,
            y: 0,
            dc: part.dc,
            ac: part.ac,
            dc_table: place(&dc_numbers, part.dc),
            ac_table: place(&ac_numbers, part.ac),
        };
        (0..vertical).flat_map(move |y| (0..horizontal).map(move |x| Block { x, y, ..first }))
    };
    jpeg.scan.components.iter().flat_map(of_component).collect()
}

/// The numbers in the file of the tables that a scan uses, each once.
fn numbers(jpeg: &Jpeg, number: fn(&ScanComponent) -> usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = jpeg.scan.components.iter().map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

const NO_TABLE: &str = "a Huffman table is missing";

/// Coefficients of a block, quantised, in zigzag order.
pub type Coefficients = [i16; 64];

/// Reads a scan from one unit to the next.
#[derive(Clone)]
pub struct Cursor<'a> {
    coding: &'a Coding,
    data: &'a [u8],
    pub reader: BitReader<'a>,
    /// The next unit.
    unit: u32,
    /// Units left until a restart marker.
    left: u32,
    /// The last DC coefficient of each component of the frame.
    pub dc: [i16; 4],
    /// Whether an interval so far had bytes behind its last unit.
    pub found_surplus: bool,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a scan.
    pub fn new(coding: &'a Coding, data: &'a [u8], start: usize) -> Self {
        Self::within(coding, data, Place::byte(start), 0, [0; 4])
    }

    /// Before `unit`, behind any restart marker.
    pub fn within(coding: &'a Coding, data: &'a [u8], place: Place, unit: u32, dc: [i16; 4]) -> Self {
        let left = coding.interval - unit % coding.interval;
        Self {
            coding,
            data,
            reader: BitReader::new(data, place),
            unit,
            left,
            dc,
            found_surplus: false,
        }
    }

    pub fn unit(&self) -> u32 {
        self.unit
    }

    pub fn place(&self) -> Place {
        self.reader.place()
    }

    /// Where the bytes of the unit before end.
    pub fn next_byte(&self) -> usize {
        self.place().next_byte(self.data)
    }

    /// Steps over a restart marker, if one is due.
    #[inline(always)]
    pub fn begin_unit(&mut self) -> Result<(), JpegError> {
        if self.left > 0 { Ok(()) } else { self.restart() }
    }

    #[cold]
    fn restart(&mut self) -> Result<(), JpegError> {
        let end = self.next_byte();
        let Some((marker, at)) = marker::next_marker(self.data, end) else {
            return Err(JpegError::Truncated {
                at: end,
                what: "the scan",
            });
        };
        let number = (self.unit / self.coding.interval).wrapping_sub(1) % 8;
        if marker != marker::FIRST_RESTART + number as u8 {
            return Err(JpegError::Corrupt {
                at,
                what: "a restart marker is missing or out of order",
            });
        }
        self.found_surplus |= self
            .data
            .get(end..at - 1)
            .is_none_or(|fill| fill.iter().any(|byte| *byte != 0xff));
        self.reader = BitReader::new(self.data, Place::byte(at));
        self.dc = [0; 4];
        self.left = self.coding.interval;
        Ok(())
    }

    /// Reads a unit: coefficients up to zigzag index `LAST` of each block; the others are zero.
    #[inline(always)]
    pub fn read_unit<const LAST: usize>(
        &mut self,
        mut each: impl FnMut(&'a Block, &Coefficients),
    ) -> Result<(), JpegError> {
        self.begin_unit()?;
        let coding = self.coding;
        for block in &coding.blocks {
            let mut values = [0; 64];
            values[0] = self.read_dc(block)?;
            self.read_ac::<LAST>(block, &mut values)?;
            each(block, &values);
        }
        self.end_unit()
    }

    pub fn skip_unit(&mut self) -> Result<(), JpegError> {
        self.read_unit::<0>(|_, _| ())
    }

    /// The DC coefficient of the next block.
    #[inline(always)]
    pub fn read_dc(&mut self, block: &Block) -> Result<i16, JpegError> {
        let difference = self.coding.dc[block.dc_table]
            .read(&mut self.reader)
            .map_err(|bad| self.corrupt(bad))?;
        let value = i32::from(self.dc[block.component]) + difference;
        let Ok(value) = i16::try_from(value) else {
            return Err(self.corrupt(BadCode));
        };
        self.dc[block.component] = value;
        Ok(value)
    }

    /// The other coefficients of the block.
    #[inline(always)]
    pub fn read_ac<const LAST: usize>(&mut self, block: &Block, values: &mut Coefficients) -> Result<(), JpegError> {
        self.coding.ac[block.ac_table]
            .read::<LAST>(&mut self.reader, values)
            .map_err(|bad| self.corrupt(bad))
    }

    #[inline(always)]
    pub fn end_unit(&mut self) -> Result<(), JpegError> {
        if self.reader.overrun() {
            return Err(JpegError::Truncated {
                at: self.next_byte(),
                what: "the scan",
            });
        }
        self.unit += 1;
        self.left -= 1;
        Ok(())
    }

    /// Takes the units up to `unit` of the same interval for read, whose last DC coefficients are `dc`.
    pub fn passed(&mut self, unit: u32, dc: [i16; 4]) {
        self.left -= unit - self.unit;
        self.unit = unit;
        self.dc = dc;
    }

    /// Goes on at a byte behind the last unit of an interval, before `unit` and any restart marker.
    pub fn continue_at(&mut self, byte: usize, unit: u32) {
        self.reader = BitReader::new(self.data, Place::byte(byte));
        self.unit = unit;
        self.left = 0;
    }

    #[cold]
    fn corrupt(&self, _: BadCode) -> JpegError {
        let at = self.next_byte();
        if self.reader.overrun() {
            JpegError::Truncated { at, what: "the scan" }
        } else {
            JpegError::Corrupt {
                at,
                what: "the entropy-coded data cannot be",
            }
        }
    }
}
