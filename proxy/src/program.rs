//! The program itself: the file to be started once more, for workers and for the binary that replaces this one, and what
//! the system may deny it.

use std::env;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;

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

/// Whether this process could not connect for lack of descriptors, memory or ports of its own: nobody else has failed.
pub fn lacks_means(error: &io::Error) -> bool {
    let own = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
    ];
    own.iter().any(|own| error.raw_os_error() == Some(own.raw_os_error()))
}

/// Tells of such a lack, once while it lasts.
pub fn tell_of_lack(error: &dyn Display) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    const ONE_TROUBLE: Duration = Duration::from_secs(60);
    let last = LAST.lock().replace(Instant::now());
    if last.is_none_or(|last| last.elapsed() > ONE_TROUBLE) {
        tracing::error!(%error, "cannot connect to backends for lack of descriptors or ports of our own");
    }
}
