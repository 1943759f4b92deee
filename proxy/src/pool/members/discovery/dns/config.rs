//! What YAML says of a DNS source.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use schemars::JsonSchema;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::pool::members::address::Address;
use crate::pool::members::backend::BackendConfig;
use crate::yaml::units::{self, some_time};

/// `dns: { name: worker.internal, port: 5000 }`, `dns: { name: _blur._tcp.internal, type: srv }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "DnsFields")]
#[schemars(with = "DnsFields")]
pub struct DnsConfig {
    /// Looked up in the search domains of the machine's resolver too unless it ends in a dot.
    pub name: HostName,
    pub r#type: Type,
    /// Where the backends listen; 0 for SRV records, which say it themselves.
    pub(super) port: u16,
    /// The machine's (`/etc/resolv.conf`) where it is empty.
    pub(super) resolver: Vec<NameServer>,
    pub(super) least_ttl: Duration,
    pub(super) greatest_ttl: Duration,
    /// For an answer, however many questions it takes.
    pub timeout: units::Duration,
    pub(super) each: EachConfig,
}

/// The keys of `dns:` as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DnsFields {
    /// The name to look up. It is looked up in the search domains of /etc/resolv.conf too, unless it ends in a dot.
    name: HostName,
    #[serde(default)]
    r#type: Type,
    /// Where the backends listen. SRV records say that themselves.
    port: Option<NonZeroU16>,
    /// Name servers to ask, with a port if it is not 53; those of /etc/resolv.conf unless given.
    #[serde(default)]
    resolver: Vec<NameServer>,
    /// The name is not looked up more often than this, whatever its records say.
    #[serde(default = "a_second", deserialize_with = "some_time")]
    least_ttl: units::Duration,
    /// The name is looked up at least this often, whatever its records say.
    #[serde(default = "a_minute", deserialize_with = "some_time")]
    greatest_ttl: units::Duration,
    /// How long an answer may take.
    #[serde(default = "five_seconds", deserialize_with = "some_time")]
    timeout: units::Duration,
    #[serde(default)]
    each: EachConfig,
}

fn a_second() -> units::Duration {
    units::Duration::from_secs(1)
}

fn a_minute() -> units::Duration {
    units::Duration::from_secs(60)
}

fn five_seconds() -> units::Duration {
    units::Duration::from_secs(5)
}

impl TryFrom<DnsFields> for DnsConfig {
    type Error = String;

    fn try_from(fields: DnsFields) -> Result<Self, String> {
        let port = match (fields.r#type, fields.port) {
            (Type::A | Type::Aaaa, Some(port)) => port.get(),
            (Type::A | Type::Aaaa, None) => {
                return Err("says addresses and no port; write port: 5000, or type: srv".to_owned());
            }
            (Type::Srv, None) => 0,
            (Type::Srv, Some(_)) => {
                return Err("SRV records bring their own ports; write it without port".to_owned());
            }
        };
        let (least, greatest) = (fields.least_ttl, fields.greatest_ttl);
        if least > greatest {
            return Err(format!(
                "least_ttl is {least}; write a greatest_ttl that is no less, not {greatest}"
            ));
        }
        Ok(Self {
            name: fields.name,
            r#type: fields.r#type,
            port,
            resolver: fields.resolver,
            least_ttl: least.get(),
            greatest_ttl: greatest.get(),
            timeout: fields.timeout,
            each: fields.each,
        })
    }
}

/// Which records name the backends.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Names and ports. The weights are the backends' (their ratio, within 1 and 100); those of another priority than the
    /// lowest are backups.
    Srv,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
        })
    }
}

/// What holds for each backend that is found, as for one that is written.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct EachConfig {
    /// Times the weight of the record, where it has one.
    pub weight: u32,
    pub max_fails: u32,
    pub fail_timeout: units::Duration,
    pub backup: bool,
    pub max_conns: Option<u32>,
    pub slow_start: units::Duration,
}

impl Default for EachConfig {
    fn default() -> Self {
        let BackendConfig {
            weight,
            max_fails,
            fail_timeout,
            backup,
            max_conns,
            slow_start,
            ..
        } = BackendConfig::at(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self {
            weight,
            max_fails,
            fail_timeout,
            backup,
            max_conns,
            slow_start,
        }
    }
}

impl EachConfig {
    pub fn at(&self, address: Address) -> BackendConfig {
        BackendConfig {
            address,
            name: None,
            weight: self.weight,
            max_fails: self.max_fails,
            fail_timeout: self.fail_timeout,
            backup: self.backup,
            max_conns: self.max_conns,
            tries: NonZeroU32::MIN,
            slow_start: self.slow_start,
        }
    }
}

/// A name that DNS can hold.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[^:/ ]+$"))]
pub struct HostName(pub(super) Name);

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_name = !text.is_empty() && !text.contains([':', '/', ' ']) && text.parse::<IpAddr>().is_err();
        match Name::from_utf8(&text) {
            Ok(name) if is_name => Ok(Self(name)),
            _ => Err(de::Error::custom(format!(
                "{text:?} is not a name to look up; write worker.internal, without scheme and port"
            ))),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `10.0.0.53`, `10.0.0.53:5353` or `[fd00::53]:53`
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["10.0.0.53", "10.0.0.53:5353", "[fd00::53]:53"]))]
pub struct NameServer(pub(super) SocketAddr);

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        alone
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| format!("{text:?} is not a name server; write 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:53"))
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn refuses_what_cannot_be_looked_up() {
        for (text, part) in [
            ("{ name: a.test }", "write port: 5000"),
            ("{ name: a.test, type: srv, port: 80 }", "write it without port"),
            ("{ name: 10.0.0.1, port: 80 }", "write worker.internal"),
            ("{ name: 'a.test:80', port: 80 }", "without scheme and port"),
            ("{ name: a.test, port: 80, least_ttl: 2m }", "greatest_ttl"),
            ("{ name: a.test, port: 80, resolver: [ns.test] }", "write 10.0.0.53"),
        ] {
            let error = serde_yaml::from_str::<DnsConfig>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let v6: NameServer = "fd00::53".parse().unwrap();
        assert_eq!(v6.0.to_string(), "[fd00::53]:53");
    }
}
