//! Reads the output again and checks the promise: only segments from the allow-list, one picture and no tail; hidden
//! blocks exactly what their cells are painted and quantised to; every other block the input's.
//!
//! Where the tables kept their codes, bits outside of the regions are compared as they are, which costs about as much
//! as copying them did.

use super::{
    paint::Painter,
    plan::Run,
    steps::{Step, Steps},
    task::Task,
};
use crate::{
    jpeg::{
        entropy::{
            bits::for_each_run,
            coding::{Coding, Coefficients, Cursor},
        },
        error::JpegError,
        syntax::{
            density::jfif,
            header::Jpeg,
            icc,
            marker::{self, Segments},
            output::{self, Metadata},
            spec::{Codes, Spec},
            tables::HuffmanTables,
        },
    },
    vector::vectorized,
};

impl Task<'_> {
    pub fn prove(&self, file: &[u8], painter: &mut Painter) -> Result<(), JpegError> {
        let output = Jpeg::parse(file, &self.jpeg.limits).or(Err(unproven("it is no JPEG file")))?;
        check_segments(&output, self.jpeg, self.metadata)?;
        if output::headers(self.jpeg, &output.huffman, self.metadata)? != file[..output.scan.start] {
            return Err(unproven("its headers are not the input's"));
        }
        let own_coding;
        let coding = if output.huffman == self.jpeg.huffman {
            &self.scan.coding
        } else {
            own_coding = Coding::new(&output)?;
            &own_coding
        };
        let cursor = Cursor::new(coding, file, output.scan.start);
        let keeps_codes = self.scan.is_tidy && keep_codes(&self.jpeg.huffman, &output.huffman);
        let end = if keeps_codes {
            self.compare_bits(file, cursor, painter)?
        } else {
            self.compare_blocks(cursor, painter)?
        };
        if file.get(end..) != Some(&[0xff, marker::END_OF_IMAGE]) {
            return Err(unproven("something follows the picture"));
        }
        Ok(())
    }

    /// Compares step by step; returns where the last unit of the output ends.
    fn compare_bits(&self, file: &[u8], mut output: Cursor, painter: &mut Painter) -> Result<usize, JpegError> {
        let coding = &self.scan.coding;
        for step in Steps::new(&self.plan.runs, coding.interval, coding.total) {
            self.check_whether_to_go_on()?;
            match step {
                Step::Untouched { first, end } => {
                    let (from, to) = (self.end_of_unit_before(first)?, self.end_of_unit_before(end)?);
                    let start = output.next_byte();
                    let length = to - from;
                    if file.get(start..start + length) != Some(&self.jpeg.data[from..to]) {
                        return Err(unproven("an interval that was not to be touched has changed"));
                    }
                    output.continue_at(start + length, end);
                }
                Step::Begin { .. } => output.begin_unit()?,
                Step::Keep { first, end } => self.compare_kept(first, end, &mut output)?,
                Step::Hide(run) => self.compare_hidden(run, painter, &mut output)?,
                Step::End => {}
            }
        }
        check_no_surplus(&output)
    }

    fn compare_kept(&self, first: u32, end: u32, output: &mut Cursor) -> Result<(), JpegError> {
        let mut input = self.scan.cursor(self.jpeg, first)?;
        input.begin_unit()?;
        if input.dc != output.dc {
            compare_unit(&mut input, output)?;
        }
        let last = self.scan.cursor(self.jpeg, end)?;
        let is_same = for_each_run(
            self.jpeg.data,
            input.place(),
            last.place(),
            #[inline(always)]
            |value, bits| output.reader.takes(value, bits),
        );
        if !is_same || output.reader.overrun() {
            return Err(unproven("a block that was not to be touched has changed"));
        }
        output.passed(end, last.dc);
        Ok(())
    }

    fn compare_hidden(&self, run: Run, painter: &mut Painter, output: &mut Cursor) -> Result<(), JpegError> {
        vectorized(
            #[inline(always)]
            || {
                for unit in run.first..run.end {
                    let position = self.scan.coding.position(unit);
                    let mut is_same = true;
                    output.read_unit::<63>(
                        #[inline(always)]
                        |block, values| is_same &= *values == painter.block(run.area, position, block),
                    )?;
                    if !is_same {
                        return Err(unproven("a hidden block is not what its cells are painted to"));
                    }
                }
                Ok(())
            },
        )
    }

    /// Compares block by block.
    fn compare_blocks(&self, mut output: Cursor, painter: &mut Painter) -> Result<usize, JpegError> {
        let mut input = Cursor::new(&self.scan.coding, self.jpeg.data, self.scan.start);
        let mut runs = self.plan.runs.iter().peekable();
        for unit in 0..self.scan.coding.total {
            if unit % self.scan.coding.units.width == 0 {
                self.check_whether_to_go_on()?;
            }
            while runs.next_if(|run| run.end <= unit).is_some() {}
            match runs.peek().filter(|run| run.first <= unit) {
                Some(run) => {
                    input.skip_unit()?;
                    self.compare_hidden(
                        Run {
                            first: unit,
                            end: unit + 1,
                            ..**run
                        },
                        painter,
                        &mut output,
                    )?;
                }
                None => compare_unit(&mut input, &mut output)?,
            }
        }
        check_no_surplus(&output)
    }
}

fn compare_unit(input: &mut Cursor, output: &mut Cursor) -> Result<(), JpegError> {
    let mut expected: Vec<Coefficients> = Vec::with_capacity(10);
    input.read_unit::<63>(|_, values| expected.push(*values))?;
    let mut expected = expected.iter();
    let mut is_same = true;
    output.read_unit::<63>(|_, values| is_same &= expected.next() == Some(values))?;
    if is_same {
        Ok(())
    } else {
        Err(unproven("a block that was not to be touched has changed"))
    }
}

fn check_no_surplus(output: &Cursor) -> Result<usize, JpegError> {
    if output.found_surplus {
        return Err(unproven("bytes stand between two intervals"));
    }
    Ok(output.next_byte())
}

/// Whether every code of the first tables is in the second ones.
fn keep_codes(before: &HuffmanTables, after: &HuffmanTables) -> bool {
    let keeps = |(before, after): (&Option<Spec>, &Option<Spec>)| match (before, after) {
        (Some(before), Some(after)) => {
            let (old, new) = (Codes::new(before), Codes::new(after));
            before == after
                || before
                    .symbols
                    .iter()
                    .all(|symbol| old.find(*symbol) == new.find(*symbol))
        }
        // A table that nothing uses is left out.
        (_, None) => true,
        (None, Some(_)) => false,
    };
    before.dc.iter().zip(&after.dc).all(keeps) && before.ac.iter().zip(&after.ac).all(keeps)
}

/// Only segments from the allow-list, without a byte between them, none twice that must stand once.
fn check_segments(output: &Jpeg, input: &Jpeg, metadata: &Metadata) -> Result<(), JpegError> {
    let mut profile: Vec<u8> = Vec::new();
    let mut at = 2;
    let mut segments = Segments::new(output.data, at);
    let mut seen = [false; 256];
    while let Some(segment) = segments.next()? {
        if segment.at != at + 4 {
            return Err(unproven("bytes stand between two segments"));
        }
        at = segments.at();
        let may_repeat = matches!(
            segment.marker,
            marker::APP2 | marker::HUFFMAN_TABLES | marker::QUANTISATION_TABLES
        );
        if std::mem::replace(&mut seen[usize::from(segment.marker)], true) && !may_repeat {
            return Err(unproven("a segment stands twice"));
        }
        let is_allowed = match segment.marker {
            marker::START_OF_SCAN => break,
            0xc0 | 0xc1 | marker::HUFFMAN_TABLES | marker::QUANTISATION_TABLES | marker::RESTART_INTERVAL => true,
            marker::APP0 => input.colour.has_jfif && segment.body == jfif(input.density),
            marker::APP1 => output::kept_exif(input, metadata).is_some_and(|body| segment.body == body),
            marker::APP2 => icc::Chunk::parse(segment.body)
                .inspect(|chunk| profile.extend(chunk.bytes()))
                .is_some(),
            marker::APP14 => input
                .colour
                .adobe
                .is_some_and(|transform| segment.body == output::adobe(transform)),
            _ => false,
        };
        if !is_allowed {
            return Err(unproven("a segment is not on the allow-list"));
        }
    }
    if profile != metadata.icc.unwrap_or_default() {
        return Err(unproven("its colour profile is another one"));
    }
    Ok(())
}

fn unproven(what: &'static str) -> JpegError {
    JpegError::Unproven(what)
}
