//! What is configured of active checks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use http::{Method, Uri};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::expect::ExpectConfig;
use crate::yaml::units::{self, ByteSize, Duration, Ratio, some_time};

/// `health: { path: /health, … }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Only connects, with the handshake where there is one: for backends that are asked nothing else.
    pub tcp: bool,
    /// What is asked for.
    #[serde(deserialize_with = "method")]
    #[schemars(with = "String")]
    pub method: Method,
    /// Path and query.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// The `Host` to ask for; the backend's address unless given.
    pub host: Option<String>,
    /// Where the check connects to, if not to the port that requests go to.
    pub port: Option<u16>,
    /// Sent along.
    #[serde(deserialize_with = "units::headers")]
    pub headers: BTreeMap<String, String>,
    /// From the start of one check to the start of the next.
    #[serde(deserialize_with = "some_time")]
    pub interval: Duration,
    /// By how much an interval may be shorter, at random, so that many proxies do not check in step.
    pub jitter: Ratio,
    /// For a whole check, from connecting to the last byte of the answer.
    #[serde(deserialize_with = "some_time")]
    pub timeout: Duration,
    /// Good answers in a row until a backend that was down is up.
    pub rise: NonZeroU32,
    /// Bad answers in a row until a backend that was up is down.
    pub fall: NonZeroU32,
    pub expect: ExpectConfig,
    /// An answer longer than this is a bad one.
    pub max_body: ByteSize,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            tcp: false,
            method: Method::GET,
            path: "/health".to_owned(),
            host: None,
            port: None,
            headers: BTreeMap::new(),
            interval: Duration::from_secs(1),
            jitter: Ratio::from_percent(10),
            timeout: Duration::from_millis(800),
            rise: NonZeroU32::MIN,
            fall: NonZeroU32::MIN.saturating_add(1),
            expect: ExpectConfig::default(),
            max_body: ByteSize::from_kib(64),
        }
    }
}

impl HealthConfig {
    /// For a spawned worker of which nothing else is known, so that one that hangs is noticed. Very patient, since a worker
    /// that does one thing at a time answers only behind all that wait for it, and one that is down is ended.
    pub fn of_any_worker() -> Self {
        Self {
            path: "/".to_owned(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            fall: NonZeroU32::MIN.saturating_add(11),
            expect: ExpectConfig::anything(),
            ..Self::default()
        }
    }

    /// For workers of this program's own, where nothing else is said: without checks nobody would notice one that hangs.
    pub fn of_a_blur_worker() -> Self {
        Self {
            expect: ExpectConfig::of_a_blur_worker(),
            ..Self::default()
        }
    }
}

/// Reads a request's method.
fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
    let method = String::deserialize(deserializer)?;
    match method.parse() {
        Ok(Method::CONNECT) => Err(D::Error::custom(
            "CONNECT asks for no answer; write tcp: true to connect only",
        )),
        Ok(parsed) if method.bytes().all(|byte| !byte.is_ascii_lowercase()) => Ok(parsed),
        _ => Err(D::Error::custom(format!(
            "{method:?} is not a method; write one such as GET, HEAD or OPTIONS"
        ))),
    }
}

/// Reads a path and query, as a request line has it.
fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    let is_path = path.starts_with('/') && path.parse::<Uri>().is_ok_and(|uri| uri.authority().is_none());
    if !is_path {
        return Err(D::Error::custom(format!(
            "{path:?} is not a path; write it from its first slash, such as /health"
        )));
    }
    Ok(path)
}
