//! The chunked coding of RFC 9112, section 7.1, checked byte by byte as it passes. Only the framing is looked at; data is
//! skipped in one step.

use super::Violation;
use crate::request::syntax::is_token_byte;

/// How far a chunked body has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunked {
    place: Place,
    /// Bytes of all extensions so far.
    extensions: u32,
    /// Bytes of all trailer fields so far.
    trailers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Size {
        digits: u8,
        size: u64,
    },
    /// White space before an extension.
    Blank {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the begin of a trailer field, or of the last empty line.
    Line,
    FieldName,
    FieldValue,
    FieldLf,
    LastLf,
}

impl Default for Chunked {
    fn default() -> Self {
        Self {
            place: Place::Size { digits: 0, size: 0 },
            extensions: 0,
            trailers: 0,
        }
    }
}

impl Chunked {
    /// Looks at the bytes that come next. `Some(n)`: the body ends after `n` of them.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        self.pass_with(bytes, |_| {})
    }

    /// The same, and hands over each byte of the trailer fields, the ends of their lines included.
    pub fn pass_with(&mut self, bytes: &[u8], mut trailer: impl FnMut(u8)) -> Result<Option<usize>, Violation> {
        let mut at = 0;
        while at < bytes.len() {
            if let Place::Data { left } = self.place {
                let passed = left.min((bytes.len() - at) as u64);
                at += passed as usize;
                self.place = if passed == left {
                    Place::DataCr
                } else {
                    Place::Data { left: left - passed }
                };
                continue;
            }
            let (ended, ends_field) = (self.place == Place::LastLf, self.place == Place::FieldLf);
            self.place = self.step(bytes[at])?;
            if ends_field || matches!(self.place, Place::FieldName | Place::FieldValue | Place::FieldLf) {
                trailer(bytes[at]);
            }
            at += 1;
            if ended {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<Place, Violation> {
        Ok(match (self.place, byte) {
            (Place::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).expect("a hexadecimal digit");
                if digits == MOST_DIGITS {
                    return Err(Violation::Chunk);
                }
                Place::Size {
                    digits: digits + 1,
                    size: (size << 4) | u64::from(digit),
                }
            }
            (Place::Size { digits: 1.., size }, b'\r') => Place::SizeLf { size },
            (Place::Size { digits: 1.., size } | Place::Blank { size }, b';') => Place::Extension { size },
            (Place::Size { digits: 1.., size } | Place::Blank { size }, b' ' | b'\t') => {
                self.count_extension(Place::Blank { size })?
            }
            (Place::Extension { size }, b'\r') => Place::SizeLf { size },
            (Place::Extension { size }, _) if is_text(byte) => self.count_extension(Place::Extension { size })?,
            (Place::SizeLf { size: 0 }, b'\n') => Place::Line,
            (Place::SizeLf { size }, b'\n') => Place::Data { left: size },
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size { digits: 0, size: 0 },
            (Place::Line, b'\r') => Place::LastLf,
            (Place::LastLf, b'\n') => Place::Line,
            (Place::Line | Place::FieldName, _) if is_token_byte(byte) => self.count_trailer(Place::FieldName)?,
            (Place::FieldName, b':') => self.count_trailer(Place::FieldValue)?,
            (Place::FieldValue, b'\r') => Place::FieldLf,
            (Place::FieldValue, _) if is_text(byte) => self.count_trailer(Place::FieldValue)?,
            (Place::FieldLf, b'\n') => Place::Line,
            (Place::Line | Place::FieldName | Place::FieldValue | Place::FieldLf | Place::LastLf, _) => {
                return Err(Violation::Trailer);
            }
            _ => return Err(Violation::Chunk),
        })
    }

    fn count_extension(&mut self, next: Place) -> Result<Place, Violation> {
        self.extensions = one_more(self.extensions, MOST_EXTENSIONS).ok_or(Violation::ChunkExtension)?;
        Ok(next)
    }

    fn count_trailer(&mut self, next: Place) -> Result<Place, Violation> {
        self.trailers = one_more(self.trailers, MOST_TRAILERS).ok_or(Violation::Trailer)?;
        Ok(next)
    }
}

fn one_more(count: u32, most: u32) -> Option<u32> {
    (count < most).then_some(count + 1)
}

fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

/// 60 bits, so that no reader's arithmetic overflows.
const MOST_DIGITS: u8 = 15;

/// Bytes of extensions in a body. Nobody uses them but to hide or to tire (CVE-2023-39326).
const MOST_EXTENSIONS: u32 = 1024;

/// Bytes of trailer fields.
const MOST_TRAILERS: u32 = 8 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn pass(body: &[u8]) -> Result<Option<usize>, Violation> {
        Chunked::default().pass(body)
    }

    #[test]
    fn hands_over_trailer_fields_however_they_are_cut() {
        let body = b"5;a=b\r\nA: 1\n\r\n0\r\nX-Sum: 42\r\nB:\r\n\r\nHTTP/1.1";
        for cut in 0..body.len() {
            let (mut chunked, mut trailers) = (Chunked::default(), Vec::new());
            if chunked
                .pass_with(&body[..cut], |byte| trailers.push(byte))
                .unwrap()
                .is_none()
            {
                chunked
                    .pass_with(&body[cut..], |byte| trailers.push(byte))
                    .unwrap()
                    .unwrap();
            }
            assert_eq!(trailers, b"X-Sum: 42\r\nB:\r\n", "{cut}");
        }
    }

    #[test]
    fn finds_the_end() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A;x=\"y\"\r\n0123456789\r\n000\r\n\r\n",
            "5 \t;x = y ; z\r\nhello\r\n0 ;last\r\n\r\n",
            "0\r\nA: b\r\nC:\r\n\r\n",
        ] {
            assert_eq!(pass(body.as_bytes()), Ok(Some(body.len())), "{body:?}");
            assert_eq!(
                pass(format!("{body}GET").as_bytes()),
                Ok(Some(body.len())),
                "{body:?} and more"
            );
            assert_eq!(
                pass(&body.as_bytes()[..body.len() - 1]),
                Ok(None),
                "{body:?} without its end"
            );
        }
    }

    #[test]
    fn refuses_malformed_chunks() {
        for body in [
            "\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5 5;a\r\nhello\r\n",
            "+5\r\n",
            "-5\r\n",
            "0x5\r\n",
            "5\nhello\r\n",
            "5\r\r\n",
            "5,\r\n",
            "g\r\n",
            ";a\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r0",
            "5\r\nhelloo\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "0000000000000005\r\nhello\r\n",
            "5;a\nb\r\n",
            "5;\0\r\n",
        ] {
            assert_eq!(pass(body.as_bytes()), Err(Violation::Chunk), "{body:?}");
        }
    }

    #[test]
    fn refuses_malformed_trailers() {
        for body in [
            "0\r\n\n",
            "0\r\n\r\r",
            "0\r\nA: b\n\r\n",
            "0\r\n A: b\r\n",
            "0\r\nA : b\r\n",
            "0\r\n: b\r\n",
            "0\r\nA\r\n",
            "0\r\nA: \0\r\n",
            "0\r\nA: b\r\r\n",
            "0\r\nGET / HTTP/1.1\r\n",
        ] {
            assert_eq!(pass(body.as_bytes()), Err(Violation::Trailer), "{body:?}");
        }
        let long = format!("0\r\nA: {}\r\n\r\n", "b".repeat(MOST_TRAILERS as usize));
        assert_eq!(pass(long.as_bytes()), Err(Violation::Trailer));
    }

    #[test]
    fn refuses_long_extensions_also_in_many_parts() {
        let long = format!("1;{}\r\na\r\n", "x".repeat(2000));
        assert_eq!(pass(long.as_bytes()), Err(Violation::ChunkExtension));
        for (blanks, passed) in [
            (MOST_EXTENSIONS - 1, Ok(None)),
            (MOST_EXTENSIONS, Ok(None)),
            (MOST_EXTENSIONS + 1, Err(Violation::ChunkExtension)),
        ] {
            assert_eq!(
                pass(format!("1{}", " ".repeat(blanks as usize)).as_bytes()),
                passed,
                "{blanks}"
            );
        }
        assert_eq!(
            pass("1;xxxxxxxx\r\na\r\n".repeat(200).as_bytes()),
            Err(Violation::ChunkExtension)
        );
    }

    proptest! {
        #[test]
        fn says_the_same_however_the_bytes_arrive(
            body in prop_oneof![
                prop::collection::vec(prop::sample::select(b"05a;\r\n: x\0".to_vec()), 0..60),
                prop::collection::vec(1usize..40, 0..6).prop_map(|sizes| {
                    let mut body: Vec<u8> = Vec::new();
                    for size in sizes {
                        body.extend(format!("{size:x}\r\n{}\r\n", "d".repeat(size)).into_bytes());
                    }
                    body.extend(b"0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n");
                    body
                }),
            ],
            cuts in prop::collection::vec(1usize..9, 1..80),
        ) {
            let whole = pass(&body);
            let mut chunked = Chunked::default();
            let (mut at, mut said) = (0, Ok(None));
            for cut in cuts.into_iter().cycle() {
                let end = (at + cut).min(body.len());
                said = chunked.pass(&body[at..end]).map(|end| end.map(|end| at + end));
                at = end;
                if said != Ok(None) || at == body.len() {
                    break;
                }
            }
            prop_assert_eq!(said, whole);
        }
    }
}
