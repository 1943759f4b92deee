//! One scan, unit by unit and interval by interval, however its blocks are coded.

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

    /// Whether blocks were read that are not there, as far as the bits tell.
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
        if let [part] = &parts[..] {
            self.rows(size, |entropy, x, y| {
                entropy.block(0, store.block_mut(part.component, x, y))
            })?;
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
            })?;
        }
        Ok(self.next_byte())
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

    fn rows(
        &mut self,
        size: Size,
        mut each: impl FnMut(&mut E, u32, u32) -> Result<(), BadCode>,
    ) -> Result<(), JpegError> {
        let mut unit = 0;
        for row in 0..size.height {
            if !(self.go_on)() {
                return Err(JpegError::Stopped);
            }
            for column in 0..size.width {
                if self.interval > 0 && unit > 0 && unit % self.interval == 0 {
                    self.restart(unit / self.interval - 1)?;
                }
                each(&mut self.entropy, column, row).map_err(|_| self.corrupt("the entropy-coded data cannot be"))?;
                if self.entropy.has_run_out() {
                    return Err(self.corrupt("the scan is too short"));
                }
                unit += 1;
            }
        }
        Ok(())
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
