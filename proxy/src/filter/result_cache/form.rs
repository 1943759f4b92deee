//! A form without its boundary, which clients draw anew for each (RFC 2046, section 5.1): the bytes between its delimiters, and how
//! many those are. Where the boundary stands anywhere else, backends may disagree about the parts, and nothing is said.

use http::HeaderValue;
use memchr::memmem;

use crate::request::syntax::is_token_byte;

/// What parts a form.
pub struct Boundary(Box<[u8]>);

/// Finds the delimiters in a body that comes piece by piece.
pub struct Splitter<'a> {
    boundary: memmem::Finder<'a>,
    /// What may be the beginning of a delimiter.
    held: Vec<u8>,
    /// Bytes of each part that is done, and of the one that is not.
    lengths: Vec<u64>,
    length: u64,
}

impl Boundary {
    /// Of `Content-Type: multipart/form-data; boundary=…`, and no other spelling.
    pub fn of(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes().strip_prefix(b"multipart/form-data; boundary=")?;
        let is_plain = (1..=70).contains(&text.len()) && text.iter().all(|byte| is_token_byte(*byte));
        is_plain.then(|| Self(text.into()))
    }
}

impl<'a> Splitter<'a> {
    pub fn new(boundary: &'a Boundary) -> Self {
        Self {
            boundary: memmem::Finder::new(&boundary.0),
            // The first delimiter stands at a line's beginning too.
            held: BEFORE[..2].to_vec(),
            lengths: Vec::new(),
            length: 0,
        }
    }

    /// Gives on what lies between delimiters. None where the boundary stands elsewhere.
    pub fn take(&mut self, piece: &[u8], mut give: impl FnMut(&[u8])) -> Option<()> {
        self.held.extend_from_slice(piece);
        let mut from = 0;
        while let Some(at) = self.boundary.find(&self.held[from..]) {
            let part = self.held[from..from + at].strip_suffix(BEFORE)?;
            give(part);
            self.lengths.push(self.length + part.len() as u64);
            self.length = 0;
            from += at + self.boundary.needle().len();
        }
        let kept = (self.held.len() - from).min(BEFORE.len() + self.boundary.needle().len());
        let until = self.held.len() - kept;
        give(&self.held[from..until]);
        self.length += (until - from) as u64;
        self.held.drain(..until);
        Some(())
    }

    /// Gives on the rest; the bytes of each part. None for what is no form.
    pub fn end(mut self, mut give: impl FnMut(&[u8])) -> Option<Vec<u64>> {
        give(&self.held);
        self.lengths.push(self.length + self.held.len() as u64);
        (self.lengths.len() > 1).then_some(self.lengths)
    }
}

const BEFORE: &[u8] = b"\r\n--";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn boundary(value: &str) -> Option<Boundary> {
        Boundary::of(&HeaderValue::from_str(value).unwrap())
    }

    /// What is given of a form that comes in pieces of this length, and the parts' lengths.
    fn split(text: &str, form: &[u8], piece: usize) -> Option<(Vec<u8>, Vec<u64>)> {
        let boundary = boundary(&format!("multipart/form-data; boundary={text}")).unwrap();
        let (mut splitter, mut given) = (Splitter::new(&boundary), Vec::new());
        for piece in form.chunks(piece) {
            splitter.take(piece, |bytes| given.extend_from_slice(bytes))?;
        }
        let lengths = splitter.end(|bytes| given.extend_from_slice(bytes))?;
        Some((given, lengths))
    }

    fn form(boundary: &str, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut form = format!("--{boundary}").into_bytes();
        for part in parts {
            form.extend([&b"\r\n"[..], part, b"\r\n--", boundary.as_bytes()].concat());
        }
        form.extend_from_slice(b"--\r\n");
        form
    }

    #[test]
    fn a_form_of_another_boundary_is_the_same() {
        let parts = [b"a: b\r\n\r\nc".to_vec(), b"\r\n--".to_vec()];
        let one = split("x1", &form("x1", &parts), 3).unwrap();
        assert_eq!(one, split("a-much-longer-one", &form("a-much-longer-one", &parts), 1000).unwrap());
        assert_eq!(one.1, [0, 11, 6, 4]);
    }

    #[test]
    fn where_backends_may_disagree_nothing_is_said() {
        for amiss in [
            "--b\r\nx\n--b--\r\n",
            "--b\r\nx b y\r\n--b--\r\n",
            "x--b\r\nx\r\n--b--",
            "b",
            "",
            "nothing",
        ] {
            assert_eq!(split("b", amiss.as_bytes(), 2), None, "{amiss:?}");
        }
        for spelling in [
            "multipart/form-data; boundary=\"a\"",
            "multipart/form-data; boundary=a; charset=b",
            "multipart/form-data;boundary=a",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=a",
            "multipart/form-data; boundary=a=b",
            "multipart/form-data; boundary=a/b",
        ] {
            assert!(boundary(spelling).is_none(), "{spelling}");
        }
    }

    proptest! {
        /// Held against what a form is by its definition, whatever pieces it comes in.
        #[test]
        fn as_a_form_is_parted_by_its_definition(
            text in "[ab-]{0,12}",
            parts in prop::collection::vec("[ab\r\n-]{0,9}", 0..4),
            free in "[ab\r\n-]{0,40}",
            piece in 1usize..50,
        ) {
            let needle = format!("b{text}");
            let parts: Vec<_> = parts.into_iter().map(String::into_bytes).collect();
            for body in [form(&needle, &parts), free.into_bytes()] {
                let lead = [&b"\r\n"[..], &body].concat();
                let pieces: Vec<&[u8]> = memmem_split(&lead, needle.as_bytes());
                let (last, before) = pieces.split_last().unwrap();
                let before: Option<Vec<&[u8]>> = before.iter().map(|part| part.strip_suffix(BEFORE)).collect();
                let expected = before.filter(|before| !before.is_empty()).map(|mut all| {
                    all.push(last);
                    (all.concat(), all.iter().map(|part| part.len() as u64).collect::<Vec<_>>())
                });
                prop_assert_eq!(split(&needle, &body, piece), expected);
            }
        }
    }

    /// Between the places where it stands, the first first, none of which overlap.
    fn memmem_split<'a>(text: &'a [u8], needle: &[u8]) -> Vec<&'a [u8]> {
        let (mut rest, mut parts) = (text, Vec::new());
        while let Some(at) = rest.windows(needle.len()).position(|window| window == needle) {
            parts.push(&rest[..at]);
            rest = &rest[at + needle.len()..];
        }
        parts.push(rest);
        parts
    }
}
