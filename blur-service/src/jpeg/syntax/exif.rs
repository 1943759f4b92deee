//! EXIF: its TIFF structure, and the one thing kept of it, the orientation (EXIF 2.32, 4.6, tag 0x0112).

use super::density::{Density, Unit};

/// What an APP1 segment with EXIF begins with.
pub const PREFIX: &[u8] = b"Exif\0\0";

/// Orientation, 1 to 8, from the TIFF part of an EXIF segment.
pub fn orientation(tiff: &[u8]) -> Option<u8> {
    let tiff = Tiff::open(tiff)?;
    let (entries, _) = tiff.directory(tiff.first_directory()?)?;
    let entry = entries.into_iter().find(|entry| entry.tag == TAG)?;
    let is_one = entry.kind == SHORT && tiff.long(entry.at - 4) == Some(1);
    let value = is_one.then(|| tiff.short(entry.at))??;
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

/// How large the picture is meant to be printed, from the same place (tags 0x011a, 0x011b and 0x0128).
pub fn density(tiff: &[u8]) -> Option<Density> {
    let tiff = Tiff::open(tiff)?;
    let (entries, _) = tiff.directory(tiff.first_directory()?)?;
    let find = |tag| entries.iter().find(|entry| entry.tag == tag);
    let unit = match find(UNIT).map(|entry| tiff.short(entry.at)) {
        None | Some(Some(2)) => Unit::Inch,
        Some(Some(3)) => Unit::Centimetre,
        _ => return None,
    };
    let number = |tag| {
        let entry = find(tag).filter(|entry| entry.kind == RATIONAL)?;
        let at = tiff.long(entry.at)? as usize;
        let (number, parts) = (tiff.long(at)?, tiff.long(at.checked_add(4)?)?);
        let rounded = (u64::from(number) + u64::from(parts) / 2).checked_div(parts.into())?;
        u16::try_from(rounded).ok().filter(|rounded| *rounded > 0)
    };
    Some(Density {
        unit,
        across: number(ACROSS)?,
        down: number(DOWN)?,
    })
}

/// A TIFF block: directories of tagged values.
pub struct Tiff<'a> {
    data: &'a [u8],
    is_big_endian: bool,
}

/// One tagged value.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub tag: u16,
    /// The type of its value, by TIFF's numbers.
    pub kind: u16,
    /// Where its value is, or where it says where that is.
    pub at: usize,
}

impl<'a> Tiff<'a> {
    pub fn open(data: &'a [u8]) -> Option<Self> {
        let is_big_endian = match data.first_chunk::<2>()? {
            b"MM" => true,
            b"II" => false,
            _ => return None,
        };
        Some(Self { data, is_big_endian })
    }

    pub fn first_directory(&self) -> Option<usize> {
        Some(self.long(4)? as usize)
    }

    /// The entries of a directory, as many of them as are there, and where the next one begins; zero if there is none.
    pub fn directory(&self, at: usize) -> Option<(Vec<Entry>, u32)> {
        let count = usize::from(self.short(at)?);
        let entry = |index: usize| {
            let at = at + 2 + 12 * index;
            let entry = Entry {
                tag: self.short(at)?,
                kind: self.short(at + 2)?,
                at: at + 8,
            };
            self.long(entry.at).map(|_| entry)
        };
        let entries = (0..count).map_while(entry).collect();
        Some((entries, self.long(at + 2 + 12 * count).unwrap_or(0)))
    }

    pub fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.data.get(at..)?.first_chunk()?;
        Some(match self.is_big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    }

    pub fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.data.get(at..)?.first_chunk()?;
        Some(match self.is_big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        })
    }
}

/// An EXIF segment's body with this orientation, this density and nothing else.
pub fn minimal(orientation: u8, density: Option<Density>) -> Vec<u8> {
    let mut body = PREFIX.to_vec();
    body.extend(b"MM\0\x2a\0\0\0\x08");
    let entry = |tag: u16, kind: u16, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &[0, 0, 0, 1], &value].concat()
    };
    let short = |tag, value| entry(tag, SHORT, [0, value, 0, 0]);
    let Some(Density { unit, across, down }) = density else {
        body.extend([&[0, 1], &short(TAG, orientation)[..], &[0; 4]].concat());
        return body;
    };
    body.extend([0, 4]);
    body.extend(short(TAG, orientation));
    body.extend(entry(ACROSS, RATIONAL, BEHIND_ENTRIES.to_be_bytes()));
    body.extend(entry(DOWN, RATIONAL, (BEHIND_ENTRIES + 8).to_be_bytes()));
    body.extend(short(UNIT, unit as u8 + 2));
    body.extend([0; 4]);
    for number in [across, down] {
        body.extend([u32::from(number).to_be_bytes(), 1u32.to_be_bytes()].concat());
    }
    body
}

const TAG: u16 = 0x0112;
const ACROSS: u16 = 0x011a;
const DOWN: u16 = 0x011b;
const UNIT: u16 = 0x0128;
const SHORT: u16 = 3;
const RATIONAL: u16 = 5;
/// Where the numbers of a density are: behind four entries.
const BEHIND_ENTRIES: u32 = 8 + 2 + 4 * 12 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimal_segment_says_what_it_was_given() {
        for value in 1..=8 {
            assert_eq!(orientation(&minimal(value, None)[PREFIX.len()..]), Some(value));
        }
    }

    #[test]
    fn a_density_is_told_beside_the_orientation() {
        let told = Density {
            unit: Unit::Centimetre,
            across: 118,
            down: 300,
        };
        let body = minimal(6, Some(told));
        let tiff = &body[PREFIX.len()..];
        assert_eq!((orientation(tiff), density(tiff)), (Some(6), Some(told)));
        assert_eq!(density(&minimal(6, None)[PREFIX.len()..]), None);
    }

    #[test]
    fn a_broken_segment_says_nothing() {
        assert_eq!(orientation(b"MM\0*\0\0\xff\xff"), None);
        assert_eq!(orientation(b"II*\0\x08\0\0\0\xff\xff"), None);
        assert_eq!(orientation(&minimal(9, None)[PREFIX.len()..]), None);
        // Nothing, or several, where one is meant: viewers take neither.
        for count in [0, 2] {
            let mut tiff = minimal(6, None)[PREFIX.len()..].to_vec();
            tiff[17] = count;
            assert_eq!(orientation(&tiff), None);
        }
    }
}
