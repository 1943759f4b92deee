//! JPEGs in several scans or arithmetic codes: read into memory, coefficient by coefficient, and written as one scan of
//! the same coefficients in Huffman codes, which the splice then works upon (`jpegtran`'s idea).

mod arithmetic;
mod huffman;
mod pass;
mod read;
mod scan;
mod store;

use self::{read::Scans, store::Store};
use super::{
    entropy::{
        coder::{Coder, SPARE, Written},
        coding::{Block, Coding, Coefficients, Cursor, LEAST_BITS_OF_A_BLOCK, MOST_BLOCKS, blocks},
    },
    error::{JpegError, Unsupported},
    syntax::{
        frame::{Frame, Process},
        header::{Jpeg, ScanComponent, ScanHeader},
        output::{self, Metadata},
        tables::HuffmanTables,
    },
};

impl Jpeg<'_> {
    /// The same picture as a file of one Huffman scan, every coefficient as it was, without any metadata. Takes the
    /// memory of all coefficients: two bytes a sample. `go_on` is asked once a row of units. Its tables count every block:
    /// whoever hides anything in it reads it [`Jpeg::with_fresh_tables`].
    ///
    /// # Errors
    /// [`JpegError::Unsupported`] for what has no such form, [`JpegError::TooLarge`] for too many scans or a picture that
    /// no camera makes so few bytes of, [`JpegError::Truncated`], [`JpegError::Corrupt`], [`JpegError::Stopped`]; [`JpegError::Unproven`].
    pub fn in_one_scan(&self, go_on: &dyn Fn() -> bool) -> Result<Vec<u8>, JpegError> {
        let target = self.with_one_scan()?;
        let store = Scans::new(self, go_on).read()?;
        let whole = WholeScan {
            blocks: blocks(&target),
            target,
            store,
            go_on,
        };
        let file = whole.write()?;
        whole.prove(&file)?;
        Ok(file)
    }

    /// The headers of the new file, but for its Huffman tables.
    fn with_one_scan(&self) -> Result<Self, JpegError> {
        let is_wide = self.quantisation.iter().flatten().any(|table| table.is_wide);
        let process = if is_wide || self.frame.precision > 8 {
            Process::ExtendedHuffman
        } else {
            Process::Baseline
        };
        let frame = Frame {
            process,
            ..self.frame.clone()
        };
        frame.supported()?;
        // Brightness with tables of its own, everything else with another pair.
        let components = (0..frame.components.len()).map(|component| ScanComponent {
            component,
            dc: component.min(1),
            ac: component.min(1),
        });
        let scan = ScanHeader {
            components: components.collect(),
            spectrum: [0, 63, 0],
            start: self.scan.start,
        };
        let target = self.with_scan(frame, scan);
        let blocks = blocks(&target).len();
        if blocks > MOST_BLOCKS {
            return Err(Unsupported::LargeUnits(blocks).into());
        }
        Ok(target)
    }
}

/// What is written, and from what.
struct WholeScan<'a> {
    target: Jpeg<'a>,
    blocks: Vec<Block>,
    store: Store,
    go_on: &'a dyn Fn() -> bool,
}

impl WholeScan<'_> {
    fn write(&self) -> Result<Vec<u8>, JpegError> {
        // Without a table every symbol is missing, which counts them.
        let symbols = match self.write_with(&HuffmanTables::default(), 0)? {
            Written::Lacking(symbols) => symbols,
            Written::Whole(_) => return Err(JpegError::Unproven("a scan without a symbol")),
        };
        let tables = symbols.optimal();
        let bytes = symbols.bits(&tables) / 8;
        let limit = self.most_bytes();
        if bytes > limit {
            return Err(JpegError::TooLarge {
                what: "bytes of the picture in Huffman codes",
                found: bytes,
                limit,
            });
        }
        // Room for stuffed zeros too: a buffer that grew would leave copies behind.
        self.write_with(&tables, (bytes + bytes / 8) as usize + SPARE)?.whole()
    }

    /// Arithmetic codes take hardly any bits for what repeats itself, and behind their end none at all; yet a sound
    /// picture is never much larger in Huffman codes, but for the bits that those need for every block.
    fn most_bytes(&self) -> u64 {
        let units = self.target.frame.units().pixels();
        let least = units * self.blocks.len() as u64 * LEAST_BITS_OF_A_BLOCK / 8;
        8 * self.target.data.len() as u64 + 4 * least + SPARE as u64
    }

    fn write_with(&self, tables: &HuffmanTables, capacity: usize) -> Result<Written, JpegError> {
        let mut headers = output::headers(&self.target, tables, &Metadata::default())?;
        headers.reserve_exact(capacity);
        let mut coder = Coder::new(headers, tables);
        for unit in self.units() {
            let unit = unit?;
            for block in &self.blocks {
                coder.put_block(block, self.block(unit, block))?;
            }
        }
        Ok(coder.end())
    }

    /// Reads the file again: each coefficient must be the one that was read.
    fn prove(&self, file: &[u8]) -> Result<(), JpegError> {
        let written = Jpeg::parse(file, &self.target.limits)?;
        let coding = Coding::new(&written)?;
        let mut cursor = Cursor::new(&coding, file, written.scan.start);
        for unit in self.units() {
            let unit = unit?;
            let mut is_same = true;
            cursor.read_unit::<63>(|block, values| is_same &= values == self.block(unit, block))?;
            if !is_same {
                return Err(JpegError::Unproven("a block changed on the way to a single scan"));
            }
        }
        Ok(())
    }

    /// Column and row of each unit; asks between the rows whether to go on.
    fn units(&self) -> impl Iterator<Item = Result<(u32, u32), JpegError>> {
        let units = self.target.frame.units();
        (0..units.height).flat_map(move |row| {
            let stopped = (!(self.go_on)()).then_some(Err(JpegError::Stopped));
            let columns = if stopped.is_some() { 0 } else { units.width };
            stopped
                .into_iter()
                .chain((0..columns).map(move |column| Ok((column, row))))
        })
    }

    fn block(&self, unit: (u32, u32), block: &Block) -> &Coefficients {
        let (horizontal, vertical) = self.target.frame.factors(block.component);
        self.store.block(
            block.component,
            unit.0 * horizontal + block.x,
            unit.1 * vertical + block.y,
        )
    }
}
