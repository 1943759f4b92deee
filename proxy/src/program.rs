//! The program itself, as a file to be started once more: for workers, and for the binary that replaces this one.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// This program's file. Has to be asked for once at the start: the kernel names a file that has since been replaced as
/// deleted, and it is the new one, at the old path, that is wanted then.
///
/// # Errors
/// The system does not tell.
pub fn path() -> io::Result<&'static Path> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    match PATH.get() {
        Some(path) => Ok(path),
        None => {
            let path = env::current_exe()?;
            Ok(PATH.get_or_init(|| path))
        }
    }
}
