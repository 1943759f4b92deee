//! A virtual address between two hosts that run Veil: what the configuration says of it, and Keepalived's files for it.
//! Both files come from one place, so that the two hosts cannot disagree.

mod files;
mod render;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

pub use self::files::{File, RenderError};
use crate::yaml::diagnostic::suggest;
use crate::yaml::document::{Path, Step, steps};
use crate::yaml::units::Duration;

/// `keepalived: { hosts: […], virtual_addresses: […] }`. Veil itself does nothing with it: `veil keepalived render`
/// writes Keepalived's files from it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct KeepalivedConfig {
    /// The network interface of both hosts that carries the addresses.
    #[serde(default = "eth0")]
    pub interface: Name,
    /// Where both are equally well, the one with the higher address takes an address that neither holds.
    #[serde(deserialize_with = "two_hosts")]
    pub hosts: [HostConfig; 2],
    pub virtual_addresses: Vec<VirtualAddressConfig>,
    #[serde(default)]
    pub advert_interval: AdvertInterval,
}

/// `{ name: master, addresses: [192.168.1.2] }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// What `--host` and the host's file are called by.
    pub name: Name,
    /// The host's own: one for each IP version that has a virtual address.
    pub addresses: Vec<IpAddr>,
}

/// `{ address: 192.168.1.100/24, router_id: 100 }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct VirtualAddressConfig {
    /// With the length of its network's prefix.
    #[serde(deserialize_with = "address_with_prefix")]
    #[schemars(with = "String", extend("pattern" = "^[0-9a-fA-F:.]+/[0-9]+$", "examples" = ["192.168.1.100/24", "fd00:1::100/64"]))]
    pub address: IpNet,
    /// VRRP's, which no other group of hosts on the network may have. An IPv4 and an IPv6 address that share one move
    /// together.
    pub router_id: NonZeroU8,
    /// The host that takes the address back once it is well again. Unless given, the address stays where it is.
    pub home: Option<Name>,
}

/// What Keepalived and the file system take as it is: letters, digits, `.`, `-` and `_`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"))]
pub struct Name(String);

/// Between two of VRRP's adverts; a host of which none has come for six of them and a bit counts as dead. On virtual
/// machines that stall, 200ms: less moves the address for a pause.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "Duration")]
#[schemars(with = "Duration")]
pub struct AdvertInterval(Duration);

/// A mistake that only shows when the parts are seen together: what it is about, what it is, and what to do.
pub struct Mistake {
    pub path: Path,
    pub what: String,
    pub help: Option<String>,
}

impl KeepalivedConfig {
    /// Keepalived's file for a host. `admin` is where that host's Veil answers `/readyz`.
    pub fn render(&self, host: Host, admin: SocketAddr) -> String {
        render::render(self, host, admin)
    }

    /// Both hosts, the first one first.
    pub fn hosts(&self) -> [(Host, &HostConfig); 2] {
        let [first, second] = &self.hosts;
        [(Host::First, first), (Host::Second, second)]
    }

    /// The host of a name.
    pub fn host(&self, name: &str) -> Option<Host> {
        self.hosts()
            .into_iter()
            .find_map(|(host, config)| (config.name.0 == name).then_some(host))
    }

    /// All that is wrong between the parts; `admin` is the file's.
    pub fn mistakes(&self, admin: Option<SocketAddr>) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if admin.is_none_or(|admin| admin.port() == 0) {
            mistakes.push(mistake(
                &steps!["keepalived"],
                "keepalived asks /readyz, and there is no admin listener with a port".to_owned(),
                Some("add admin: { address: 127.0.0.1:8081 }".to_owned()),
            ));
        }
        if self.are_called_alike() {
            let what = format!("both hosts are called {:?}", self.hosts[0].name.0);
            let help = "give each its own: --host, home and the files mean one of them".to_owned();
            mistakes.push(mistake(&steps!["keepalived", "hosts", 1, "name"], what, Some(help)));
        }
        if self.virtual_addresses.is_empty() {
            let what = "there is no virtual address to hold".to_owned();
            let help = "add { address: 192.168.1.100/24, router_id: 100 }".to_owned();
            mistakes.push(mistake(&steps!["keepalived", "virtual_addresses"], what, Some(help)));
        }
        for index in 0..self.virtual_addresses.len() {
            mistakes.extend(self.mistakes_of_address(index));
        }
        mistakes
    }

    /// The host whose own address beside the virtual one is the higher.
    fn higher_beside(&self, virtual_address: &IpNet) -> Option<Host> {
        let [first, second] = &self.hosts;
        let (first, second) = (
            first.address_beside(virtual_address)?,
            second.address_beside(virtual_address)?,
        );
        Some(if first > second { Host::First } else { Host::Second })
    }

    fn are_called_alike(&self) -> bool {
        self.hosts[0].name == self.hosts[1].name
    }

    /// What to call a host where something is wrong with it.
    fn called(&self, number: usize) -> String {
        match number {
            0 if self.are_called_alike() => "the first host".to_owned(),
            _ if self.are_called_alike() => "the second host".to_owned(),
            _ => format!("host {:?}", self.hosts[number].name.0),
        }
    }

    fn mistakes_of_address(&self, index: usize) -> Vec<Mistake> {
        let VirtualAddressConfig {
            address,
            router_id,
            home,
        } = &self.virtual_addresses[index];
        let at = |key: &str| steps!["keepalived", "virtual_addresses", index, key];
        let mut mistakes = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            let here = steps!["keepalived", "hosts", number, "addresses"];
            if host.address_beside(address).is_none() {
                let what = format!(
                    "{} has no {} address to hold {address} beside",
                    self.called(number),
                    version(address)
                );
                mistakes.push(mistake(&here, what, None));
            }
            if host.addresses.contains(&address.addr()) {
                let what = format!("{} is the own address of {}", address.addr(), self.called(number));
                let help = "a virtual address is one that no host has of its own".to_owned();
                mistakes.push(mistake(&at("address"), what, Some(help)));
            }
        }
        if let Some(home) = home.as_ref().filter(|home| self.host(&home.0).is_none()) {
            let what = format!("there is no host {:?}", home.0);
            let names = self.hosts.iter().map(|host| host.name.0.as_str());
            let help = suggest("the hosts", &home.0, names).filter(|_| !self.are_called_alike());
            mistakes.push(mistake(&at("home"), what, help));
        }
        for earlier in &self.virtual_addresses[..index] {
            if earlier.address.addr() == address.addr() {
                let what = format!("{} is given twice", address.addr());
                mistakes.push(mistake(&at("address"), what, None));
            } else if earlier.router_id != *router_id {
                continue;
            } else if version(&earlier.address) == version(address) {
                let what = format!("router id {router_id} is taken by {}", earlier.address);
                let help = "only an IPv4 and an IPv6 address may share one; give this one its own".to_owned();
                mistakes.push(mistake(&at("router_id"), what, Some(help)));
            } else if earlier.home != *home {
                let what = format!(
                    "{} and {address} move together and have different homes",
                    earlier.address
                );
                let help = "give both the same home, or this one a router id of its own".to_owned();
                mistakes.push(mistake(&at("router_id"), what, Some(help)));
            } else if home.is_none() && self.higher_beside(&earlier.address) != self.higher_beside(address) {
                let what = format!(
                    "{} and {address} move together, and of two hosts that are equally well the one with the higher address \
                     holds them: that is another one for each",
                    earlier.address
                );
                let help =
                    "give the higher IPv4 and the higher IPv6 address to the same host, or both a home".to_owned();
                mistakes.push(mistake(&at("router_id"), what, Some(help)));
            }
        }
        mistakes
    }
}

impl HostConfig {
    /// The host's own address of the virtual address's IP version.
    fn address_beside(&self, virtual_address: &IpNet) -> Option<IpAddr> {
        let is_v4 = virtual_address.addr().is_ipv4();
        self.addresses.iter().copied().find(|own| own.is_ipv4() == is_v4)
    }
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    First,
    Second,
}

impl Host {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = KeepalivedError;

    fn try_from(text: String) -> Result<Self, KeepalivedError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if text.is_empty() || text.starts_with(['.', '-']) || !text.bytes().all(plain) {
            return Err(KeepalivedError::Name(text));
        }
        Ok(Self(text))
    }
}

impl Default for AdvertInterval {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl TryFrom<Duration> for AdvertInterval {
    type Error = KeepalivedError;

    fn try_from(interval: Duration) -> Result<Self, KeepalivedError> {
        let millis = interval.get().as_millis();
        // VRRP version 3 counts hundredths of a second in twelve bits.
        if !(50..=40_000).contains(&millis) || !millis.is_multiple_of(10) {
            return Err(KeepalivedError::AdvertInterval(interval));
        }
        Ok(Self(interval))
    }
}

/// Why a value is none for Keepalived.
#[derive(Debug, thiserror::Error)]
pub enum KeepalivedError {
    #[error("{0:?} is not a name; write letters, digits, ., - and _ only")]
    Name(String),
    #[error(
        "{0} is no interval for adverts; write 50ms to 40s in steps of 10ms: below, a busy host loses the address without reason"
    )]
    AdvertInterval(Duration),
    #[error("{0:?} is not an address with its prefix; write 192.168.1.100/24 or fd00:1::100/64")]
    Address(String),
    #[error(
        "an address moves between two hosts, and here are {0}; write both: [{{ name: …, addresses: […] }}, {{ … }}]"
    )]
    Hosts(usize),
}

fn eth0() -> Name {
    Name("eth0".to_owned())
}

fn two_hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[HostConfig; 2], D::Error> {
    let hosts = Vec::deserialize(deserializer)?;
    <[HostConfig; 2]>::try_from(hosts).map_err(|hosts| de::Error::custom(KeepalivedError::Hosts(hosts.len())))
}

fn address_with_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| de::Error::custom(KeepalivedError::Address(text)))
}

fn version(address: &IpNet) -> &'static str {
    match address {
        IpNet::V4(_) => "IPv4",
        IpNet::V6(_) => "IPv6",
    }
}

fn mistake(path: &[Step], what: String, help: Option<String>) -> Mistake {
    Mistake {
        path: path.to_vec(),
        what,
        help,
    }
}
