//! A connection by the number of its descriptor, which somebody else owns and may have closed meanwhile.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A descriptor of our own for whatever has this number now. Who calls has to see for itself what that is.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is borrowed for one system call that is defined for any number: one that is closed is an error,
    // and one that is another file by now gives a second descriptor for that, which is all that the caller holds.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}
