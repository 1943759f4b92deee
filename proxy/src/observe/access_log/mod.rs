//! One JSON line a request, written by a thread of its own: a slow log reader never holds up a request.

mod line;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::line::Line;
use crate::observe::outlet::{Lost, Outlet, Sink};

/// `access_log: { to: /var/log/veil/access.log, client_address: network }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLogConfig {
    pub to: Destination,
    pub client_address: ClientAddress,
}

/// Where the lines go: `stderr`, `stdout`, `off`, or a file's path, which is made for its owner and group alone. USR1
/// opens the file anew.
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
    /// None where it is off.
    outlet: Option<Outlet>,
}

impl AccessLog {
    /// Lines are given this long to gather, so that one write takes many of them.
    const GATHER: Duration = Duration::from_millis(50);

    /// # Errors
    /// The file cannot be opened.
    pub fn open(config: &AccessLogConfig) -> io::Result<Self> {
        let sink = match &config.to {
            Destination::Off => None,
            Destination::Stderr => Some(Sink::Stderr),
            Destination::Stdout => Some(Sink::Stdout),
            Destination::File(path) => Some(Sink::File(path.clone())),
        };
        let open = |sink| Outlet::open(sink, "access-log", Self::GATHER);
        Ok(Self {
            config: config.clone(),
            outlet: sink.map(open).transpose()?,
        })
    }

    pub fn config(&self) -> &AccessLogConfig {
        &self.config
    }

    pub fn is_on(&self) -> bool {
        self.outlet.is_some()
    }

    /// Appends a line.
    pub fn write(&self, line: &Line<'_>) {
        if let Some(outlet) = &self.outlet {
            outlet.write(|lines| line.write(lines));
        }
    }

    /// Opens the file anew, after it was moved away.
    pub fn reopen(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.reopen();
        }
    }

    /// Writes what is left, and ends the log. Whoever does not read it is not waited for.
    pub fn finish(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.finish(Outlet::FAREWELL);
        }
    }

    /// Lines that were not written.
    pub fn lost(&self) -> Lost {
        self.outlet.as_ref().map(Outlet::lost).unwrap_or_default()
    }
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
            user: None,
            api_key: None,
            trace_id: None,
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
