//! One scan, unit by unit and interval by interval, however its blocks are coded.

use std::ops::Range;

use super::store::Store;
use crate::{
    geometry::Size,
    jpeg::{
        entropy::{
            bits::{BitReader, Place},
            coding::Coefficients,
            huffman::BadCode,
        },
        error::JpegError,
        syntax::{
            header::{Jpeg, ScanHeader},
            marker,
        },
    },
};

/// Reads the blocks of a scan.
pub trait Entropy<'a> {
    /// Begins another interval, which depends on nothing before it.
    fn begin(&mut self, bits: BitReader<'a>);

    /// Completes the next block, which belongs to the component at this place in the scan's header.
    fn block(&mut self, part: usize, block: &mut Coefficients) -> Result<(), BadCode>;

    /// What is left of the interval.
    fn bits(&self) -> &BitReader<'a>;

    /// Whether blocks were read that are not there.
    fn has_run_out(&self) -> bool;
}

pub struct Scan<'a, E> {
    pub jpeg: &'a Jpeg<'a>,
    pub go_on: &'a dyn Fn() -> bool,
    pub header: &'a ScanHeader,
    pub entropy: E,
    /// Units between two restart markers; zero if there are none.
    pub interval: u32,
}

impl<'a, E: Entropy<'a>> Scan<'a, E> {
    /// Returns where its bytes end.
    pub fn read(mut self, store: &mut Store) -> Result<usize, JpegError> {
        let (frame, parts) = (&self.jpeg.frame, &self.header.components);
        let size = self.units();
        let lacking = if let [part] = &parts[..] {
            self.rows(size, |entropy, x, y| {
                entropy.block(0, store.block_mut(part.component, x, y))
            })?
        } else {
            self.rows(size, |entropy, column, row| {
                for (index, part) in parts.iter().enumerate() {
                    let (horizontal, vertical) = frame.factors(part.component);
                    for (y, x) in (0..vertical).flat_map(|y| (0..horizontal).map(move |x| (y, x))) {
                        let (x, y) = (column * horizontal + x, row * vertical + y);
                        entropy.block(index, store.block_mut(part.component, x, y))?;
                    }
                }
                Ok(())
            })?
        };
        let at = self.next_byte();
        match self.begins_blocks() && lacking.into_iter().any(|units| self.breaks_off(units, store)) {
            true => Err(JpegError::Truncated { at, what: "a scan" }),
            false => Ok(at),
        }
    }

    /// Alone, a component is coded block by block, without those that only fill up a unit (A.2.2).
    fn units(&self) -> Size {
        let frame = &self.jpeg.frame;
        match &self.header.components[..] {
            [part] => {
                let samples = frame.samples(part.component);
                Size {
                    width: samples.width.div_ceil(8),
                    height: samples.height.div_ceil(8),
                }
            }
            _ => frame.units(),
        }
    }

    /// Returns, of each interval that took bits which are not there, the units from the first such one on.
    fn rows(
        &mut self,
        size: Size,
        mut each: impl FnMut(&mut E, u32, u32) -> Result<(), BadCode>,
    ) -> Result<Vec<Range<u32>>, JpegError> {
        let (mut unit, mut lacking) = (0, Vec::new());
        let mut first_lacking = None;
        for row in 0..size.height {
            if !(self.go_on)() {
                return Err(JpegError::Stopped);
            }
            for column in 0..size.width {
                if self.interval > 0 && unit > 0 && unit % self.interval == 0 {
                    self.restart(unit / self.interval - 1)?;
                    lacking.extend(first_lacking.take().map(|first| first..unit));
                }
                each(&mut self.entropy, column, row).map_err(|_| self.corrupt("the entropy-coded data cannot be"))?;
                if self.entropy.has_run_out() {
                    return Err(self.corrupt("the scan is too short"));
                }
                if self.entropy.bits().missing() > MOST_LEFT_OUT {
                    first_lacking.get_or_insert(unit);
                }
                unit += 1;
            }
        }
        lacking.extend(first_lacking.map(|first| first..unit));
        Ok(lacking)
    }

    /// Whether the blocks have what comes first in them, their brightness, from this scan.
    fn begins_blocks(&self) -> bool {
        let [first, _, bits] = self.header.spectrum;
        first == 0 && bits >> 4 == 0
    }

    /// Arithmetic codes go on without any bit, with blocks that are all the same, where a file breaks off; and an encoder
    /// leaves out the bits of blocks that are all the same at the end of a picture. Those are a ground that is above them
    /// too, or begin with a row.
    fn breaks_off(&self, units: Range<u32>, store: &Store) -> bool {
        let width = self.units().width;
        let is_same = |one: u32, other: u32| self.blocks(one, store).eq(self.blocks(other, store));
        let begins = |unit: u32| unit.is_multiple_of(width) || self.interval > 0 && unit.is_multiple_of(self.interval);
        let mut first = units.start;
        while !begins(first) && is_same(first - 1, first) {
            first -= 1;
        }
        let mut below = (first..units.end)
            .take(width as usize)
            .filter(|unit| *unit >= width)
            .peekable();
        !begins(first) && below.peek().is_some() && below.all(|unit| !is_same(unit - width, unit))
    }

    /// The first block of each component in a unit.
    fn blocks<'s>(&self, unit: u32, store: &'s Store) -> impl Iterator<Item = &'s Coefficients> {
        let parts = &self.header.components;
        let (width, is_alone) = (self.units().width, parts.len() == 1);
        let (column, row) = (unit % width, unit / width);
        parts.iter().map(move |part| {
            let (horizontal, vertical) = if is_alone {
                (1, 1)
            } else {
                self.jpeg.frame.factors(part.component)
            };
            store.block(part.component, column * horizontal, row * vertical)
        })
    }

    /// Steps over the restart marker of this number.
    fn restart(&mut self, number: u32) -> Result<(), JpegError> {
        match marker::next_marker(self.jpeg.data, self.next_byte()) {
            Some((marker, at)) if marker == marker::FIRST_RESTART + (number % 8) as u8 => {
                self.entropy.begin(BitReader::new(self.jpeg.data, Place::byte(at)));
                Ok(())
            }
            _ => Err(self.corrupt("a restart marker is missing or out of order")),
        }
    }

    /// Where the bytes end that were read so far.
    fn next_byte(&self) -> usize {
        self.entropy.bits().place().next_byte(self.jpeg.data)
    }

    #[cold]
    fn corrupt(&self, what: &'static str) -> JpegError {
        let at = self.next_byte();
        if self.entropy.bits().overrun() {
            JpegError::Truncated { at, what: "a scan" }
        } else {
            JpegError::Corrupt { at, what }
        }
    }
}

/// Bits at the end of arithmetic codes that a decoder takes and an encoder leaves out: the two bytes that it looks ahead,
/// and now and then some zeros.
const MOST_LEFT_OUT: u32 = 40;
