//! Reads one scan after the other into the store; tables may change in between.

use super::{progressive::Band, store::Store};
use crate::jpeg::{
    JpegError, Unsupported,
    bits::{BitReader, Place},
    coding::Coefficients,
    frame::Process,
    header::{HuffmanTables, Jpeg, ScanHeader},
    huffman::{AcTable, BadCode, DcTable, SymbolTable},
    marker::{self, Segments},
};

/// All scans of a file.
pub struct Scans<'a> {
    jpeg: &'a Jpeg<'a>,
    go_on: &'a dyn Fn() -> bool,
    tables: HuffmanTables,
    restart_interval: u32,
    /// Which components have their lowest frequency.
    begun: [bool; 4],
}

impl<'a> Scans<'a> {
    pub fn new(jpeg: &'a Jpeg<'a>, go_on: &'a dyn Fn() -> bool) -> Self {
        Self {
            jpeg,
            go_on,
            tables: jpeg.huffman.clone(),
            restart_interval: u32::from(jpeg.restart_interval),
            begun: [false; 4],
        }
    }

    /// # Errors
    /// Those of [`Jpeg::in_one_scan`].
    pub fn read(mut self) -> Result<Store, JpegError> {
        self.check_length()?;
        let mut store = Store::new(&self.jpeg.frame);
        let mut header = self.jpeg.scan.clone();
        for _ in 0..self.jpeg.limits.scans {
            let end = Scan::open(&self, &header)?.read(&mut store)?;
            if header.spectrum[0] == 0 {
                header
                    .components
                    .iter()
                    .for_each(|part| self.begun[part.component] = true);
            }
            match self.next_header(end)? {
                Some(next) => header = next,
                None => return Ok(store),
            }
        }
        let limit = self.jpeg.limits.scans as u64;
        Err(JpegError::TooLarge {
            what: "scans",
            found: limit + 1,
            limit,
        })
    }

    /// A picture takes a bit for every block of its first component at the very least.
    fn check_length(&self) -> Result<(), JpegError> {
        let blocks = self.jpeg.frame.samples(0).pixels() / 64;
        if blocks > (self.jpeg.data.len() - self.jpeg.scan.start) as u64 * 8 {
            return Err(JpegError::Truncated {
                at: self.jpeg.data.len(),
                what: "the scans",
            });
        }
        Ok(())
    }

    /// What stands before the next scan; nothing at the end of the picture, which must be marked.
    fn next_header(&mut self, end: usize) -> Result<Option<ScanHeader>, JpegError> {
        let mut segments = Segments::new(self.jpeg.data, end);
        for _ in 0..self.jpeg.limits.segments {
            let Some(segment) = segments.next()? else {
                return Err(JpegError::Truncated {
                    at: self.jpeg.data.len(),
                    what: "the scans",
                });
            };
            let corrupt = |what| JpegError::Corrupt { at: segment.at, what };
            match segment.marker {
                marker::END_OF_IMAGE => return self.end(segment.at),
                marker::START_OF_SCAN => {
                    return ScanHeader::parse(segment.body, &self.jpeg.frame, segments.at())
                        .ok_or(corrupt("the scan header cannot be"))
                        .map(Some);
                }
                marker::HUFFMAN_TABLES => self
                    .tables
                    .read(segment.body)
                    .ok_or(corrupt("a Huffman table cannot be"))?,
                marker::RESTART_INTERVAL => {
                    let interval = segment.body.try_into().map(u16::from_be_bytes);
                    self.restart_interval = u32::from(interval.or(Err(corrupt("the restart interval is no number")))?);
                }
                marker::QUANTISATION_TABLES => return Err(Unsupported::LateTables.into()),
                marker::LINE_COUNT => return Err(Unsupported::LateHeight.into()),
                0xc0..=0xcf | marker::START_OF_IMAGE => return Err(corrupt("a second picture, or a second frame")),
                _ => {}
            }
        }
        let limit = self.jpeg.limits.segments as u64;
        Err(JpegError::TooLarge {
            what: "segments",
            found: limit + 1,
            limit,
        })
    }

    fn end(&self, at: usize) -> Result<Option<ScanHeader>, JpegError> {
        let is_whole = self
            .begun
            .iter()
            .take(self.jpeg.frame.components.len())
            .all(|begun| *begun);
        if is_whole {
            Ok(None)
        } else {
            Err(JpegError::Corrupt {
                at,
                what: "a component is in no scan",
            })
        }
    }
}

/// One scan.
struct Scan<'a> {
    jpeg: &'a Jpeg<'a>,
    go_on: &'a dyn Fn() -> bool,
    parts: Vec<Part>,
    bits: BitReader<'a>,
    /// Units between two restart markers; zero if there are none.
    interval: u32,
    /// The next unit.
    unit: u32,
    /// The last DC coefficient of each component of the frame, without the bits of later scans.
    dc: [i32; 4],
    /// Blocks of this band that have nothing more, from the next one on.
    blocks_over: u32,
}

/// One component of a scan.
struct Part {
    component: usize,
    work: Work,
}

/// What a scan says of each block.
enum Work {
    /// All of it.
    Whole(Box<(DcTable, AcTable)>),
    DcFirst(DcTable, u32),
    DcNextBit(u32),
    AcFirst(SymbolTable, Band),
    AcNextBit(SymbolTable, Band),
}

impl<'a> Scan<'a> {
    fn open(scans: &Scans<'a>, header: &ScanHeader) -> Result<Self, JpegError> {
        let corrupt = |what| JpegError::Corrupt { at: header.start, what };
        let parts = header.components.iter().map(|part| {
            let component = part.component;
            let work = work(scans, header, part.dc, part.ac, scans.begun[component]);
            Some(Part { component, work: work? })
        });
        Ok(Self {
            jpeg: scans.jpeg,
            go_on: scans.go_on,
            parts: parts.collect::<Option<_>>().ok_or(corrupt("a scan that cannot be"))?,
            bits: BitReader::new(scans.jpeg.data, Place::byte(header.start)),
            interval: scans.restart_interval,
            unit: 0,
            dc: [0; 4],
            blocks_over: 0,
        })
    }

    /// Returns where its bytes end.
    fn read(mut self, store: &mut Store) -> Result<usize, JpegError> {
        let parts = std::mem::take(&mut self.parts);
        if let [part] = &parts[..] {
            // Alone, a component is coded block by block, without those that only fill up a unit (A.2.2).
            let samples = self.jpeg.frame.samples(part.component);
            let (width, height) = (samples.width.div_ceil(8), samples.height.div_ceil(8));
            self.rows(width, height, |scan, x, y| {
                scan.block(part, store.block_mut(part.component, x, y))
            })?;
        } else {
            let units = self.jpeg.frame.units();
            self.rows(units.width, units.height, |scan, column, row| {
                for part in &parts {
                    let (horizontal, vertical) = scan.jpeg.frame.factors(part.component);
                    for (y, x) in (0..vertical).flat_map(|y| (0..horizontal).map(move |x| (y, x))) {
                        let (x, y) = (column * horizontal + x, row * vertical + y);
                        scan.block(part, store.block_mut(part.component, x, y))?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(self.next_byte())
    }

    fn rows(
        &mut self,
        width: u32,
        height: u32,
        mut each: impl FnMut(&mut Self, u32, u32) -> Result<(), BadCode>,
    ) -> Result<(), JpegError> {
        for row in 0..height {
            if !(self.go_on)() {
                return Err(JpegError::Stopped);
            }
            for column in 0..width {
                if self.interval > 0 && self.unit > 0 && self.unit.is_multiple_of(self.interval) {
                    self.restart()?;
                }
                each(self, column, row).map_err(|_| self.corrupt("the entropy-coded data cannot be"))?;
                if self.bits.overrun() {
                    return Err(self.corrupt("the scan is too short"));
                }
                self.unit += 1;
            }
        }
        Ok(())
    }

    fn block(&mut self, part: &Part, block: &mut Coefficients) -> Result<(), BadCode> {
        let bits = &mut self.bits;
        match &part.work {
            Work::Whole(tables) => {
                let (dc, ac) = &**tables;
                self.dc[part.component] += dc.read(bits)?;
                block[0] = i16::try_from(self.dc[part.component]).map_err(|_| BadCode)?;
                ac.read::<63>(bits, block)
            }
            Work::DcFirst(table, low) => {
                self.dc[part.component] += table.read(bits)?;
                let value = self.dc[part.component].checked_mul(1 << low).ok_or(BadCode)?;
                block[0] = i16::try_from(value).map_err(|_| BadCode)?;
                Ok(())
            }
            Work::DcNextBit(low) => {
                bits.refill();
                block[0] |= (bits.take(1) as i16) << low;
                Ok(())
            }
            Work::AcFirst(table, band) => band.read_first(table, bits, &mut self.blocks_over, block),
            Work::AcNextBit(table, band) => band.read_next_bit(table, bits, &mut self.blocks_over, block),
        }
    }

    fn restart(&mut self) -> Result<(), JpegError> {
        let number = (self.unit / self.interval - 1) % 8;
        match marker::next_marker(self.jpeg.data, self.next_byte()) {
            Some((marker, at)) if marker == marker::FIRST_RESTART + number as u8 => {
                self.bits = BitReader::new(self.jpeg.data, Place::byte(at));
                self.dc = [0; 4];
                self.blocks_over = 0;
                Ok(())
            }
            _ => Err(self.corrupt("a restart marker is missing or out of order")),
        }
    }

    /// Where the bytes end that were read so far.
    fn next_byte(&self) -> usize {
        self.bits.place().next_byte(self.jpeg.data)
    }

    #[cold]
    fn corrupt(&self, what: &'static str) -> JpegError {
        let at = self.next_byte();
        if self.bits.overrun() {
            JpegError::Truncated { at, what: "a scan" }
        } else {
            JpegError::Corrupt { at, what }
        }
    }
}

/// What a scan does to the blocks of a component; nothing if it may not, or lacks a table.
fn work(scans: &Scans, header: &ScanHeader, dc: usize, ac: usize, has_begun: bool) -> Option<Work> {
    let dc_table = || {
        let spec = scans.tables.dc[dc].as_ref()?;
        spec.symbols.iter().all(|size| *size <= 15).then(|| DcTable::new(spec))
    };
    let ac_spec = || scans.tables.ac[ac].as_ref();
    let [first, last, bits] = header.spectrum;
    let (high, low) = (u32::from(bits >> 4), u32::from(bits & 15));
    if scans.jpeg.frame.process != Process::Progressive {
        let is_new_and_whole = !has_begun && header.spectrum == [0, 63, 0];
        return is_new_and_whole
            .then(|| Some(Work::Whole(Box::new((dc_table()?, AcTable::new(ac_spec()?))))))
            .flatten();
    }
    let band = Band {
        first: usize::from(first),
        last: usize::from(last),
        low,
    };
    let is_next_bit = high > 0;
    if low > 13 || is_next_bit && high != low + 1 {
        return None;
    }
    if first == 0 {
        return match (last, is_next_bit, has_begun) {
            (0, false, false) => Some(Work::DcFirst(dc_table()?, low)),
            (0, true, true) => Some(Work::DcNextBit(low)),
            _ => None,
        };
    }
    if !(first..64).contains(&last) || header.components.len() != 1 {
        return None;
    }
    let table = SymbolTable::new(ac_spec()?);
    Some(match is_next_bit {
        false => Work::AcFirst(table, band),
        true => Work::AcNextBit(table, band),
    })
}
