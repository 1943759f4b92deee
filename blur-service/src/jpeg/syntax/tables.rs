//! The tables of a file: steps of the quantisation, and Huffman tables (ITU-T T.81, B.2.4).

use super::{spec::Spec, standard};

/// A quantisation table, in zigzag order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantisation {
    pub steps: [u16; 64],
    /// Whether a step takes two bytes in the file.
    pub is_wide: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HuffmanTables {
    pub dc: [Option<Spec>; 4],
    pub ac: [Option<Spec>; 4],
}

impl HuffmanTables {
    /// Reads the body of a segment of Huffman tables, and tells whether each can be; one that cannot is none. Nothing if
    /// the body is no such segment's.
    pub fn read(&mut self, mut body: &[u8]) -> Option<bool> {
        let mut are_sound = true;
        while let [class_and_id, rest @ ..] = body {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let spec = Spec::new(*counts, symbols);
            are_sound &= spec.is_some();
            let tables = match class_and_id >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(class_and_id & 15))? = spec;
            body = rest;
        }
        Some(are_sound)
    }

    /// Takes the standard's tables where there are none; tells whether that is so for one that `scan` uses.
    pub fn fill_up(&mut self, used: impl Fn(usize) -> (bool, bool)) -> bool {
        let [standard_dc, standard_ac] = standard::tables();
        let mut is_used = false;
        for (number, (dc, ac)) in standard_dc.into_iter().zip(standard_ac).enumerate() {
            let (uses_dc, uses_ac) = used(number);
            is_used |= uses_dc && self.dc[number].is_none() && dc.is_some();
            is_used |= uses_ac && self.ac[number].is_none() && ac.is_some();
            self.dc[number] = self.dc[number].take().or(dc);
            self.ac[number] = self.ac[number].take().or(ac);
        }
        is_used
    }
}

pub fn read_quantisation(mut body: &[u8], tables: &mut [Option<Quantisation>; 4]) -> Option<()> {
    while let [precision_and_id, rest @ ..] = body {
        let table = tables.get_mut(usize::from(precision_and_id & 15))?;
        let is_wide = match precision_and_id >> 4 {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (steps, rest) = rest.split_at_checked(if is_wide { 128 } else { 64 })?;
        let steps = std::array::from_fn(|index| match is_wide {
            false => u16::from(steps[index]),
            true => u16::from_be_bytes([steps[2 * index], steps[2 * index + 1]]),
        });
        *table = Some(Quantisation { steps, is_wide });
        body = rest;
    }
    Some(())
}
