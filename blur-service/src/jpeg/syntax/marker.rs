//! Walks over the marker segments of a file (ITU-T T.81, annex B).

use memchr::memchr;

use crate::jpeg::error::JpegError;

pub const START_OF_IMAGE: u8 = 0xd8;
pub const END_OF_IMAGE: u8 = 0xd9;
pub const START_OF_SCAN: u8 = 0xda;
pub const QUANTISATION_TABLES: u8 = 0xdb;
pub const HUFFMAN_TABLES: u8 = 0xc4;
pub const CONDITIONING: u8 = 0xcc;
pub const LINE_COUNT: u8 = 0xdc;
pub const RESTART_INTERVAL: u8 = 0xdd;
pub const HIERARCHICAL: u8 = 0xde;
pub const FIRST_RESTART: u8 = 0xd0;
pub const LAST_RESTART: u8 = 0xd7;
pub const APP0: u8 = 0xe0;
pub const APP1: u8 = 0xe1;
pub const APP2: u8 = 0xe2;
pub const APP11: u8 = 0xeb;
pub const APP13: u8 = 0xed;
pub const APP14: u8 = 0xee;
pub const APP15: u8 = 0xef;
pub const COMMENT: u8 = 0xfe;

/// A marker and, for all but the lone ones, what it carries.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub marker: u8,
    /// Where the body begins.
    pub at: usize,
    /// Without the two bytes of its length.
    pub body: &'a [u8],
}

/// Reads one segment after the other. What lies between two segments is stepped over, as libjpeg does.
pub struct Segments<'a> {
    data: &'a [u8],
    at: usize,
    /// Whether anything but bytes that fill up lay before the last segment.
    has_passed_over: bool,
}

impl<'a> Segments<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            has_passed_over: false,
        }
    }

    /// Where the next segment is looked for.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether bytes that are none of its own lay before the last segment.
    pub fn have_passed_over_bytes(&self) -> bool {
        self.has_passed_over
    }

    /// The next segment; nothing at the end of the file.
    ///
    /// # Errors
    /// [`JpegError::Truncated`] or [`JpegError::Corrupt`] if its length is not that of what follows.
    pub fn next(&mut self) -> Result<Option<Segment<'a>>, JpegError> {
        let Some((marker, at)) = next_marker(self.data, self.at) else {
            self.at = self.data.len();
            return Ok(None);
        };
        let before = self.data.get(self.at..at - 1).unwrap_or_default();
        self.has_passed_over = before.iter().any(|byte| *byte != 0xff);
        self.at = at;
        if matches!(marker, 0x01 | FIRST_RESTART..=END_OF_IMAGE) {
            return Ok(Some(Segment { marker, at, body: &[] }));
        }
        let truncated = JpegError::Truncated { at, what: "a segment" };
        let Some(length) = self.data.get(at..).and_then(|rest| rest.first_chunk::<2>()) else {
            return Err(truncated);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(JpegError::Corrupt {
                at,
                what: "a segment is shorter than its own length",
            });
        }
        let Some(body) = self.data.get(at + 2..at + length) else {
            return Err(truncated);
        };
        self.at = at + length;
        Ok(Some(Segment {
            marker,
            at: at + 2,
            body,
        }))
    }
}

/// The next marker from `at` on and where it ends.
pub fn next_marker(data: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += memchr(0xff, data.get(at..)?)?;
        at += data.get(at..)?.iter().position(|byte| *byte != 0xff)?;
        let marker = *data.get(at)?;
        at += 1;
        if marker != 0 {
            return Some((marker, at));
        }
    }
}

/// Whether the coded data that was read up to `end` is all there is before the next marker: what is left over tells of
/// damage on the way. Bytes that fill up do not, nor up to `slack` others.
///
/// # Errors
/// [`JpegError::Corrupt`].
pub fn check_end_of_scan(data: &[u8], end: usize, slack: usize) -> Result<(), JpegError> {
    let rest = data.get(end..).unwrap_or_default();
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff);
    let length = rest.windows(2).position(is_marker).unwrap_or(rest.len());
    let left = rest[..length].iter().filter(|byte| !matches!(byte, 0 | 0xff)).count();
    if left > slack {
        return Err(JpegError::Corrupt {
            at: end,
            what: "coded data is left over behind the last block of a scan",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fill_bytes_and_rubbish_between_segments_are_stepped_over() {
        let data = [0xff, 0xd8, 1, 2, 0xff, 0, 0xff, 0xff, 0xfe, 0, 4, 7, 8, 0xff, 0xd9];
        let mut segments = Segments::new(&data, 0);
        assert_eq!(segments.next().unwrap().unwrap().marker, START_OF_IMAGE);
        let comment = segments.next().unwrap().unwrap();
        assert_eq!((comment.marker, comment.at, comment.body), (0xfe, 11, &[7u8, 8][..]));
        assert_eq!(segments.next().unwrap().unwrap().marker, END_OF_IMAGE);
        assert!(segments.next().unwrap().is_none());
    }

    #[test]
    fn a_segment_longer_than_the_file_is_an_error() {
        assert!(matches!(
            Segments::new(&[0xff, 0xe1, 0, 9, 1], 0).next(),
            Err(JpegError::Truncated { .. })
        ));
        assert!(matches!(
            Segments::new(&[0xff, 0xe1, 0, 1], 0).next(),
            Err(JpegError::Corrupt { .. })
        ));
    }

    #[test]
    fn coded_data_behind_the_last_block_is_noticed_and_what_fills_up_is_not() {
        for sound in [
            &b"\xff\xd9"[..],
            b"\xff\xff\xd9",
            b"\0\0\xff\xd9",
            b"\xff\0\xff\xd9",
            b"\xff",
            b"",
        ] {
            assert!(check_end_of_scan(sound, 0, 0).is_ok(), "{sound:?}");
        }
        for damaged in [&b"\x12\xff\xd9"[..], b"\0\x12", b"\xff\0\x80\xff\xda"] {
            assert!(check_end_of_scan(damaged, 0, 0).is_err(), "{damaged:?}");
            assert!(check_end_of_scan(damaged, 0, 1).is_ok(), "{damaged:?}");
        }
        assert!(check_end_of_scan(b"\x12", 7, 0).is_ok());
    }
}
