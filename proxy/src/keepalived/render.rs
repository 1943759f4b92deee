//! Keepalived's file for one host. The files in `keepalived/` are what this renders from `conf/`, held by a test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::{AdvertInterval, Host, KeepalivedConfig, VirtualAddressConfig};

const HEAD: &str = include_str!("head.conf");
const INSTANCE: &str = include_str!("instance.conf");

/// Where an address has no home, and on the host that is not its home.
const STAYS: &str = "    \
    state BACKUP                       # on both hosts: the one that serves keeps the address";

/// On the host that is its home.
const RETURNS: &str = "    \
    state BACKUP                       # the higher priority takes the address back …
    preempt_delay 30                   # … once its host has been well for 30 s";

/// Of both hosts where an address has no home: equals do not take it from each other, so that it moves once for a
/// failure. One that is not ready counts for 60 less (`head.conf`), and so for less than the other, at home or not; one
/// that hangs for the least there is.
const PRIORITY: &str = "100";
const PRIORITY_AT_HOME: &str = "150";

pub fn render(config: &KeepalivedConfig, host: Host, admin: SocketAddr) -> String {
    let page = Page { config, host };
    let mut text = fill(
        HEAD,
        &[
            ("HOST", page.this().name.as_str()),
            ("OTHER_HOST", page.other().name.as_str()),
            ("DEFINITIONS", &page.definitions()),
            // Keepalived fills in no $NAME between quotes.
            ("ADMIN", &local(admin).to_string()),
        ],
    );
    for (index, address) in config.virtual_addresses.iter().enumerate() {
        text.push_str(&page.instance(index, address));
    }
    text.push_str(&page.groups());
    text
}

/// The file that is being written.
struct Page<'a> {
    config: &'a KeepalivedConfig,
    host: Host,
}

impl Page<'_> {
    fn this(&self) -> &super::HostConfig {
        &self.config.hosts[self.host as usize]
    }

    fn other(&self) -> &super::HostConfig {
        &self.config.hosts[self.host.other() as usize]
    }

    /// The lines that an operator changes: `$NAME=value`.
    fn definitions(&self) -> String {
        let mut lines = format!("$INTERFACE={}\n", self.config.interface.as_str());
        let mut define = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "${name}={value}");
        };
        for (suffix, is_v4) in [("", true), ("_6", false)] {
            let addresses = &self.config.virtual_addresses;
            let Some(one) = addresses.iter().find(|one| one.address.addr().is_ipv4() == is_v4) else {
                continue;
            };
            for (name, host) in [("THIS_PROXY", self.this()), ("OTHER_PROXY", self.other())] {
                if let Some(own) = host.address_beside(&one.address) {
                    define(&format!("{name}{suffix}"), &own);
                }
            }
        }
        for (index, one) in self.config.virtual_addresses.iter().enumerate() {
            define(&numbered("VIRTUAL_ADDRESS", index), &one.address);
            define(&numbered("ROUTER_ID", index), &one.router_id);
        }
        lines
    }

    fn instance(&self, index: usize, address: &VirtualAddressConfig) -> String {
        let suffix = if address.address.addr().is_ipv4() { "" } else { "_6" };
        let home = address.home.as_ref().and_then(|name| self.config.host(name.as_str()));
        let (keeping, priority) = match home == Some(self.host) {
            true => (RETURNS, PRIORITY_AT_HOME),
            false => (STAYS, PRIORITY),
        };
        fill(
            INSTANCE,
            &[
                ("INSTANCE", &numbered("veil", index)),
                ("KEEPING", keeping),
                ("ROUTER_ID", &numbered("ROUTER_ID", index)),
                ("PRIORITY", priority),
                ("ADVERT_INTERVAL", &seconds(self.config.advert_interval)),
                ("THIS_PROXY", &format!("THIS_PROXY{suffix}")),
                ("OTHER_PROXY", &format!("OTHER_PROXY{suffix}")),
                ("ADDRESSES", &carried(index, address)),
            ],
        )
    }

    /// Addresses of one router id are of both IP versions, and move together.
    fn groups(&self) -> String {
        let mut members: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (index, address) in self.config.virtual_addresses.iter().enumerate() {
            let group = members.entry(address.router_id).or_default();
            group.push(format!("        {}\n", numbered("veil", index)));
        }
        let groups = members.iter().filter(|(_, instances)| instances.len() > 1);
        groups
            .map(|(id, instances)| {
                let instances = instances.concat();
                format!("\n# They move together.\nvrrp_sync_group veil_{id} {{\n    group {{\n{instances}    }}\n    sync_group_tracking_weight\n}}\n")
            })
            .collect()
    }
}

/// The addresses that an instance puts on the interface.
fn carried(index: usize, virtual_address: &VirtualAddressConfig) -> String {
    let address = format!("        ${} dev $INTERFACE", numbered("VIRTUAL_ADDRESS", index));
    match virtual_address.address {
        // RFC 9568 wants a link-local address first.
        IpNet::V6(v6) if !v6.addr().is_unicast_link_local() => {
            format!(
                "        fe80::{:x} dev $INTERFACE\n{address}",
                virtual_address.router_id
            )
        }
        _ => address,
    }
}

/// `NAME` for the first, `NAME_2` for the second.
fn numbered(name: &str, index: usize) -> String {
    match index {
        0 => name.to_owned(),
        _ => format!("{name}_{}", index + 1),
    }
}

/// Where the host itself asks for what listens on `address`.
fn local(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// `0.1`, as Keepalived counts.
fn seconds(AdvertInterval(interval): AdvertInterval) -> String {
    format!("{}", interval.get().as_secs_f64())
}

/// Puts values in the place of `@NAME@`s.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("@{name}@"), value)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HOSTS: &str =
        "hosts: [{ name: one, addresses: [10.0.0.1, 'fd00::1'] }, { name: two, addresses: [10.0.0.2, 'fd00::2'] }]";

    fn rendered(virtual_addresses: &str, more: &str) -> [String; 2] {
        let text = format!("{{ {HOSTS}, virtual_addresses: [{virtual_addresses}], {more} }}");
        let config: KeepalivedConfig = serde_yaml::from_str(&text).unwrap();
        [Host::First, Host::Second].map(|host| config.render(host, "127.0.0.1:8081".parse().unwrap()))
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let everything = "{ address: 10.0.0.9/24, router_id: 9 }, { address: 'fd00::9/64', router_id: 9 }, \
                          { address: 10.0.0.8/24, router_id: 8, home: two }";
        for text in rendered(everything, "interface: ens3, advert_interval: 1s") {
            assert!(!text.contains('@'), "{text}");
            assert!(
                text.contains("$INTERFACE=ens3\n") && text.contains("advert_int 1 "),
                "{text}"
            );
        }
    }

    #[test]
    fn the_hosts_differ_in_who_is_who_only() {
        let [one, two] = rendered("{ address: 10.0.0.9/24, router_id: 9 }", "");
        let differing: Vec<(&str, &str)> = one.lines().zip(two.lines()).filter(|(a, b)| a != b).skip(1).collect();
        let expected = [
            ("$THIS_PROXY=10.0.0.1", "$THIS_PROXY=10.0.0.2"),
            ("$OTHER_PROXY=10.0.0.2", "$OTHER_PROXY=10.0.0.1"),
        ];
        assert_eq!(differing, expected);
    }

    #[test]
    fn an_address_with_a_home_returns_to_it() {
        let [one, two] = rendered("{ address: 10.0.0.9/24, router_id: 9, home: two }", "");
        assert!(one.contains("priority 100") && two.contains("priority 150"));
        assert!(!one.contains("preempt_delay 30") && two.contains("preempt_delay 30"));
    }

    #[test]
    fn both_ip_versions_of_a_router_id_move_together() {
        let pair = "{ address: 10.0.0.9/24, router_id: 200 }, { address: 'fd00::9/64', router_id: 200 }";
        let [one, _] = rendered(pair, "");
        assert!(
            one.contains("vrrp_sync_group veil_200 {\n    group {\n        veil\n        veil_2\n"),
            "{one}"
        );
        assert!(
            one.contains("fe80::c8 dev $INTERFACE\n        $VIRTUAL_ADDRESS_2 dev"),
            "{one}"
        );
        assert!(one.contains("unicast_src_ip $THIS_PROXY_6"), "{one}");
    }

    #[test]
    fn readiness_is_asked_for_on_the_host_itself() {
        assert_eq!(local("0.0.0.0:9000".parse().unwrap()).to_string(), "127.0.0.1:9000");
        assert_eq!(local("[::]:9000".parse().unwrap()).to_string(), "[::1]:9000");
        assert_eq!(local("10.0.0.1:9000".parse().unwrap()).to_string(), "10.0.0.1:9000");
    }
}
