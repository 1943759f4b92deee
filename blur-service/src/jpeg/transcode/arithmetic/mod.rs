//! Blocks in arithmetic codes: whole, or a band of coefficients scan by scan (ITU-T T.81, F.2.4 and G.1.3).

mod decoder;
mod estimates;
mod statistics;

use self::{
    decoder::Decoder,
    statistics::{AcStatistics, DcStatistics},
};
use super::{
    pass::{Band, Pass, put_dc},
    scan::Entropy,
};
use crate::jpeg::{
    entropy::{bits::BitReader, coding::Coefficients, huffman::BadCode},
    syntax::{conditioning::Conditioning, header::ScanComponent},
};

/// Reads the blocks of a scan.
pub struct Arithmetic<'a> {
    decoder: Decoder<'a>,
    pass: Pass,
    parts: Vec<Part>,
    conditioning: Conditioning,
    statistics: Statistics,
}

/// One component of the scan.
struct Part {
    /// The numbers of its tables in the file.
    dc_table: usize,
    ac_table: usize,
    last: LastDc,
}

/// The last DC coefficient, without the bits of later scans, and the class of its difference to the one before.
#[derive(Default)]
struct LastDc {
    value: i32,
    class: usize,
}

/// By the number of the table.
#[derive(Default)]
struct Statistics {
    dc: [DcStatistics; 4],
    ac: [AcStatistics; 4],
}

impl<'a> Arithmetic<'a> {
    pub fn new(bits: BitReader<'a>, pass: Pass, components: &[ScanComponent], conditioning: Conditioning) -> Self {
        let part = |component: &ScanComponent| Part {
            dc_table: component.dc,
            ac_table: component.ac,
            last: LastDc::default(),
        };
        Self {
            decoder: Decoder::new(bits),
            pass,
            parts: components.iter().map(part).collect(),
            conditioning,
            statistics: Statistics::default(),
        }
    }

    /// The next DC coefficient of a part.
    fn dc(&mut self, part: usize) -> Result<i32, BadCode> {
        let Part { dc_table, last, .. } = &mut self.parts[part];
        let difference = self.statistics.dc[*dc_table].read(&mut self.decoder, last.class)?;
        *last = LastDc {
            value: last.value + difference,
            class: self.conditioning.dc[*dc_table].class(difference),
        };
        Ok(last.value)
    }

    fn ac(&mut self, part: usize, band: Band, block: &mut Coefficients) -> Result<(), BadCode> {
        let table = self.parts[part].ac_table;
        self.statistics.ac[table].read_first(band, self.conditioning.ac[table], &mut self.decoder, block)
    }
}

impl<'a> Entropy<'a> for Arithmetic<'a> {
    fn begin(&mut self, bits: BitReader<'a>) {
        self.decoder = Decoder::new(bits);
        self.parts.iter_mut().for_each(|part| part.last = LastDc::default());
        self.statistics = Statistics::default();
    }

    fn block(&mut self, part: usize, block: &mut Coefficients) -> Result<(), BadCode> {
        match self.pass {
            Pass::Whole => {
                put_dc(block, self.dc(part)?, 0)?;
                self.ac(part, Band::ALL, block)
            }
            Pass::DcFirst { low } => put_dc(block, self.dc(part)?, low),
            Pass::DcNextBit { low } => {
                block[0] |= i16::from(self.decoder.decide_evenly()) << low;
                Ok(())
            }
            Pass::AcFirst(band) => self.ac(part, band, block),
            Pass::AcNextBit(band) => {
                let statistics = &mut self.statistics.ac[self.parts[part].ac_table];
                statistics.read_next_bit(band, &mut self.decoder, block)
            }
        }
    }

    fn bits(&self) -> &BitReader<'a> {
        self.decoder.bits()
    }

    fn has_run_out(&self) -> bool {
        self.decoder.has_run_out()
    }
}
