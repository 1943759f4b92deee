//! A bound on what pictures take at a time while they are worked on.

use std::sync::{Condvar, Mutex, PoisonError};

pub struct Memory {
    bytes: u64,
    /// Contended when pictures begin and end.
    left: Mutex<u64>,
    freed: Condvar,
}

pub struct Hold<'a> {
    memory: &'a Memory,
    bytes: u64,
}

impl Memory {
    pub fn new(bytes: u64) -> Self {
        Self {
            bytes,
            left: Mutex::new(bytes),
            freed: Condvar::new(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits for it; nothing if so much will never be there.
    pub fn take(&self, bytes: u64) -> Option<Hold<'_>> {
        if bytes > self.bytes {
            return None;
        }
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = self.freed.wait_while(left, |left| *left < bytes);
        *enough.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Some(Hold { memory: self, bytes })
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        *self.memory.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.memory.freed.notify_all();
    }
}
