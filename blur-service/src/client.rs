//! Who asks: the peer's address or, where the peer is a proxy that is trusted, the one it tells.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use quantity::forwarded::{address, from_the_last};

/// One client, as far as addresses tell: with IPv6 a whole /64, since whoever has one address there has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

/// Peers whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted(Vec<IpNet>);

impl Client {
    /// `forwarded` is the field's lines, in their order. The last address that no trusted proxy has is the client's; where an
    /// entry cannot be read, whoever passed it on.
    pub fn of(peer: IpAddr, forwarded: &[&[u8]], trusted: &Trusted) -> Self {
        let mut client = peer.to_canonical();
        for entry in from_the_last(forwarded) {
            if !trusted.has(client) {
                break;
            }
            let Some(address) = address(entry) else { break };
            client = address;
        }
        Self(network(client))
    }
}

impl Trusted {
    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = |entry: &str| {
            let host = || entry.parse::<IpAddr>().map(IpNet::from);
            entry
                .parse::<IpNet>()
                .or_else(|_| host())
                .map_err(|_| format!("`{entry}` is neither an address nor a network like 10.0.0.0/8"))
        };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_proxy_is_believed_where_it_is_trusted() {
        let trusted: Trusted = "127.0.0.0/8, 10.0.0.7".parse().unwrap();
        for (peer, forwarded, client) in [
            ("192.0.2.1", &["198.51.100.9"][..], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.9"], "198.51.100.9"),
            ("127.0.0.1", &["203.0.113.5, 198.51.100.9"], "198.51.100.9"),
            ("127.0.0.1", &["203.0.113.5", "198.51.100.9, 10.0.0.7"], "198.51.100.9"),
            ("127.0.0.1", &["198.51.100.9:4000"], "198.51.100.9"),
            ("::ffff:127.0.0.1", &["198.51.100.9"], "198.51.100.9"),
            ("127.0.0.1", &["[2001:db8::1]:80"], "2001:db8::"),
            ("127.0.0.1", &["198.51.100.9,"], "198.51.100.9"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            let lines: Vec<&[u8]> = forwarded.iter().map(|line| line.as_bytes()).collect();
            let found = Client::of(peer.parse().unwrap(), &lines, &trusted);
            assert_eq!(found, Client(client.parse().unwrap()), "{peer} {forwarded:?}");
        }
        assert_eq!("".parse(), Ok(Trusted(Vec::new())));
        assert!("localhost".parse::<Trusted>().is_err());
    }
}
