//! A sink that lines are written to: whole ones, and how many were lost is known.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::Sink;
use crate::observe::collector::Collector;
use crate::observe::syslog::Syslog;

/// Where lines go, opened.
pub enum Drain {
    File(Lines),
    Syslog(Syslog),
    Collector(Arc<Collector>),
}

impl Drain {
    /// # Errors
    /// The file cannot be opened.
    pub fn to(sink: &Sink) -> io::Result<Self> {
        match sink {
            // A copy of the descriptor, since the standard library's streams are locked while somebody writes.
            Sink::Stderr => Ok(Self::file(File::from(io::stderr().as_fd().try_clone_to_owned()?))),
            Sink::Stdout => Ok(Self::file(File::from(io::stdout().as_fd().try_clone_to_owned()?))),
            Sink::File(path) => append_to(path).map(Self::file),
            Sink::Syslog(server) => Ok(Self::Syslog(Syslog::to(server.clone()))),
            Sink::Collector(collector) => Ok(Self::Collector(Arc::clone(collector))),
        }
    }

    fn file(file: File) -> Self {
        Self::File(Lines::to(file))
    }

    pub fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        match self {
            Self::File(file) => file.write(lines),
            Self::Syslog(server) => each(server, lines),
            Self::Collector(_) if lines.is_empty() => Ok(()),
            Self::Collector(collector) => collector.send(lines).map_err(|error| lost(lines, error)),
        }
    }
}

/// None of these got out.
fn lost(lines: &[u8], error: io::Error) -> Unwritten {
    let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    Unwritten { count, error }
}

/// One that is not taken is lost, and the rest with it: a server that is gone is not waited for with every line.
fn each(server: &mut Syslog, lines: &[u8]) -> Result<(), Unwritten> {
    let mut left = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    while let Some(line) = left.next() {
        if let Err(error) = server.send(line) {
            let count = 1 + left.count() as u64;
            return Err(Unwritten { count, error });
        }
    }
    Ok(())
}

/// A file of whole lines.
pub struct Lines {
    file: File,
    /// A line has been cut off that could not be taken back.
    is_torn: bool,
}

/// So many lines are lost.
pub struct Unwritten {
    pub count: u64,
    pub error: io::Error,
}

impl Lines {
    fn to(file: File) -> Self {
        Self { file, is_torn: false }
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        if self.is_torn && !lines.is_empty() {
            self.file.write_all(b"\n").map_err(|error| lost(lines, error))?;
            self.is_torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    let written = &lines[..lines.len() - rest.len()];
                    let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                    self.take_back((written.len() - whole) as u64);
                    return Err(lost(
                        rest,
                        failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Cuts off what was written of a line, where it is a file's last: a successor may write to it as well.
    fn take_back(&mut self, torn: u64) {
        if torn == 0 {
            return;
        }
        let taken_back = self.file.stream_position().and_then(|end| {
            let is_last = self.file.metadata()?.len() == end;
            let is_last = is_last.then_some(end).ok_or(io::ErrorKind::Other)?;
            self.file.set_len(is_last - torn)
        });
        self.is_torn = taken_back.is_err();
    }
}

/// A new file can be read by its owner and group alone, whatever the umask: its lines say who asked for what.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(0o640))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;

    use rustix::pipe::PipeFlags;

    use super::*;

    /// A pipe that takes less than is written stands for a disk that fills up.
    #[test]
    fn what_cannot_be_written_is_counted_and_the_next_line_begins_anew() {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut file = Lines::to(File::from(writer));
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let lost = file.write(&line.repeat(1000)).unwrap_err().count as usize;
        assert!(lost > 0 && lost < 1000 && file.is_torn);
        let mut reader = File::from(reader);
        let mut read = Vec::new();
        // Nothing more is there for now, which is an error.
        let _ = reader.read_to_end(&mut read);
        assert_eq!(read.iter().filter(|byte| **byte == b'\n').count(), 1000 - lost);
        file.write(b"next\n").ok().unwrap();
        let _ = reader.read_to_end(&mut read);
        assert!(read.ends_with(b"x\nnext\n"));
    }

    #[test]
    fn a_torn_line_is_taken_back_unless_another_one_follows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Lines::to(append_to(&path).unwrap());
        lines.write(b"whole\nto").ok().unwrap();
        lines.take_back(2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\n");
        lines.write(b"to").ok().unwrap();
        append_to(&path).unwrap().write_all(b"another's\n").unwrap();
        lines.take_back(2);
        assert!(lines.is_torn);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\ntoanother's\n");
    }
}
