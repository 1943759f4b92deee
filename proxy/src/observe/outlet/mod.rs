//! Where lines leave the process: a thread of its own writes them, so that a reader who is slow, or has ceased to read,
//! holds up nobody; not even the end of the process.

mod drain;

use std::fmt;
use std::io;
use std::iter::Sum;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use self::drain::{Drain, Unwritten};
use super::collector::Collector;
use super::syslog::Server;

/// Where lines go in the end.
#[derive(Clone)]
pub enum Sink {
    Stderr,
    Stdout,
    File(PathBuf),
    Syslog(Server),
    /// Each line is a `ResourceSpans` of OTLP.
    Collector(Arc<Collector>),
}

impl Sink {
    /// Who takes what.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Collector(_) => ("collector", "spans"),
            _ => ("log", "lines"),
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
            Self::Syslog(server) => write!(f, "syslog:{server}"),
            Self::Collector(collector) => collector.url.fmt(f),
        }
    }
}

/// Lines that did not get out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Their reader was too slow.
    pub unread: u64,
    /// They could not be written: the disk is full, or the reader gone.
    pub unwritten: u64,
}

impl Sum for Lost {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, lost| Self {
            unread: sum.unread + lost.unread,
            unwritten: sum.unwritten + lost.unwritten,
        })
    }
}

/// Lines on their way out. Dropping it writes what is left, if somebody takes it.
pub struct Outlet {
    shared: Arc<Shared>,
    /// The thread that is to write, until it is started.
    unstarted: Mutex<Option<Writer>>,
}

struct Writer {
    name: String,
    drain: Drain,
    sink: Sink,
}

struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
    /// The thread has ended.
    over: Condvar,
    gather: Duration,
    unread: AtomicU64,
    unwritten: AtomicU64,
}

/// Touched for every line, for as long as it takes to append it.
#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    reopen: bool,
    closed: bool,
    /// Nothing more is written, or waited for.
    over: bool,
}

impl Outlet {
    /// More than this unwritten is dropped and counted.
    const MOST_PENDING_BYTES: usize = 8 << 20;
    /// For the last lines, once no more come.
    pub const FAREWELL: Duration = Duration::from_secs(1);

    /// Lines are given the time `gather` to come together, so that one write takes many of them.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(sink: Sink, thread: &str, gather: Duration) -> io::Result<Self> {
        let outlet = Self::prepare(sink, thread, gather)?;
        outlet.start()?;
        Ok(outlet)
    }

    /// The same, but lines wait until it is started: a thread keeps the user that the process has when it begins.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn prepare(sink: Sink, thread: &str, gather: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            changed: Condvar::new(),
            over: Condvar::new(),
            gather,
            unread: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
        });
        let writer = Writer {
            name: thread.to_owned(),
            drain: Drain::to(&sink)?,
            sink,
        };
        Ok(Self {
            shared,
            unstarted: Mutex::new(Some(writer)),
        })
    }

    /// Has lines written from now on.
    ///
    /// # Errors
    /// There can be no further thread.
    pub fn start(&self) -> io::Result<()> {
        let Some(Writer { name, drain, sink }) = self.unstarted.lock().take() else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        let builder = thread::Builder::new().name(name);
        builder.spawn(move || shared.write_out(drain, &sink)).map(drop)
    }

    /// Appends a line, as `write` puts it.
    pub fn write(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut pending = self.shared.pending.lock();
        if pending.lines.len() > Self::MOST_PENDING_BYTES {
            self.shared.unread.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = pending.lines.is_empty();
        write(&mut pending.lines);
        drop(pending);
        if first {
            self.shared.changed.notify_one();
        }
    }

    /// Opens the file anew, after it was moved away.
    pub fn reopen(&self) {
        self.shared.pending.lock().reopen = true;
        self.shared.changed.notify_one();
    }

    /// Writes what is left, for as long as `patience` lasts.
    pub fn finish(&self, patience: Duration) {
        // Without a thread nothing is written, and the patience is over in vain.
        let _ = self.start();
        let mut pending = self.shared.pending.lock();
        pending.closed = true;
        self.shared.changed.notify_one();
        if !pending.over {
            self.shared.over.wait_for(&mut pending, patience);
            pending.over = true;
        }
    }

    pub fn lost(&self) -> Lost {
        Lost {
            unread: self.shared.unread.load(Ordering::Relaxed),
            unwritten: self.shared.unwritten.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.finish(Self::FAREWELL);
    }
}

impl Shared {
    fn write_out(&self, mut drain: Drain, sink: &Sink) {
        let mut lines = Vec::new();
        let (mut is_failing, (taker, what)) = (false, sink.words());
        loop {
            let (reopen, closed) = self.take(&mut lines);
            if reopen {
                match Drain::to(sink) {
                    Ok(opened) => drain = opened,
                    Err(error) => tracing::error!(%error, %sink, "cannot open the log anew; the old file stays"),
                }
            }
            match drain.write(&lines) {
                Ok(()) if lines.is_empty() => {}
                Ok(()) if std::mem::take(&mut is_failing) => {
                    let lost = self.unwritten.load(Ordering::Relaxed);
                    tracing::warn!(lost, %sink, "the {taker} takes {what} again");
                }
                Ok(()) => {}
                Err(Unwritten { count, error }) => {
                    self.unwritten.fetch_add(count, Ordering::Relaxed);
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!(%error, %sink, "the {taker} takes no {what}, they are lost");
                    }
                }
            }
            lines.clear();
            if closed {
                self.pending.lock().over = true;
                self.over.notify_all();
                return;
            }
        }
    }

    /// Waits for something to do, and takes the lines.
    fn take(&self, lines: &mut Vec<u8>) -> (bool, bool) {
        let mut pending = self.pending.lock();
        while pending.lines.is_empty() && !pending.reopen && !pending.closed {
            self.changed.wait(&mut pending);
        }
        if !pending.reopen && !pending.closed && !self.gather.is_zero() {
            self.changed.wait_for(&mut pending, self.gather);
        }
        std::mem::swap(&mut pending.lines, lines);
        (std::mem::take(&mut pending.reopen), pending.closed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::Permissions;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    fn outlet(path: &Path) -> Outlet {
        Outlet::open(Sink::File(path.to_owned()), "test", Duration::ZERO).unwrap()
    }

    #[test]
    fn what_was_written_before_the_end_is_there_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let outlet = outlet(&path);
        for line in 0..1000 {
            outlet.write(|lines| writeln!(lines, "{line}").unwrap());
        }
        drop(outlet);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1000);
    }

    #[test]
    fn a_new_file_is_for_its_owner_and_group_and_an_old_one_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        std::fs::write(&old, "").unwrap();
        std::fs::set_permissions(&old, Permissions::from_mode(0o604)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        drop((outlet(&new), outlet(&old)));
        assert_eq!((mode(&new), mode(&old)), (0o640, 0o604));
    }

    #[test]
    fn a_reader_that_reads_nothing_does_not_keep_it_from_ending() {
        let (reader, writer): (OwnedFd, OwnedFd) = rustix::pipe::pipe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let fifo = folder.path().join("pipe");
        std::os::unix::fs::symlink(path, &fifo).unwrap();
        let outlet = outlet(&fifo);
        outlet.write(|lines| lines.resize(1 << 20, b'\n'));
        let begun = Instant::now();
        outlet.finish(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(reader);
    }
}
