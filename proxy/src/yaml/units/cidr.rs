//! Networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;

use super::UnitError;

/// A network, `10.0.0.0/8` or `fd00::/8`; an address alone stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9a-fA-F:.]+(/[0-9]+)?$", "examples" = ["10.0.0.0/8", "fd00::/8"]))]
pub struct Cidr(IpNet);

impl Cidr {
    pub const fn get(self) -> IpNet {
        self.0
    }

    /// Whether the network holds the address. An IPv4 address that arrived on an IPv6 socket counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Cidr(text.to_owned());
        let Ok(network) = text.parse::<IpNet>() else {
            return text
                .parse::<IpAddr>()
                .map(|address| Self(address.into()))
                .map_err(|_| malformed());
        };
        if network.trunc() != network {
            return Err(UnitError::HostBits {
                written: text.to_owned(),
                meant: network.trunc(),
            });
        }
        Ok(Self(network))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_alone_is_a_network_of_one() {
        let one: Cidr = "192.0.2.1".parse().unwrap();
        assert_eq!(one.to_string(), "192.0.2.1/32");
        assert!(one.contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!one.contains("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn a_network_with_host_bits_is_told_what_it_meant() {
        let error = "10.1.2.3/8".parse::<Cidr>().unwrap_err();
        assert!(error.to_string().ends_with("; write 10.0.0.0/8"), "{error}");
    }
}
