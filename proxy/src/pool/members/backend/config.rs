//! A backend as the configuration tells of it.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::pool::members::address::Address;
use crate::yaml::units;

/// One backend, with the meaning and defaults of Nginx's `server` directive.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    pub address: Address,
    /// What the backend is known by; its address unless given.
    pub name: Option<String>,
    /// Its share of the requests beside the others'; 0 means drained.
    #[serde(default = "one", deserialize_with = "weight")]
    #[schemars(range(max = 65535))]
    pub weight: u32,
    /// So many failures within `fail_timeout` take the backend out for `fail_timeout`; 0 never does.
    #[serde(default = "one")]
    pub max_fails: u32,
    #[serde(default = "ten_seconds")]
    pub fail_timeout: units::Duration,
    /// Serves only when no other backend can.
    #[serde(default)]
    pub backup: bool,
    /// Requests in flight at a time; unlimited unless given.
    pub max_conns: Option<u32>,
    /// How often one request may be sent to it, where it fails the times before. Nginx: a `server` that is written twice.
    #[serde(default = "once")]
    pub tries: NonZeroU32,
    /// After it was down, its share grows from nothing to `weight` over this time.
    #[serde(default = "no_time")]
    pub slow_start: units::Duration,
}

impl BackendConfig {
    /// A backend of which nothing but the address is said.
    pub fn at(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            name: None,
            weight: one(),
            max_fails: one(),
            fail_timeout: ten_seconds(),
            backup: false,
            max_conns: None,
            tries: once(),
            slow_start: no_time(),
        }
    }

    /// What the backend is known by, in logs, metrics and the admin's commands.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }
}

/// As great as an SRV record can say. Only the ratio of weights matters.
pub const GREATEST_WEIGHT: u32 = 65_535;

fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let weight = u64::deserialize(deserializer)?;
    let bounded = u32::try_from(weight).ok().filter(|weight| *weight <= GREATEST_WEIGHT);
    bounded.ok_or_else(|| {
        D::Error::custom(format!(
            "{weight} is more than {GREATEST_WEIGHT}; only the ratio of weights matters"
        ))
    })
}

fn one() -> u32 {
    1
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn ten_seconds() -> units::Duration {
    units::Duration::from_secs(10)
}

fn no_time() -> units::Duration {
    units::Duration::from_secs(0)
}
