//! Pictures spoilt in reproducible ways: the same number always gives the same bytes.

use std::sync::LazyLock;

use image::imageops::FilterType;

use crate::picture::{astronaut, jpeg, png, webp};
use crate::random::Random;

/// The input of this number: cut short, with bytes changed, moved, doubled or left out, with absurd dimensions, or noise.
pub fn malformed(number: u64) -> Vec<u8> {
    let mut random = Random::new(number);
    let originals = &*ORIGINALS;
    let original = &originals[random.below(originals.len())];
    let mut bytes = original.clone();
    let at = random.below(bytes.len());
    match number % 8 {
        0 => bytes.truncate(at),
        1 => change(&mut bytes, 1 + at % 40, &mut random),
        // Where formats keep what they promise of the rest.
        2 => change(&mut bytes[..64], 4, &mut random),
        3 => drop(bytes.drain(at..(at + 1 + random.below(2000)).min(original.len()))),
        4 => bytes.extend_from_within(at..),
        5 => bytes
            .splice(at.., originals[random.below(originals.len())].iter().copied())
            .for_each(drop),
        6 => absurd_dimensions(&mut bytes, &mut random),
        _ => {
            bytes.truncate(4 + at % 12);
            bytes.extend((0..random.below(4000)).map(|_| random.byte()));
        }
    }
    bytes
}

static ORIGINALS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let small = astronaut().resize_exact(160, 120, FilterType::Triangle);
    [jpeg(&small), png(&small), webp(&small)]
});

fn change(bytes: &mut [u8], times: usize, random: &mut Random) {
    for _ in 0..times {
        let at = random.below(bytes.len());
        bytes[at] = random.byte();
    }
}

/// Writes huge sides where the format keeps them: more pixels than any limit, in a few bytes.
fn absurd_dimensions(bytes: &mut [u8], random: &mut Random) {
    let huge = [0xff, 0xf0 | random.byte(), 0xff, random.byte()];
    match bytes {
        // IHDR follows the signature; its checksum is left wrong every other time.
        [0x89, b'P', ..] => {
            bytes[18..20].copy_from_slice(&huge[..2]);
            bytes[22..24].copy_from_slice(&huge[2..]);
            if random.byte().is_multiple_of(2) {
                let checksum = crc32(&bytes[12..29]);
                bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
            }
        }
        [0xff, 0xd8, ..] => {
            let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]);
            if let Some(frame) = frame {
                bytes[frame + 5..frame + 9].copy_from_slice(&huge);
            }
        }
        _ => bytes[21..25].copy_from_slice(&huge),
    }
}

/// The checksum of PNG's chunks (RFC 2083, appendix 15), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let whole = bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    });
    !whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_same_bytes_for_the_same_number() {
        assert!((0..200).all(|number| malformed(number) == malformed(number)));
    }

    #[test]
    fn writes_the_checksum_that_png_expects() {
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
    }
}
