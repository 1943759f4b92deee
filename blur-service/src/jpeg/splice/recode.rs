//! Codes the whole scan anew, block by block, with tables made for it: for the rare file whose tables have no room for
//! a symbol or tell of what is hidden, or that hides bytes between its intervals.

use super::{paint::Painter, task::Task};
use crate::jpeg::{
    entropy::{coder::Written, coding::Cursor},
    error::JpegError,
    syntax::{marker, tables::HuffmanTables},
};

impl Task<'_> {
    pub(super) fn recode(&self, painter: &mut Painter) -> Result<Vec<u8>, JpegError> {
        // Without a table every symbol is missing, which counts them.
        match self.recode_with(&HuffmanTables::default(), painter)? {
            Written::Lacking(symbols) => self.recode_with(&symbols.optimal(), painter)?.whole(),
            Written::Whole(_) => Err(JpegError::Unproven("a scan without a symbol")),
        }
    }

    fn recode_with(&self, tables: &HuffmanTables, painter: &mut Painter) -> Result<Written, JpegError> {
        let coding = &self.scan.coding;
        let mut coder = self.coder(tables)?;
        let mut cursor = Cursor::new(coding, self.jpeg.data, self.scan.start);
        let mut runs = self.plan.runs.iter().peekable();
        for unit in 0..coding.total {
            if unit % coding.units.width == 0 {
                self.check_whether_to_go_on()?;
            }
            if unit > 0 && unit % coding.interval == 0 {
                let number = (unit / coding.interval - 1) % 8;
                coder
                    .writer
                    .finish()
                    .extend([0xff, marker::FIRST_RESTART + number as u8]);
                coder.dc = [0; 4];
            }
            while runs.next_if(|run| run.end <= unit).is_some() {}
            match runs.peek().filter(|run| run.first <= unit) {
                Some(run) => {
                    cursor.skip_unit()?;
                    for block in &coding.blocks {
                        coder.put_block(block, &painter.block(run.area, coding.position(unit), block))?;
                    }
                }
                None => {
                    let mut result = Ok(());
                    cursor.read_unit::<63>(|block, values| {
                        if result.is_ok() {
                            result = coder.put_block(block, values);
                        }
                    })?;
                    result?;
                }
            }
        }
        Ok(coder.end())
    }
}
