//! An address of a backend: an IP address or a host name, with a port.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

/// `192.168.1.10:5000`, `[fd00::1]:5000` or `worker.internal:5000`; always with a port.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):[1-9][0-9]*$", "examples" = ["192.168.1.10:5000", "worker.internal:5000"]))]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Ip(std::net::IpAddr),
    Name(String),
}

impl Address {
    /// Whether it says the address itself and not a name for it.
    pub fn is_literal(&self) -> bool {
        matches!(self.host, Host::Ip(_))
    }

    /// The socket addresses it stands for, in a stable order, each once; asks the system's resolver for a name.
    /// Blocks while it does.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match &self.host {
            Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, self.port)]),
            Host::Name(name) => {
                let mut found: Vec<_> = (name.as_str(), self.port).to_socket_addrs()?.collect();
                found.sort();
                found.dedup();
                if found.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
                }
                Ok(found)
            }
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Ip(address.ip()),
            port: address.port(),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Self::with_port(Host::Ip(address.ip()), address.port(), text);
        }
        let malformed = || AddressError::Malformed(text.to_owned());
        let (name, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let port = port.parse().map_err(|_| malformed())?;
        if !is_host_name(name) {
            return Err(malformed());
        }
        Self::with_port(Host::Name(name.to_owned()), port, text)
    }
}

impl Address {
    fn with_port(host: Host, port: u16, text: &str) -> Result<Self, AddressError> {
        if port == 0 {
            return Err(AddressError::PortZero(text.to_owned()));
        }
        Ok(Self { host, port })
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
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
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
    #[error("{0:?} is not an address; write 192.168.1.10:5000, [fd00::1]:5000 or worker.internal:5000")]
    Malformed(String),
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
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
