//! Files in memory and nowhere else: their pages go back to the system as soon as they are no longer needed.

use std::fs::File;
use std::io::{self, Write};

use bytes::Bytes;
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};

/// Gone with its last descriptor.
pub(super) fn memory_backed_file() -> io::Result<File> {
    Ok(memfd_create("body", MemfdFlags::CLOEXEC)?.into())
}

/// So many bytes from there on.
pub(super) fn read_at(file: &File, start: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(length);
    while piece.len() < length {
        let offset = start + piece.len() as u64;
        if rustix::io::pread(file, rustix::buffer::spare_capacity(&mut piece), offset)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    piece.truncate(length);
    Ok(piece.into())
}

/// A file that is read while it is written, and gives back what was read.
pub(super) struct Spill {
    file: File,
    written: u64,
    read: u64,
    /// Bytes from the start that were given back.
    returned: u64,
}

impl Spill {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            file: memory_backed_file()?,
            written: 0,
            read: 0,
            returned: 0,
        })
    }

    /// Bytes that have not been read.
    pub fn left(&self) -> u64 {
        self.written - self.read
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> u64 {
        self.written - self.returned
    }

    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// The next bytes, `most` of them at most.
    pub fn read(&mut self, most: usize) -> io::Result<Bytes> {
        let length = self.left().min(most as u64) as usize;
        let piece = read_at(&self.file, self.read, length)?;
        self.read += length as u64;
        if self.read - self.returned >= RETURNED_AT_A_TIME {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&self.file, hole, self.returned, RETURNED_AT_A_TIME)?;
            self.returned += RETURNED_AT_A_TIME;
        }
        Ok(piece)
    }
}

/// Bytes; whole pages.
const RETURNED_AT_A_TIME: u64 = 1 << 20;
