//! A file that is being written: the writers of some formats keep what they write to, and never give it back.

use std::{
    cell::RefCell,
    io::{self, Cursor, Seek, SeekFrom, Write},
    rc::Rc,
};

/// The same file for all its clones.
#[derive(Clone, Default)]
pub(super) struct Shared(Rc<RefCell<Cursor<Vec<u8>>>>);

impl Shared {
    /// How long it is so far.
    pub fn bytes(&self) -> usize {
        self.0.borrow().get_ref().len()
    }

    /// All of it, which is gone from here then.
    pub fn take(&self) -> Vec<u8> {
        self.0.take().into_inner()
    }
}

impl Write for Shared {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}
