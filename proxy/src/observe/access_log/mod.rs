//! One JSON line a request, written by a thread of its own: a slow log reader never holds up a request.

mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::line::Line;

/// `access_log: { to: /var/log/veil/access.log, client_address: network }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLogConfig {
    pub to: Destination,
    pub client_address: ClientAddress,
}

/// Where the lines go: `stderr`, `stdout`, `off`, or a file's path. USR1 opens the file anew.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(from = "PathBuf")]
#[schemars(with = "PathBuf")]
pub enum Destination {
    #[default]
    Stderr,
    Stdout,
    Off,
    File(PathBuf),
}

impl From<PathBuf> for Destination {
    fn from(path: PathBuf) -> Self {
        match path.to_str() {
            Some("stderr") => Self::Stderr,
            Some("stdout") => Self::Stdout,
            Some("off") => Self::Off,
            _ => Self::File(path),
        }
    }
}

/// How much of a client's address the log keeps.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ClientAddress {
    #[default]
    Full,
    /// The first 24 bits of an IPv4 address, 48 of an IPv6 address; the rest is 0.
    Network,
    None,
}

impl ClientAddress {
    /// What of the address may be written.
    pub fn keep(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::Full, _) => Some(address),
            (Self::Network, IpAddr::V4(v4)) => Some(Ipv4Addr::from_bits(v4.to_bits() & (!0 << 8)).into()),
            (Self::Network, IpAddr::V6(v6)) => Some(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 80)).into()),
            (Self::None, _) => None,
        }
    }
}

/// The log. Dropping it writes what is left.
pub struct AccessLog {
    config: AccessLogConfig,
    shared: Arc<Shared>,
    /// Taken by whoever ends the log.
    writer: Mutex<Option<JoinHandle<()>>>,
    on: bool,
}

struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
    dropped: AtomicU64,
}

/// Touched by every request, for as long as it takes to append a line.
#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    reopen: bool,
    closed: bool,
}

impl AccessLog {
    /// Lines are given this long to gather, so that one write takes many of them.
    const GATHER: Duration = Duration::from_millis(50);
    /// More than this unwritten is dropped and counted.
    const MOST_PENDING_BYTES: usize = 8 << 20;

    /// # Errors
    /// The file cannot be opened.
    pub fn open(config: &AccessLogConfig) -> io::Result<Self> {
        let pending = Mutex::new(Pending::default());
        let shared = Arc::new(Shared {
            pending,
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writer = match open(&config.to)? {
            None => None,
            Some(sink) => {
                let (shared, to) = (Arc::clone(&shared), config.to.clone());
                Some(
                    thread::Builder::new()
                        .name("access-log".into())
                        .spawn(move || shared.write_out(sink, &to))?,
                )
            }
        };
        Ok(Self {
            config: config.clone(),
            shared,
            on: writer.is_some(),
            writer: Mutex::new(writer),
        })
    }

    pub fn config(&self) -> &AccessLogConfig {
        &self.config
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Appends a line.
    pub fn write(&self, line: &Line<'_>) {
        let mut pending = self.shared.pending.lock();
        if pending.lines.len() > Self::MOST_PENDING_BYTES {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = pending.lines.is_empty();
        line.write(&mut pending.lines);
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

    /// Writes what is left, and ends the log.
    pub fn finish(&self) {
        self.shared.pending.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(writer) = self.writer.lock().take() {
            // A writer that panicked has said so.
            let _ = writer.join();
        }
    }

    /// Lines that were not written because their reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn write_out(&self, mut sink: Box<dyn Write + Send>, to: &Destination) {
        let mut lines = Vec::new();
        loop {
            let (reopen, closed) = self.take(&mut lines);
            if reopen {
                match open(to) {
                    Ok(Some(opened)) => sink = opened,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, ?to, "cannot open the access log anew; the old file stays"),
                }
            }
            if sink.write_all(&lines).and_then(|()| sink.flush()).is_err() {
                self.dropped.fetch_add(
                    lines.iter().filter(|byte| **byte == b'\n').count() as u64,
                    Ordering::Relaxed,
                );
            }
            lines.clear();
            if closed {
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
        if !pending.reopen && !pending.closed {
            self.changed.wait_for(&mut pending, AccessLog::GATHER);
        }
        std::mem::swap(&mut pending.lines, lines);
        (std::mem::take(&mut pending.reopen), pending.closed)
    }
}

fn open(to: &Destination) -> io::Result<Option<Box<dyn Write + Send>>> {
    Ok(match to {
        Destination::Off => None,
        Destination::Stderr => Some(Box::new(io::stderr())),
        Destination::Stdout => Some(Box::new(io::stdout())),
        Destination::File(path) => {
            let file: File = OpenOptions::new().create(true).append(true).open(path)?;
            Some(Box::new(file))
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(path: &str) -> Line<'_> {
        Line {
            time: std::time::SystemTime::UNIX_EPOCH,
            id: "abc",
            client: Some([192, 0, 2, 7].into()),
            method: "GET",
            host: "example.org",
            path,
            protocol: "HTTP/1.1",
            status: 200,
            code: None,
            request_bytes: 0,
            response_bytes: 5,
            duration: Duration::from_millis(1),
            route: Some("all"),
            pool: None,
            backend: None,
            attempts: 1,
            upstream: None,
            error: None,
        }
    }

    fn log_to(path: &std::path::Path) -> AccessLog {
        let config = AccessLogConfig {
            to: Destination::File(path.to_owned()),
            ..AccessLogConfig::default()
        };
        AccessLog::open(&config).unwrap()
    }

    #[test]
    fn writes_one_json_line_a_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = log_to(&path);
        log.write(&line("/a"));
        log.write(&line("/b"));
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["path"], "/a");
        assert_eq!(lines[1]["client"], "192.0.2.7");
    }

    #[test]
    fn opens_a_file_anew_that_was_moved_away() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (
            directory.path().join("access.log"),
            directory.path().join("access.log.1"),
        );
        let log = log_to(&path);
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write(&line("/after"));
        drop(log);
        assert!(std::fs::read_to_string(&path).unwrap().contains("/after"));
    }

    #[test]
    fn keeps_as_much_of_an_address_as_told() {
        let (v4, v6): (IpAddr, IpAddr) = ([192, 0, 2, 7].into(), "2001:db8:1:2::7".parse().unwrap());
        assert_eq!(ClientAddress::Full.keep(v4), Some(v4));
        assert_eq!(ClientAddress::Network.keep(v4), Some([192, 0, 2, 0].into()));
        assert_eq!(ClientAddress::Network.keep(v6), Some("2001:db8:1::".parse().unwrap()));
        assert_eq!(ClientAddress::None.keep(v6), None);
    }
}
