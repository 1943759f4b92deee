//! Where Veil listens, and under which limits it talks to clients.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::HeaderName;
use rustix::process::{Gid, Uid};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::accounts;
use crate::body::{HeadLimits, Watch};
use crate::client::endpoint::{Endpoint, HOW_TO_WRITE};
use crate::client::places::Places;
use crate::client::tls::{Tls, TlsConfig, TlsError};
use crate::request::Scheme;
use crate::request::path::{Paths, Slashes};
use crate::yaml::units::{ByteSize, Cidr, Duration, on_or_off};

/// One entry of `listeners`: `public: { address: 0.0.0.0:80 }`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// One, or several: `0.0.0.0:80`, `[::]:80` or `unix:/run/veil/http.sock`. Port 0 takes a free one, which is printed at
    /// start. Who comes through a Unix socket counts as 127.0.0.1.
    pub address: Addresses,
    /// Whose the Unix sockets among them are.
    #[serde(default)]
    pub unix: UnixConfig,
    /// Those of `trusted_proxies` tell of the client before all else, by the PROXY protocol, version 1 or 2; others do
    /// not. Nginx: `listen … proxy_protocol`.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// HTTPS in place of HTTP.
    pub tls: Option<TlsConfig>,
    /// Proxies in front of this listener, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    /// Nginx: `set_real_ip_from` with `real_ip_recursive on`.
    #[serde(default)]
    pub trusted_proxies: Vec<Cidr>,
    /// The field that they tell of the client in, if not `X-Forwarded-For`: `Forwarded` (RFC 7239), or one of their own,
    /// such as `CF-Connecting-IP`. Nginx: `real_ip_header`.
    #[serde(default, deserialize_with = "field")]
    #[schemars(with = "Option<String>")]
    pub client_address_field: Option<HeaderName>,
    /// Whether HTTP/2 is spoken, over TLS and without: `on` or `off`.
    #[serde(default = "yes", deserialize_with = "on_or_off")]
    #[schemars(with = "Value", extend("enum" = ["on", "off", true, false]))]
    pub http2: bool,
    /// Requests of one HTTP/2 connection at a time. Nginx: `http2_max_concurrent_streams`.
    #[serde(default = "a_hundred")]
    pub max_streams: NonZeroU32,
    /// Whether backends get targets as they were sent, or in their one spelling; a route may say otherwise.
    #[serde(default)]
    pub paths: Paths,
    /// Whether several slashes in a row are one where routes and rules look at paths; backends get what `paths` says of it.
    #[serde(default = "yes")]
    pub merge_slashes: bool,
    /// Lets header fields with `_` in their names pass, except those that spell a field which Veil sets or frames by.
    /// Nginx: `underscores_in_headers`.
    #[serde(default)]
    pub underscores_in_headers: bool,
    /// Lets the lines of HTTP/1 heads end with LF alone, as Nginx does; backends get CRLF. Else such heads are refused.
    #[serde(default)]
    pub lone_line_feeds: bool,
    /// Takes a Host behind whose name is more than a port, as Nginx does, and passes the name alone on. Else such heads are refused.
    #[serde(default)]
    pub odd_ports: bool,
    /// Passes on what strangers say in fields that are for proxies: `X-Forwarded-*`, `Forwarded`, `X-Real-IP`, `X-Original-URL` and
    /// their kin, for backends that know what to believe of it. Nginx always does. Veil believes none of it in either case.
    #[serde(default)]
    pub unproved_fields: bool,
    /// Connections at a time, those of before a reload included. Further ones wait, and idle ones make room. Nginx:
    /// `worker_connections`.
    #[serde(default = "ten_thousand")]
    pub max_connections: usize,
    /// A longer request head is refused with 431. Nginx: `large_client_header_buffers`.
    #[serde(default = "thirty_two_kib")]
    pub max_head: ByteSize,
    #[serde(default)]
    pub timeouts: ListenerTimeouts,
}

impl ListenerConfig {
    pub fn slashes(&self) -> Slashes {
        match self.merge_slashes {
            true => Slashes::Merged,
            false => Slashes::Kept,
        }
    }
}

/// How long clients may take.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerTimeouts {
    /// From a connection's first byte to its first request's whole head, a TLS handshake included; then for each further
    /// head from its first byte. Nginx: `client_header_timeout`.
    pub head: Duration,
    /// Between an answer and the next request, over HTTP/2 as well. Nginx: `keepalive_timeout`.
    pub idle: Duration,
    /// Without taking anything of an answer. Nginx: `send_timeout`.
    pub send: Duration,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            send: Duration::from_secs(60),
        }
    }
}

/// Where a listener listens; at least at one address.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "serde_json::Value", extend("anyOf" = [
    serde_json::json!({ "type": "string" }),
    serde_json::json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
]))]
pub struct Addresses(Vec<Endpoint>);

impl Addresses {
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter()
    }

    /// Whether there is a socket of its own for IPv4 at this port.
    pub fn have_ipv4_beside(&self, endpoint: &Endpoint) -> bool {
        let Some(SocketAddr::V6(v6)) = endpoint.inet() else {
            return false;
        };
        let beside = |other: SocketAddr| other.is_ipv4() && other.port() == v6.port();
        v6.ip().is_unspecified() && self.0.iter().filter_map(Endpoint::inet).any(beside)
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = serde_yaml::Value::deserialize(deserializer)?;
        let all = match &written {
            serde_yaml::Value::Sequence(all) if !all.is_empty() => all.as_slice(),
            serde_yaml::Value::Sequence(_) => return Err(de::Error::custom("there is no address in the list")),
            one => std::slice::from_ref(one),
        };
        all.iter()
            .map(address)
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(de::Error::custom)
    }
}

fn address(written: &serde_yaml::Value) -> Result<Endpoint, String> {
    match written {
        serde_yaml::Value::String(text) => Endpoint::written(text, "0.0.0.0"),
        serde_yaml::Value::Number(port) => Endpoint::written(&port.to_string(), "0.0.0.0"),
        _ => Err(format!("it is no address; {HOW_TO_WRITE}")),
    }
}

/// `unix: { mode: 660, owner: veil, group: www-data }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct UnixConfig {
    /// As chmod has it; unless given, that which the system gives new files.
    pub mode: Option<Mode>,
    /// Unless given, the user that Veil is started by.
    pub owner: Option<String>,
    pub group: Option<String>,
}

impl UnixConfig {
    /// # Errors
    /// There is no such user or group.
    pub fn ids(&self) -> io::Result<(Option<Uid>, Option<Gid>)> {
        let owner = self.owner.as_deref().map(accounts::user).transpose()?;
        let group = self.group.as_deref().map(accounts::group).transpose()?;
        Ok((owner.map(|user| user.id), group))
    }
}

/// A file's mode in octal digits, with or without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "serde_json::Value", extend("type" = ["string", "integer"]))]
pub struct Mode(pub u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = serde_yaml::Value::deserialize(deserializer)?;
        let digits = match &written {
            serde_yaml::Value::String(text) => text.clone(),
            serde_yaml::Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let mode = u32::from_str_radix(&digits, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self)
            .ok_or_else(|| de::Error::custom(format!("{digits:?} is no mode of a file; write 660, as chmod has it")))
    }
}

fn field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HeaderName>, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.parse() {
        Ok(name) => Ok(Some(name)),
        Err(_) => Err(de::Error::custom(format!("{name:?} is no name of a header field"))),
    }
}

fn yes() -> bool {
    true
}

fn a_hundred() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(99)
}

fn ten_thousand() -> usize {
    10_000
}

fn thirty_two_kib() -> ByteSize {
    ByteSize::from_kib(32)
}

/// A listener as its connections know it.
pub struct Listener {
    pub name: String,
    pub config: ListenerConfig,
    /// That which was bound, with its port; one of those that are configured.
    pub address: Endpoint,
    pub tls: Option<Tls>,
    /// Its connections', of its former settings too.
    pub places: Arc<Places>,
    /// Over the framing of its HTTP/1 requests.
    pub watch: Arc<Watch>,
}

/// Why Veil cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: Endpoint, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Listener {
    /// Reads the certificate anew. `address` is the one that was bound.
    /// `refused_heads` counts requests that were framed wrongly, over all listeners.
    pub fn new(
        name: &str,
        config: &ListenerConfig,
        address: Endpoint,
        places: Arc<Places>,
        refused_heads: &Arc<AtomicU64>,
    ) -> Result<Self, ListenError> {
        let tls = config.tls.as_ref().map(|tls| tls.acceptor(config.http2)).transpose()?;
        let max_size = usize::try_from(config.max_head.get()).unwrap_or(usize::MAX);
        let limits = HeadLimits {
            max_size,
            deadline: config.timeouts.head.get(),
            lone_line_feeds: config.lone_line_feeds,
            odd_ports: config.odd_ports,
        };
        let watch = Watch::new(limits, Arc::clone(refused_heads));
        Ok(Self {
            name: name.to_owned(),
            config: config.clone(),
            address,
            tls,
            places,
            watch,
        })
    }

    /// `http://127.0.0.1:8080`
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme().as_str(), self.address)
    }

    /// The host of a request that names none.
    pub fn own_host(&self) -> String {
        let address = self.address.inet();
        address.map_or_else(|| "localhost".to_owned(), |address| address.to_string())
    }

    pub fn scheme(&self) -> Scheme {
        match self.tls {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    /// Whether what this address says of the client is believed.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.config
            .trusted_proxies
            .iter()
            .any(|proxies| proxies.contains(address))
    }
}
