//! What coded data of AV1 say of their numbers: the header of their sequence (AV1 Bitstream & Decoding Process Specification,
//! 5.3, 5.5). The decoder reads it too, but ends itself over a number that is reserved.

use super::{
    bits::Bits,
    numbers::{Numbers, UNTOLD},
};

impl Numbers {
    /// Nothing if the data have no header that can be followed so far, or two that differ.
    pub fn coded(data: &[u8]) -> Option<Self> {
        let mut found = None;
        let mut rest = data;
        while !rest.is_empty() {
            let (kind, content, behind) = unit(rest)?;
            if kind == SEQUENCE && *found.get_or_insert(content) != content {
                return None;
            }
            rest = behind;
        }
        numbers(&mut Bits::of(found?))
    }
}

/// The kind of the first unit, what it holds, and what is behind it.
fn unit(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, mut rest) = data.split_first()?;
    let kind = head >> 3 & 0xf;
    if head & 4 != 0 {
        rest = rest.get(1..)?;
    }
    if head & 2 == 0 {
        return Some((kind, rest, &[]));
    }
    let (length, rest) = length(rest)?;
    let (content, behind) = rest.split_at_checked(length)?;
    Some((kind, content, behind))
}

/// Seven bits a byte, the lowest first.
fn length(data: &[u8]) -> Option<(usize, &[u8])> {
    let last = data.iter().take(8).position(|byte| byte & 0x80 == 0)?;
    let (length, rest) = data.split_at(last + 1);
    let length = length
        .iter()
        .rev()
        .fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(length).ok()?, rest))
}

fn numbers(bits: &mut Bits) -> Option<Numbers> {
    let profile = bits.number(3)?;
    bits.skip(1)?;
    let is_reduced = bits.flag()?;
    if is_reduced {
        bits.skip(5)?;
    } else {
        operating_points(bits)?;
    }
    let side_bits = bits.number(4)? + 1 + bits.number(4)? + 1;
    bits.skip(side_bits)?;
    if !is_reduced && bits.flag()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !is_reduced {
        tools(bits)?;
    }
    bits.skip(3)?;
    colours(bits, profile)
}

fn operating_points(bits: &mut Bits) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.varied()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.number(5)? + 1);
            bits.skip(32 + 10)?;
        }
    }
    let has_delays = bits.flag()?;
    for _ in 0..=bits.number(5)? {
        bits.skip(12)?;
        if bits.number(5)? > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_delays && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

/// What is of use to pictures that follow others.
fn tools(bits: &mut Bits) -> Option<()> {
    bits.skip(4)?;
    let has_order = bits.flag()?;
    if has_order {
        bits.skip(2)?;
    }
    let may_be_of_screens = bits.flag()? || bits.flag()?;
    if may_be_of_screens && !bits.flag()? {
        bits.skip(1)?;
    }
    if has_order {
        bits.skip(3)?;
    }
    Some(())
}

fn colours(bits: &mut Bits, profile: u32) -> Option<Numbers> {
    if bits.flag()? && profile == 2 {
        bits.skip(1)?;
    }
    let is_grey = profile != 1 && bits.flag()?;
    let mut numbers = UNTOLD;
    if bits.flag()? {
        let mut number = || bits.number(8).map(|number| number as u8);
        (numbers.primaries, numbers.transfer, numbers.matrix) = (number()?, number()?, number()?);
    }
    let is_plain = (numbers.primaries, numbers.transfer, numbers.matrix) == (1, 13, 0);
    numbers.is_full = (is_plain && !is_grey) || bits.flag()?;
    Some(numbers)
}

const SEQUENCE: u8 = 1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codec::Items;

    #[test]
    fn what_an_encoder_said_is_read() {
        for (name, file, meant, is_full) in [
            (
                "unspecified",
                &include_bytes!("../../../tests/formats/files/420.avif")[..],
                [2, 2, 6],
                true,
            ),
            (
                "with a reserved matrix",
                include_bytes!("../../../fuzz/seeds/pictures/c174ab900f9e"),
                [1, 13, 3],
                false,
            ),
        ] {
            let items = Items::of(file).unwrap();
            let data = items.data(items.primary).unwrap();
            let numbers = Numbers::coded(&data).unwrap();
            assert_eq!([numbers.primaries, numbers.transfer, numbers.matrix], meant, "{name}");
            assert_eq!(numbers.is_full, is_full, "{name}");
            for length in 0..data.len() {
                Numbers::coded(&data[..length]);
            }
            assert!(Numbers::coded(&[&data[..], &data[..]].concat()).is_some(), "{name}");
        }
    }
}
