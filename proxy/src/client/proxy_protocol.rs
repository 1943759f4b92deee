//! The PROXY protocol, which tells of the client before all else on a connection, in text (version 1) or in binary
//! (version 2). Source: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

/// The version that is sent.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// The ends of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub client: SocketAddr,
    /// What the client connected to.
    pub server: SocketAddr,
}

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of a client, or of the proxy itself, whose own ends count then.
    Whole { length: usize, ends: Option<Ends> },
    /// There is more to come.
    Part,
    /// It is none.
    Nothing,
}

impl ProxyProtocol {
    /// What goes before all else; without a client, that the connection is the proxy's own.
    pub fn header(self, ends: Option<Ends>) -> Vec<u8> {
        let ends = ends.map(Ends::of_one_family);
        match self {
            Self::V1 => first(ends).into_bytes(),
            Self::V2 => second(ends),
        }
    }
}

impl Ends {
    /// With IPv4 written as such.
    pub fn canonical(self) -> Self {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            client: canonical(self.client),
            server: canonical(self.server),
        }
    }

    /// Both as IPv6 where one of them is.
    fn of_one_family(self) -> Self {
        let Self { client, server } = self.canonical();
        match client.is_ipv4() == server.is_ipv4() {
            true => Self { client, server },
            false => Self {
                client: mapped(client),
                server: mapped(server),
            },
        }
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn first(ends: Option<Ends>) -> String {
    let Some(Ends { client, server }) = ends else {
        return "PROXY UNKNOWN\r\n".to_owned();
    };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), server.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), server.port())
}

fn second(ends: Option<Ends>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some(Ends { client, server }) = ends else {
        header.extend_from_slice(&[LOCAL, 0, 0, 0]);
        return header;
    };
    let mut addresses = Vec::with_capacity(36);
    for address in [client, server] {
        match address.ip() {
            IpAddr::V4(ip) => addresses.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => addresses.extend_from_slice(&ip.octets()),
        }
    }
    for address in [client, server] {
        addresses.extend_from_slice(&address.port().to_be_bytes());
    }
    let family = if client.is_ipv4() { OVER_IPV4 } else { OVER_IPV6 };
    header.extend_from_slice(&[PROXY, family, 0, addresses.len() as u8]);
    header.extend_from_slice(&addresses);
    header
}

/// Reads what a connection begins with, of either version.
pub fn read(bytes: &[u8]) -> Told {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, wanted)| byte == wanted);
    if begins(&SIGNATURE) {
        return read_second(bytes);
    }
    match begins(b"PROXY ") {
        true => read_first(bytes),
        false => Told::Nothing,
    }
}

fn read_first(bytes: &[u8]) -> Told {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return match bytes.len() > LONGEST_LINE {
            true => Told::Nothing,
            false => Told::Part,
        };
    };
    let length = end + 2;
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else {
        return Told::Nothing;
    };
    let words: Vec<&str> = line.split(' ').collect();
    let ends = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), from, to, client, server] => {
            let address = |ip: &str, port: &str| {
                let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
                (address.is_ipv4() == (family == "TCP4")).then_some(address)
            };
            match (address(from, client), address(to, server)) {
                (Some(client), Some(server)) => Some(Ends { client, server }),
                _ => return Told::Nothing,
            }
        }
        _ => return Told::Nothing,
    };
    Told::Whole { length, ends }
}

fn read_second(bytes: &[u8]) -> Told {
    let Some(&[command, family, high, low]) = bytes.get(12..16) else {
        return Told::Part;
    };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || length > LONGEST {
        return Told::Nothing;
    }
    let Some(addresses) = bytes.get(16..length) else {
        return Told::Part;
    };
    let ends = match (command, family) {
        (LOCAL, _) => None,
        (PROXY, OVER_IPV4) => addresses
            .get(..12)
            .map(|all| ends::<4>(all, |ip| Ipv4Addr::from(ip).into())),
        (PROXY, OVER_IPV6) => addresses
            .get(..36)
            .map(|all| ends::<16>(all, |ip| Ipv6Addr::from(ip).into())),
        // Of a Unix socket, or of something that is not TCP: whoever it is has no address.
        (PROXY, _) => None,
        _ => return Told::Nothing,
    };
    match (family, ends) {
        (OVER_IPV4 | OVER_IPV6, None) if command == PROXY => Told::Nothing,
        _ => Told::Whole { length, ends },
    }
}

/// Two addresses of `N` bytes, then two ports.
fn ends<const N: usize>(all: &[u8], ip: impl Fn([u8; N]) -> IpAddr) -> Ends {
    let address = |number: usize| {
        let mut octets = [0; N];
        octets.copy_from_slice(&all[number * N..][..N]);
        let port = &all[2 * N + 2 * number..][..2];
        SocketAddr::new(ip(octets), u16::from_be_bytes([port[0], port[1]]))
    };
    Ends {
        client: address(0),
        server: address(1),
    }
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const OVER_IPV4: u8 = 0x11;
const OVER_IPV6: u8 = 0x21;

/// Bytes of the longest line of version 1, and of the longest header of version 2 that is taken, its extensions included.
const LONGEST_LINE: usize = 107;
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ends(client: &str, server: &str) -> Ends {
        Ends {
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            for ends in [
                Some(ends("203.0.113.9:4711", "10.0.0.1:443")),
                Some(ends("[2001:db8::1]:4711", "[2001:db8::2]:443")),
                None,
            ] {
                let header = version.header(ends);
                let length = header.len();
                let with_more = [header.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
                assert_eq!(read(&with_more), Told::Whole { length, ends });
                for cut in 1..length {
                    assert_eq!(read(&header[..cut]), Told::Part, "{cut}");
                }
            }
        }
    }

    #[test]
    fn both_ends_are_of_one_family() {
        let header = ProxyProtocol::V1.header(Some(ends("203.0.113.9:1", "[2001:db8::2]:2")));
        assert_eq!(header, b"PROXY TCP6 ::ffff:203.0.113.9 2001:db8::2 1 2\r\n");
        let header = ProxyProtocol::V1.header(Some(ends("[::ffff:203.0.113.9]:1", "10.0.0.1:2")));
        assert_eq!(header, b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n");
    }

    #[test]
    fn nothing_else_is_taken_for_it() {
        let long = format!("PROXY TCP4 {}", "1".repeat(200));
        let too_long = [&SIGNATURE[..], &[PROXY, OVER_IPV4, 0xff, 0xff]].concat();
        let too_short = [&SIGNATURE[..], &[PROXY, OVER_IPV4, 0, 4, 1, 2, 3, 4]].concat();
        let of_version_3 = [&SIGNATURE[..], &[0x31, OVER_IPV4, 0, 0]].concat();
        for bytes in [
            b"GET / HTTP/1.1\r\n".as_slice(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 a b c d\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY\r\n",
            long.as_bytes(),
            &too_long,
            &too_short,
            &of_version_3,
        ] {
            assert_eq!(read(bytes), Told::Nothing, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
