//! The one thing kept of EXIF: the orientation (EXIF 2.32, 4.6.4, tag 0x0112).

/// What an APP1 segment with EXIF begins with.
pub const PREFIX: &[u8] = b"Exif\0\0";

/// Orientation, 1 to 8, from the TIFF part of an EXIF segment.
pub fn orientation(tiff: &[u8]) -> Option<u8> {
    let big_endian = match tiff.first_chunk::<2>()? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<2>()?;
        Some(if big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<4>()?;
        Some(if big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    for entry in (0..entries).map(|index| directory + 2 + 12 * index) {
        if short(entry)? == TAG {
            let value = if short(entry + 2)? == SHORT {
                short(entry + 8)?
            } else {
                return None;
            };
            return u8::try_from(value).ok().filter(|value| (1..=8).contains(value));
        }
    }
    None
}

/// An EXIF segment's body with this orientation and nothing else.
pub fn minimal(orientation: u8) -> Vec<u8> {
    let mut body = PREFIX.to_vec();
    body.extend(b"MM\0\x2a\0\0\0\x08");
    body.extend([0, 1]);
    body.extend([TAG.to_be_bytes(), SHORT.to_be_bytes()].concat());
    body.extend([0, 0, 0, 1, 0, orientation, 0, 0]);
    body.extend([0; 4]);
    body
}

const TAG: u16 = 0x0112;
const SHORT: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimal_segment_says_what_it_was_given() {
        for value in 1..=8 {
            assert_eq!(orientation(&minimal(value)[PREFIX.len()..]), Some(value));
        }
    }

    #[test]
    fn a_broken_segment_says_nothing() {
        assert_eq!(orientation(b"MM\0*\0\0\xff\xff"), None);
        assert_eq!(orientation(b"II*\0\x08\0\0\0\xff\xff"), None);
        assert_eq!(orientation(&minimal(9)[PREFIX.len()..]), None);
    }
}
