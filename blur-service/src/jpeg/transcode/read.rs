//! Reads one scan after the other into the store; tables may change in between.

use super::{arithmetic::Arithmetic, huffman::Huffman, pass::Pass, scan::Scan, store::Store};
use crate::jpeg::{
    entropy::bits::{BitReader, Place},
    error::{JpegError, Unsupported},
    syntax::{
        conditioning::Conditioning,
        header::{Jpeg, ScanHeader},
        marker::{self, Segments},
        tables::HuffmanTables,
    },
};

/// All scans of a file.
pub struct Scans<'a> {
    jpeg: &'a Jpeg<'a>,
    go_on: &'a dyn Fn() -> bool,
    tables: HuffmanTables,
    conditioning: Conditioning,
    restart_interval: u32,
    /// How many bits of each component's lowest frequencies, in zigzag order, have yet to come.
    missing: [[u8; SMOOTHED]; 4],
}

impl<'a> Scans<'a> {
    pub fn new(jpeg: &'a Jpeg<'a>, go_on: &'a dyn Fn() -> bool) -> Self {
        Self {
            jpeg,
            go_on,
            tables: jpeg.huffman.clone(),
            conditioning: jpeg.conditioning,
            restart_interval: u32::from(jpeg.restart_interval),
            missing: [[ALL_BITS; SMOOTHED]; 4],
        }
    }

    /// # Errors
    /// Those of [`Jpeg::in_one_scan`].
    pub fn read(mut self) -> Result<Store, JpegError> {
        self.check_length()?;
        let mut store = Store::new(&self.jpeg.frame);
        let mut header = self.jpeg.scan.clone();
        for _ in 0..self.jpeg.limits.scans {
            let end = self.read_scan(&header, &mut store)?;
            self.has_come(&header);
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

    fn has_come(&mut self, header: &ScanHeader) {
        let [first, last, bits] = header.spectrum.map(usize::from);
        for part in &header.components {
            let band = self.missing[part.component].get_mut(first..).unwrap_or_default();
            band.iter_mut()
                .take(last + 1 - first)
                .for_each(|missing| *missing = bits as u8 & 15);
        }
    }

    /// Returns where its bytes end.
    fn read_scan(&self, header: &ScanHeader, store: &mut Store) -> Result<usize, JpegError> {
        let corrupt = || JpegError::Corrupt {
            at: header.start,
            what: "a scan that cannot be",
        };
        let pass = self.pass(header).ok_or_else(corrupt)?;
        let bits = BitReader::new(self.jpeg.data, Place::byte(header.start));
        let (end, slack) = if self.jpeg.frame.process.is_arithmetic() {
            let entropy = Arithmetic::new(bits, pass, &header.components, self.conditioning);
            (self.scan(header, entropy).read(store)?, MOST_UNREAD)
        } else {
            let entropy = Huffman::new(bits, pass, &header.components, &self.tables).ok_or_else(corrupt)?;
            (self.scan(header, entropy).read(store)?, 0)
        };
        marker::check_end_of_scan(self.jpeg.data, end, slack)?;
        Ok(end)
    }

    fn scan<E>(&self, header: &'a ScanHeader, entropy: E) -> Scan<'a, E> {
        Scan {
            jpeg: self.jpeg,
            go_on: self.go_on,
            header,
            entropy,
            interval: self.restart_interval,
        }
    }

    fn pass(&self, header: &ScanHeader) -> Option<Pass> {
        let mut begun = header
            .components
            .iter()
            .map(|part| has_begun(&self.missing[part.component]));
        let has_begun = begun.next()?;
        let is_progressive = self.jpeg.frame.process.is_progressive();
        begun
            .all(|other| other == has_begun)
            .then(|| Pass::new(header, is_progressive, has_begun))
            .flatten()
    }

    /// A picture in Huffman codes takes a bit for every block of its first component at the very least.
    fn check_length(&self) -> Result<(), JpegError> {
        if self.jpeg.frame.process.is_arithmetic() {
            return Ok(());
        }
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
                marker::HUFFMAN_TABLES => {
                    let are_sound = self.tables.read(segment.body);
                    are_sound.ok_or(corrupt("a Huffman table is not as long as it says"))?;
                }
                marker::CONDITIONING => self
                    .conditioning
                    .read(segment.body)
                    .ok_or(corrupt("the conditioning of arithmetic codes cannot be"))?,
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

    /// Viewers smooth a picture whose lowest frequencies are not all there, so that it is none of what is coded.
    fn end(&self, at: usize) -> Result<Option<ScanHeader>, JpegError> {
        let mut missing = self.missing.iter().take(self.jpeg.frame.components.len());
        if !missing.clone().all(has_begun) {
            let what = "a component is in no scan";
            return Err(JpegError::Corrupt { at, what });
        }
        let is_sharp = missing.all(|missing| *missing == [0; SMOOTHED]);
        match is_sharp {
            true => Ok(None),
            false => Err(JpegError::Truncated { at, what: "the scans" }),
        }
    }
}

/// Whether the first bits of a component's lowest frequency have come.
fn has_begun(missing: &[u8; SMOOTHED]) -> bool {
    missing[0] < ALL_BITS
}

/// Of a component, from the lowest one on: where one of so many is not known to its last bit, libjpeg smooths.
const SMOOTHED: usize = 10;
const ALL_BITS: u8 = 16;

/// An encoder of arithmetic codes writes so many bytes at the end that no decision needs.
const MOST_UNREAD: usize = 4;
