//! An address of a backend: an IP address or a host name, with a port, or a Unix socket.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::client::endpoint::{Endpoint, EndpointError};

/// `192.168.1.10:5000`, `[fd00::1]:5000` or `worker.internal:5000`, always with a port; or a Unix socket: `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^(unix:/.+|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):[1-9][0-9]*)$", "examples" = ["192.168.1.10:5000", "worker.internal:5000", "unix:/run/app.sock"]))]
pub struct Address(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Literal(SocketAddr),
    Name { name: String, port: u16 },
    Unix(Endpoint),
}

impl Address {
    /// Whether it says the address itself and not a name for it.
    pub fn is_literal(&self) -> bool {
        !matches!(self.0, Kind::Name { .. })
    }

    /// The host without its port, for TLS; a Unix socket has none.
    pub fn host(&self) -> Option<String> {
        match &self.0 {
            Kind::Literal(address) => Some(address.ip().to_string()),
            Kind::Name { name, .. } => Some(name.clone()),
            Kind::Unix(_) => None,
        }
    }

    /// Where it leads, in a stable order, each once; asks the system's resolver for a name. Blocks while it does.
    pub fn resolve(&self) -> io::Result<Vec<Endpoint>> {
        match &self.0 {
            Kind::Literal(address) => Ok(vec![Endpoint::Inet(*address)]),
            Kind::Unix(endpoint) => Ok(vec![endpoint.clone()]),
            Kind::Name { name, port } => {
                let mut found: Vec<_> = (name.as_str(), *port).to_socket_addrs()?.collect();
                found.sort();
                found.dedup();
                if found.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
                }
                Ok(found.into_iter().map(Endpoint::Inet).collect())
            }
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Literal(address))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self(Kind::Unix(Endpoint::unix(path)?)));
        }
        let malformed = || AddressError::Malformed(text.to_owned());
        let address = match text.parse::<SocketAddr>() {
            Ok(address) => Kind::Literal(address),
            Err(_) => {
                let (name, port) = text.rsplit_once(':').ok_or_else(malformed)?;
                let port = port.parse().map_err(|_| malformed())?;
                if !is_host_name(name) {
                    return Err(malformed());
                }
                let name = name.to_owned();
                Kind::Name { name, port }
            }
        };
        match address {
            Kind::Name { port: 0, .. } => Err(AddressError::PortZero(text.to_owned())),
            Kind::Literal(literal) if literal.port() == 0 => Err(AddressError::PortZero(text.to_owned())),
            address => Ok(Self(address)),
        }
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // All digits at the end would be an IPv4 address, and a valid one has been read as such.
    let last_is_a_name = name
        .rsplit('.')
        .next()
        .is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && last_is_a_name && name.split('.').all(label)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Literal(address) => address.fmt(f),
            Kind::Name { name, port } => write!(f, "{name}:{port}"),
            Kind::Unix(endpoint) => endpoint.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "{0:?} is not an address; write 192.168.1.10:5000, [fd00::1]:5000, worker.internal:5000 or unix:/run/app.sock"
    )]
    Malformed(String),
    #[error(transparent)]
    Unix(#[from] EndpointError),
    #[error("{0:?} has port 0, which nobody listens on")]
    PortZero(String),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_addresses_and_names() {
        for text in [
            "192.168.1.10:5000",
            "[fd00::1]:5000",
            "worker.internal:5000",
            "localhost:80",
            "a_b-c:1",
            "unix:/run/app.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_nobody_can_connect_to() {
        for text in [
            "",
            "worker",
            "worker:",
            ":5000",
            "10.0.0.1",
            "10.0.0.256:80",
            "1.2.3:80",
            "a b:80",
            "fd00::1:80",
            "w:0",
            "unix:",
            "unix:run/app.sock",
            "10.0.0.1:0",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn resolves_a_name_to_its_addresses_each_once() {
        let found = "localhost:80".parse::<Address>().unwrap().resolve().unwrap();
        assert!(
            found
                .iter()
                .filter_map(Endpoint::inet)
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
