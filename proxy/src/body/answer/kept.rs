//! Bytes of an answer between its backend and its client, first in, first out: in memory as the pieces they came in, and
//! what is beyond the bound in a memory-backed file.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};

use crate::body::spill::Spill;

#[derive(Default)]
pub(super) struct Kept {
    pieces: VecDeque<Bytes>,
    /// Small pieces, put together in a block of [`BLOCK`] bytes.
    tail: BytesMut,
    /// Bytes in `pieces` and `tail`.
    in_memory: u64,
    /// What came after them.
    file: Option<Spill>,
}

impl Kept {
    pub fn length(&self) -> u64 {
        self.in_memory + self.file.as_ref().map_or(0, Spill::left)
    }

    /// Bytes of memory that this takes.
    pub fn memory(&self) -> u64 {
        let unused = self.tail.capacity() - self.tail.len();
        self.in_memory + unused as u64 + self.file.as_ref().map_or(0, Spill::memory)
    }

    /// Appends a piece; to the file, once there are more than `spill_above` bytes in memory.
    pub fn push(&mut self, piece: Bytes, spill_above: u64) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.append(&piece);
        }
        let length = piece.len() as u64;
        if self.in_memory > 0 && self.in_memory + length > spill_above {
            return self.file.insert(Spill::new()?).append(&piece);
        }
        if self.in_memory > 0 && piece.len() < BLOCK {
            self.push_small(piece);
        } else {
            self.end_tail();
            self.pieces.push_back(piece);
        }
        self.in_memory += length;
        Ok(())
    }

    /// Fills one block after the other, none of which ever grows: what a growing one leaves behind is memory too.
    fn push_small(&mut self, mut piece: Bytes) {
        if self.tail.is_empty() {
            self.tail = BytesMut::with_capacity(BLOCK);
        }
        let room = self.tail.capacity() - self.tail.len();
        self.tail.extend_from_slice(&piece.split_to(room.min(piece.len())));
        if self.tail.len() == self.tail.capacity() {
            self.end_tail();
        }
        if !piece.is_empty() {
            self.push_small(piece);
        }
    }

    /// The next bytes, `most` of them at most; none while there are none.
    pub fn pop(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        if self.pieces.is_empty() {
            self.end_tail();
        }
        if let Some(first) = self.pieces.front_mut() {
            let piece = if first.len() > most {
                first.split_to(most)
            } else {
                self.pieces.pop_front().unwrap_or_default()
            };
            self.in_memory -= piece.len() as u64;
            return Ok(Some(piece));
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let piece = file.read(most)?;
        if file.left() == 0 {
            self.file = None;
        }
        Ok(Some(piece))
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }
}

/// Pieces of at least this many bytes stay as they came, smaller ones are put together: each costs a write.
const BLOCK: usize = 4 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gives_back_what_came_in_its_order(
            steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..30_000), 0usize..50_000), 1..20),
            spill_above in prop_oneof![Just(0u64), Just(40_000), Just(u64::MAX)],
        ) {
            let (mut kept, mut came, mut left) = (Kept::default(), Vec::new(), Vec::new());
            for (piece, most) in steps {
                came.extend_from_slice(&piece);
                kept.push(piece.into(), spill_above).unwrap();
                prop_assert!(kept.memory() >= kept.length());
                if let (1.., Some(popped)) = (most, kept.pop(most.max(1)).unwrap()) {
                    prop_assert!(popped.len() <= most.max(1) && !popped.is_empty());
                    left.extend_from_slice(&popped);
                } else if most == 0 {
                    // Taken above all the same.
                    left.extend_from_slice(&came[left.len()..came.len() - kept.length() as usize]);
                }
                prop_assert_eq!(kept.length() as usize, came.len() - left.len());
            }
            while let Some(popped) = kept.pop(10_000).unwrap() {
                left.extend_from_slice(&popped);
            }
            prop_assert!(left == came);
            prop_assert_eq!(kept.memory(), 0);
        }
    }

    #[test]
    fn gives_a_large_piece_back_without_a_copy() {
        let piece = Bytes::from(vec![7; BLOCK]);
        let mut kept = Kept::default();
        kept.push(Bytes::from_static(b"before"), u64::MAX).unwrap();
        kept.push(piece.clone(), u64::MAX).unwrap();
        assert_eq!(kept.pop(100).unwrap().unwrap(), "before");
        assert_eq!(kept.pop(usize::MAX).unwrap().unwrap().as_ptr(), piece.as_ptr());
    }
}
