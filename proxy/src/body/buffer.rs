//! A body that is kept: in memory as the pieces it arrived in, or, if it is large, in a memory-backed file. It is read
//! piece by piece as often as needed. Pieces in memory are handed out without a copy, those of a file with one.

use std::fs::File;
use std::io::{self, Write};

use bytes::{Bytes, BytesMut};

use super::spill::{memory_backed_file, read_at};

/// A body while it arrives.
pub(super) struct Buffer {
    pieces: Vec<Bytes>,
    /// Small chunks, put together: each piece costs an allocation and a write to the backend.
    tail: BytesMut,
    file: Option<File>,
    length: u64,
    spill_above: u64,
}

impl Buffer {
    /// A body whose client promised `expected` bytes goes where it belongs almost from its first byte on: a promise alone
    /// takes no file.
    pub fn new(expected: Option<u64>, spill_above: u64) -> Self {
        let will_spill = expected.is_some_and(|expected| expected > spill_above);
        Self {
            pieces: Vec::new(),
            tail: BytesMut::new(),
            file: None,
            length: 0,
            spill_above: if will_spill {
                spill_above.min(EARNEST)
            } else {
                spill_above
            },
        }
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends a chunk. `exact` says that its memory is no larger than what it shows; HTTP/2 chunks are windows into
    /// a larger buffer, which they would keep alive uncounted.
    pub fn push(&mut self, chunk: Bytes, exact: bool) -> io::Result<()> {
        self.length += chunk.len() as u64;
        if self.file.is_none() && self.length > self.spill_above {
            self.spill()?;
        }
        if let Some(file) = &mut self.file {
            return file.write_all(&chunk);
        }
        let only_one = self.length == chunk.len() as u64;
        if exact && (only_one || chunk.len() >= WHOLE) {
            self.flush_tail();
            self.pieces.push(chunk);
            return Ok(());
        }
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            if self.tail.capacity() == 0 {
                // As much as has come before: no memory for what is only expected.
                let before = (self.length as usize).saturating_sub(rest.len());
                self.tail.reserve(before.max(rest.len()).clamp(WHOLE, PIECE));
            }
            let (fits, after) = rest.split_at(rest.len().min(self.tail.capacity() - self.tail.len()));
            self.tail.extend_from_slice(fits);
            if self.tail.len() == self.tail.capacity() {
                self.flush_tail();
            }
            rest = after;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Body {
        self.flush_tail();
        let kept = match self.file {
            Some(file) => Kept::File(file),
            None => Kept::Memory(self.pieces),
        };
        Body {
            kept,
            length: self.length,
        }
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(std::mem::take(&mut self.tail).freeze());
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.flush_tail();
        let mut file = memory_backed_file()?;
        for piece in self.pieces.drain(..) {
            file.write_all(&piece)?;
        }
        self.file = Some(file);
        Ok(())
    }
}

/// A whole body.
pub(super) struct Body {
    kept: Kept,
    length: u64,
}

enum Kept {
    Memory(Vec<Bytes>),
    File(File),
}

impl Body {
    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn pieces(&self) -> usize {
        match &self.kept {
            Kept::Memory(pieces) => pieces.len(),
            Kept::File(_) => self.length.div_ceil(PIECE as u64) as usize,
        }
    }

    /// The piece with this index, from 0.
    pub fn piece(&self, index: usize) -> io::Result<Bytes> {
        let file = match &self.kept {
            Kept::Memory(pieces) => return Ok(pieces[index].clone()),
            Kept::File(file) => file,
        };
        let start = (index * PIECE) as u64;
        let length = (self.length - start).min(PIECE as u64) as usize;
        read_at(file, start, length)
    }
}

/// Bytes of a piece that Veil puts together itself; Pingora reads as many at a time.
const PIECE: usize = 64 << 10;

/// Chunks of at least this many bytes stay as they came, smaller ones are put together.
const WHOLE: usize = 16 << 10;

/// A client that has sent so many bytes of a large body means it.
const EARNEST: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn content(body: &Body) -> Vec<u8> {
        (0..body.pieces())
            .flat_map(|index| body.piece(index).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn gives_back_what_it_was_given(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..12),
            spill_above in prop_oneof![Just(0u64), Just(50_000), Just(u64::MAX)],
            promised in any::<bool>(),
            exact in any::<bool>(),
        ) {
            let whole = chunks.concat();
            let mut buffer = Buffer::new(promised.then_some(whole.len() as u64), spill_above);
            for chunk in chunks {
                buffer.push(chunk.into(), exact).unwrap();
            }
            let body = buffer.finish();
            prop_assert_eq!(body.length(), whole.len() as u64);
            prop_assert_eq!(&content(&body), &whole);
            prop_assert_eq!(content(&body), whole, "a second time");
        }
    }

    #[test]
    fn puts_small_chunks_together() {
        let mut buffer = Buffer::new(None, u64::MAX);
        for _ in 0..100_000 {
            buffer.push(Bytes::from_static(b"x"), true).unwrap();
        }
        assert!(buffer.finish().pieces() <= 100_000 / WHOLE + 2);
    }

    #[test]
    fn puts_chunks_together_in_pieces_that_grow_with_the_body() {
        let mut buffer = Buffer::new(Some(500_000), u64::MAX);
        for length in [16 << 10; 30].into_iter().chain([8480]) {
            let before = buffer.length() as usize;
            buffer.push(Bytes::from(vec![7; length]), false).unwrap();
            assert!(buffer.tail.capacity() <= before.max(WHOLE), "{before}");
        }
        let body = buffer.finish();
        assert_eq!((body.length(), body.pieces()), (500_000, 10));
    }

    #[test]
    fn keeps_large_chunks_without_a_copy() {
        let chunk = Bytes::from(vec![7; WHOLE]);
        let mut buffer = Buffer::new(None, u64::MAX);
        buffer.push(chunk.clone(), true).unwrap();
        assert_eq!(buffer.finish().piece(0).unwrap().as_ptr(), chunk.as_ptr());
    }
}
