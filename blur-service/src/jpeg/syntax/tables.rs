//! The tables of a file: steps of the quantisation, and Huffman tables (ITU-T T.81, B.2.4).

use super::spec::Spec;

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
    /// Reads the body of a segment of Huffman tables.
    pub fn read(&mut self, mut body: &[u8]) -> Option<()> {
        while let [class_and_id, rest @ ..] = body {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let spec = Spec::new(*counts, symbols)?;
            let tables = match class_and_id >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            *tables.get_mut(usize::from(class_and_id & 15))? = Some(spec);
            body = rest;
        }
        Some(())
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
        if steps.contains(&0) {
            return None;
        }
        *table = Some(Quantisation { steps, is_wide });
        body = rest;
    }
    Some(())
}
