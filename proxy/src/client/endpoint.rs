//! Where somebody listens: an internet address or a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    Inet(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Why a Unix socket cannot be there.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("unix:{0} is no whole path; write it from its first slash, such as unix:/run/app.sock")]
    NotWhole(String),
    #[error("unix:{0} is longer than a socket's path can be, {LONGEST_PATH} bytes")]
    TooLong(String),
}

pub const HOW_TO_WRITE: &str = "write 127.0.0.1:8080, \"[::1]:8080\" or unix:/run/veil/http.sock";

/// Bytes; the system has room for no more.
const LONGEST_PATH: usize = 107;

impl Endpoint {
    /// The Unix socket at this path, which is to be a whole one.
    ///
    /// # Errors
    /// It is none, or no socket can be there.
    pub fn unix(path: &str) -> Result<Self, EndpointError> {
        if !path.starts_with('/') {
            return Err(EndpointError::NotWhole(path.to_owned()));
        }
        match path.len() > LONGEST_PATH {
            true => Err(EndpointError::TooLong(path.to_owned())),
            false => Ok(Self::Unix(path.into())),
        }
    }

    /// As a configuration writes it, or a command line; `host` is the one that a port alone most likely lacks.
    ///
    /// # Errors
    /// It is no address with its port, and no Unix socket's.
    pub fn written(text: &str, host: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path).map_err(|error| error.to_string());
        }
        if text.parse::<u16>().is_ok() {
            return Err(format!("{text} is a port alone; write {host}:{text}"));
        }
        let address = text.parse().map(Self::Inet);
        address.map_err(|_| format!("{text:?} is no address with its port; {HOW_TO_WRITE}"))
    }

    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The same host at another port; a Unix socket has none.
    pub fn at_port(&self, port: Option<u16>) -> Self {
        match (self, port) {
            (Self::Inet(address), Some(port)) => Self::Inet(SocketAddr::new(address.ip(), port)),
            _ => self.clone(),
        }
    }

    /// An address for those who know no other kind: a Unix socket's is made of its path, and nobody's.
    pub fn as_inet(&self) -> SocketAddr {
        match self {
            Self::Inet(address) => *address,
            Self::Unix(path) => stand_in(path),
        }
    }
}

/// Of the addresses that are kept for later (240.0.0.0/4), by FNV-1a of the path.
fn stand_in(path: &Path) -> SocketAddr {
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [high, second, third, low, a, b, ..] = hash.to_be_bytes();
    SocketAddr::from(([240 | high & 15, second, third, low], u16::from_be_bytes([a, b]) | 1))
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
