//! What networks stand for, of which the smallest that holds an address says it, however many there are.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::yaml::units::Cidr;

/// By the lengths of their prefixes, the longest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Networks<T>(Vec<(u8, HashMap<IpNet, T>)>);

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Networks<T> {
    /// Of two that are the same the first one stays.
    pub fn put(&mut self, network: Cidr, is: T) {
        let network = network.get();
        let length = network.prefix_len();
        let place = match self.0.binary_search_by(|(known, _)| length.cmp(known)) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (length, HashMap::new()));
                place
            }
        };
        self.0[place].1.entry(network).or_insert(is);
    }

    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let address = address.to_canonical();
        self.0.iter().find_map(|(length, networks)| {
            let network = IpNet::new(address, *length).ok()?;
            networks.get(&network.trunc())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_smallest_network_says_it() {
        let mut networks = Networks::default();
        for (number, text) in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.0.0/16",
            "10.1.2.3/32",
            "::/0",
            "2001:db8::/32",
        ]
        .into_iter()
        .enumerate()
        {
            networks.put(text.parse().unwrap(), number);
        }
        for (address, is) in [
            ("192.0.2.1", 0),
            ("10.2.0.1", 1),
            ("10.1.2.4", 2),
            ("10.1.2.3", 4),
            ("::ffff:10.1.2.3", 4),
            ("2001:db8::1", 6),
            ("fe80::1", 5),
        ] {
            assert_eq!(networks.find(address.parse().unwrap()), Some(&is), "{address}");
        }
    }
}
