//! What writing and proving share.

use super::plan::Plan;
use crate::jpeg::{
    entropy::coder::{Coder, SPARE},
    error::JpegError,
    scan::Scan,
    syntax::{
        header::Jpeg,
        output::{self, Metadata},
        tables::HuffmanTables,
    },
};

/// All that writing and proving need.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    pub jpeg: &'a Jpeg<'a>,
    pub scan: &'a Scan,
    pub plan: &'a Plan,
    pub metadata: &'a Metadata<'a>,
    pub go_on: &'a dyn Fn() -> bool,
}

impl Task<'_> {
    pub fn check_whether_to_go_on(&self) -> Result<(), JpegError> {
        if (self.go_on)() {
            Ok(())
        } else {
            Err(JpegError::Stopped)
        }
    }

    /// A coder behind the headers, with room for the rest of the file.
    pub fn coder(&self, tables: &HuffmanTables) -> Result<Coder, JpegError> {
        let mut headers = output::headers(self.jpeg, tables, self.metadata)?;
        headers.reserve(self.scan.end - self.scan.start + SPARE);
        Ok(Coder::new(headers, tables))
    }

    /// Where the bytes end of the unit before this one, which begins an interval or ends the scan.
    pub fn end_of_unit_before(&self, unit: u32) -> Result<usize, JpegError> {
        match unit {
            0 => Ok(self.scan.start),
            unit if unit == self.scan.coding.total => Ok(self.scan.end),
            unit => Ok(self.scan.cursor(self.jpeg, unit)?.next_byte()),
        }
    }
}
