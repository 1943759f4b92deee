//! Writes the output: runs of bits are copied, new blocks coded with the file's own tables, and the one DC difference
//! behind each hidden run is corrected.

use super::{
    paint::Painter,
    plan::Run,
    steps::{Step, Steps},
    task::Task,
};
use crate::{
    jpeg::{
        entropy::coder::{Coder, Written},
        error::JpegError,
        syntax::tables::HuffmanTables,
    },
    vector::vectorized,
};

impl Task<'_> {
    /// The new file. Where a table lacks a symbol, it is extended; where it has no room or would tell of what is hidden,
    /// the scan is coded anew.
    pub fn write(&self, painter: &mut Painter) -> Result<Vec<u8>, JpegError> {
        let tells_by_tables = self.jpeg.tells_by_tables && !self.plan.runs.is_empty();
        if !self.scan.is_tidy || tells_by_tables {
            return self.recode(painter);
        }
        match self.splice(&self.jpeg.huffman, painter)? {
            Written::Whole(file) => Ok(file),
            Written::Lacking(missing) => {
                let Some(tables) = missing.extended(&self.jpeg.huffman) else {
                    return self.recode(painter);
                };
                self.splice(&tables, painter)?.whole()
            }
        }
    }

    fn splice(&self, tables: &HuffmanTables, painter: &mut Painter) -> Result<Written, JpegError> {
        let mut coder = self.coder(tables)?;
        let coding = &self.scan.coding;
        for step in Steps::new(&self.plan.runs, coding.interval, coding.total) {
            self.check_whether_to_go_on()?;
            match step {
                Step::Untouched { first, end } => {
                    let (from, to) = (self.end_of_unit_before(first)?, self.end_of_unit_before(end)?);
                    coder.writer.finish().extend_from_slice(&self.jpeg.data[from..to]);
                }
                Step::Begin { unit } => {
                    let from = self.end_of_unit_before(unit)?;
                    let mut cursor = self.scan.cursor(self.jpeg, unit)?;
                    cursor.begin_unit()?;
                    coder
                        .writer
                        .finish()
                        .extend_from_slice(&self.jpeg.data[from..cursor.next_byte()]);
                    coder.dc = [0; 4];
                }
                Step::Keep { first, end } => self.keep(first, end, &mut coder)?,
                Step::Hide(run) => self.hide(run, painter, &mut coder)?,
                Step::End => drop(coder.writer.finish()),
            }
        }
        Ok(coder.end())
    }

    /// Copies units of one interval; the first one gets new DC differences if what stands before it has changed.
    fn keep(&self, first: u32, end: u32, coder: &mut Coder) -> Result<(), JpegError> {
        let mut cursor = self.scan.cursor(self.jpeg, first)?;
        cursor.begin_unit()?;
        if cursor.dc != coder.dc {
            let mut is_corrected = [false; 4];
            for block in &self.scan.coding.blocks {
                let mut from = cursor.place();
                let dc = cursor.read_dc(block)?;
                if !is_corrected[block.component] {
                    is_corrected[block.component] = true;
                    coder.put_dc(block, dc)?;
                    from = cursor.place();
                }
                cursor.read_ac::<0>(block, &mut [0; 64])?;
                coder.writer.copy(self.jpeg.data, from, cursor.place());
            }
            cursor.end_unit()?;
        }
        let last = self.scan.cursor(self.jpeg, end)?;
        coder.writer.copy(self.jpeg.data, cursor.place(), last.place());
        coder.dc = last.dc;
        Ok(())
    }

    pub(super) fn hide(&self, run: Run, painter: &mut Painter, coder: &mut Coder) -> Result<(), JpegError> {
        vectorized(
            #[inline(always)]
            || {
                for unit in run.first..run.end {
                    for block in &self.scan.coding.blocks {
                        let values = painter.block(run.area, self.scan.coding.position(unit), block);
                        coder.put_block(block, &values)?;
                    }
                }
                Ok(())
            },
        )
    }
}
