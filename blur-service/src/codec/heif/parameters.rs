//! What the coded data of an HEVC say of their numbers: the usability information of a sequence's parameters (ITU-T H.265,
//! 7.3.2.2, 7.3.3, 7.3.4, 7.3.7 and E.2.1), which the configuration of an item holds (ISO/IEC 14496-15, 8.3.3.1).

use super::{
    bits::Bits,
    numbers::{Numbers, UNTOLD},
};
use crate::codec::boxes::Reader;

impl Numbers {
    /// Unspecified and of the narrow range where the data do not say. Nothing if they cannot be followed so far.
    pub fn configured(configuration: &[u8]) -> Option<Self> {
        let parameters = without_guards(sequence(configuration)?);
        // Each unit has a head of two bytes.
        numbers(&mut Bits::of(parameters.get(2..)?))
    }
}

/// The first unit of parameters of a sequence.
fn sequence(configuration: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(configuration.get(22..)?);
    for _ in 0..reader.number(1)? {
        let kind = reader.number(1)? & 0x3f;
        for _ in 0..reader.number(2)? {
            let length = reader.number(2)? as usize;
            let unit = reader.take(length)?;
            if kind == SEQUENCE {
                return Some(unit);
            }
        }
    }
    None
}

/// A three behind two zeros only keeps them from looking like the beginning of a unit.
fn without_guards(unit: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let mut kept = Vec::with_capacity(unit.len());
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        kept.push(*byte);
    }
    kept
}

fn numbers(bits: &mut Bits) -> Option<Numbers> {
    bits.skip(4)?;
    let layers = bits.number(3)?;
    bits.skip(1)?;
    profile(bits, layers)?;
    bits.varied()?;
    let chroma = bits.varied()?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    // Sides, and how much of them is not shown.
    bits.several_varied(2)?;
    if bits.flag()? {
        bits.several_varied(4)?;
    }
    bits.several_varied(2)?;
    let order_bits = bits.varied()? + 4;
    let told_layers = if bits.flag()? { layers + 1 } else { 1 };
    bits.several_varied(3 * told_layers)?;
    // Sizes of blocks.
    bits.several_varied(6)?;
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?;
        bits.several_varied(2)?;
        bits.skip(1)?;
    }
    reference_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.varied()? {
            bits.skip(order_bits + 1)?;
        }
    }
    bits.skip(2)?;
    if bits.flag()? { usability(bits) } else { Some(UNTOLD) }
}

fn profile(bits: &mut Bits, layers: u32) -> Option<()> {
    bits.skip(88 + 8)?;
    let told: Vec<(bool, bool)> = (0..layers)
        .map(|_| Some((bits.flag()?, bits.flag()?)))
        .collect::<Option<_>>()?;
    if layers > 0 {
        bits.skip(2 * (8 - layers))?;
    }
    for (has_profile, has_level) in told {
        bits.skip(if has_profile { 88 } else { 0 } + if has_level { 8 } else { 0 })?;
    }
    Some(())
}

fn scaling_lists(bits: &mut Bits) -> Option<()> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !bits.flag()? {
                bits.varied()?;
                continue;
            }
            if size > 1 {
                bits.varied()?;
            }
            bits.several_varied(64.min(1 << (4 + 2 * size)))?;
        }
    }
    Some(())
}

fn reference_sets(bits: &mut Bits) -> Option<()> {
    let mut pictures = 0;
    for index in 0..bits.varied()?.min(MOST_SETS) {
        if index > 0 && bits.flag()? {
            bits.skip(1)?;
            bits.varied()?;
            // Each of those of the set before, and the picture itself, may be used, or else be counted all the same.
            let mut kept = 0;
            for _ in 0..=pictures {
                let is_used = bits.flag()?;
                kept += u32::from(is_used || bits.flag()?);
            }
            pictures = kept;
        } else {
            pictures = bits
                .varied()?
                .checked_add(bits.varied()?)
                .filter(|count| *count <= MOST_PICTURES)?;
            for _ in 0..pictures {
                bits.varied()?;
                bits.skip(1)?;
            }
        }
    }
    Some(())
}

fn usability(bits: &mut Bits) -> Option<Numbers> {
    if bits.flag()? && bits.number(8)? == OWN_SHAPE {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if !bits.flag()? {
        return Some(UNTOLD);
    }
    bits.skip(3)?;
    let is_full = bits.flag()?;
    if !bits.flag()? {
        return Some(Numbers { is_full, ..UNTOLD });
    }
    let mut number = || bits.number(8).map(|number| number as u8);
    Some(Numbers {
        primaries: number()?,
        transfer: number()?,
        matrix: number()?,
        is_full,
    })
}

const SEQUENCE: u64 = 33;
const OWN_SHAPE: u32 = 255;
/// That a sequence may have (7.4.3.2, 7.4.8).
const MOST_SETS: u32 = 64;
const MOST_PICTURES: u32 = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codec::Items;

    #[test]
    fn what_an_encoder_said_is_read() {
        for (name, file, meant) in [
            (
                "p3",
                &include_bytes!("../../../tests/formats/files/p3.heic")[..],
                [12, 13, 6],
            ),
            ("pq", include_bytes!("../../../tests/formats/files/pq.heic"), [9, 16, 9]),
        ] {
            let items = Items::of(file).unwrap();
            let configuration = items.properties(items.primary, b"hvcC").next().unwrap();
            let numbers = Numbers::configured(configuration).unwrap();
            assert_eq!([numbers.primaries, numbers.transfer, numbers.matrix], meant, "{name}");
            assert!(numbers.is_full, "{name}");
        }
    }

    #[test]
    fn no_beginning_of_it_is_read_beyond_its_end() {
        let file = include_bytes!("../../../tests/formats/files/pq.heic");
        let items = Items::of(file).unwrap();
        let configuration = items.properties(items.primary, b"hvcC").next().unwrap();
        for length in 0..configuration.len() {
            let mut spoiled = configuration[..length].to_vec();
            Numbers::configured(&spoiled);
            if let Some(last) = spoiled.last_mut() {
                *last = !*last;
            }
            Numbers::configured(&[&spoiled[..], &configuration[length..]].concat());
        }
    }
}
