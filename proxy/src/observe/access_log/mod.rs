//! One line a request, in JSON or in the words of Nginx, written by a thread of its own: a slow log reader never holds up a
//! request.

mod format;
mod line;
mod logs;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

pub use self::format::Format;
use self::line::USUAL;
pub use self::line::{Field, Line};
pub use self::logs::{Logs, RouteLog};
use crate::observe::outlet::{Lost, Outlet, Sink};
use crate::observe::syslog::Server;
use crate::request::random_bits;
use crate::script::{Condition, Seen};
use crate::yaml::diagnostic::is_near;
use crate::yaml::units::Ratio;

/// `access_log: { to: /var/log/veil/access.log, client_address: network }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLogConfig {
    pub to: Destination,
    pub client_address: ClientAddress,
    /// What each line says, in this order; what is unknown of a request is left out.
    pub fields: Vec<Field>,
    /// Lines as Nginx writes them, in place of JSON: its `log_format`, or `combined`.
    pub format: Option<Format>,
    /// Requests that get a line; all of them unless given.
    #[serde(default, deserialize_with = "crate::script::written")]
    pub when: Option<Condition>,
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self {
            to: Destination::default(),
            client_address: ClientAddress::default(),
            fields: USUAL.to_vec(),
            format: None,
            when: None,
        }
    }
}

/// Where the lines go: `stderr`, `stdout`, `off`, a syslog server (`syslog:unix:/dev/log`, `syslog:udp:10.0.0.1:514`,
/// `syslog:tcp:logs.internal:601`), or a file's path, which is made for its owner and group alone. USR1 opens the file anew.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "PathBuf")]
#[schemars(with = "PathBuf")]
pub enum Destination {
    #[default]
    Stderr,
    Stdout,
    Off,
    File(PathBuf),
    Syslog(Server),
}

impl TryFrom<PathBuf> for Destination {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        match path.to_str() {
            Some("stderr") => Ok(Self::Stderr),
            Some("stdout") => Ok(Self::Stdout),
            Some("off") => Ok(Self::Off),
            Some(text) if means_syslog(text) => match text.strip_prefix("syslog:").map(str::parse) {
                Some(Ok(server)) => Ok(Self::Syslog(server)),
                _ => Err(format!(
                    "{text:?} is no syslog server; write syslog:unix:/dev/log, syslog:udp:10.0.0.1:514 or \
                     syslog:tcp:logs.internal:601"
                )),
            },
            _ => Ok(Self::File(path)),
        }
    }
}

/// Such as `sylog:udp:…`, which is hardly the name of a file.
fn means_syslog(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    text.starts_with("syslog") || scheme.is_some_and(|scheme| is_near(scheme, "syslog"))
}

/// Which of a route's requests are logged: `on`, `off`, or a share of them, such as `1%`.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema)]
#[schemars(with = "serde_json::Value", extend("anyOf" = [
    serde_json::json!({ "enum": ["on", "off", true, false] }),
    serde_json::json!({ "type": "number", "minimum": 0, "maximum": 1 }),
    serde_json::json!({ "type": "string", "pattern": "^[0-9.]+%?$" }),
]))]
pub struct Sample(f64);

impl Default for Sample {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Sample {
    /// Whether the next one is among them.
    pub fn wants(self) -> bool {
        // The upper 53 bits are as many as a double holds.
        self.0 >= 1.0 || (random_bits() >> 11) as f64 / ((1_u64 << 53) as f64) < self.0
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = serde_yaml::Value::deserialize(deserializer)?;
        let text = match &written {
            serde_yaml::Value::Bool(true) => "100%".to_owned(),
            serde_yaml::Value::Bool(false) => "0%".to_owned(),
            serde_yaml::Value::Number(number) => number.to_string(),
            serde_yaml::Value::String(text) if text == "on" => "100%".to_owned(),
            serde_yaml::Value::String(text) if text == "off" => "0%".to_owned(),
            serde_yaml::Value::String(text) => text.clone(),
            _ => String::new(),
        };
        let share: Result<Ratio, _> = text.parse();
        share
            .map(|share| Self(share.get()))
            .map_err(|_| de::Error::custom(format!("{text:?} is no share of requests; write on, off, or 1%")))
    }
}

/// How much of a client's address the log keeps.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ClientAddress {
    #[default]
    Full,
    /// The first 24 bits of an IPv4 address, 48 of an IPv6 address; the rest is 0.
    Network,
    None,
}

impl ClientAddress {
    /// What of the address may be written.
    pub fn keep(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::Full, _) => Some(address),
            (Self::Network, IpAddr::V4(v4)) => Some(Ipv4Addr::from_bits(v4.to_bits() & (!0 << 8)).into()),
            (Self::Network, IpAddr::V6(v6)) => Some(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 80)).into()),
            (Self::None, _) => None,
        }
    }
}

/// The log. Dropping it writes what is left.
pub struct AccessLog {
    config: AccessLogConfig,
    /// None where it is off.
    outlet: Option<Outlet>,
}

impl AccessLog {
    /// Lines are given this long to gather, so that one write takes many of them.
    const GATHER: Duration = Duration::from_millis(50);

    /// # Errors
    /// The file cannot be opened.
    pub fn open(config: &AccessLogConfig) -> io::Result<Self> {
        let sink = match &config.to {
            Destination::Off => None,
            Destination::Stderr => Some(Sink::Stderr),
            Destination::Stdout => Some(Sink::Stdout),
            Destination::File(path) => Some(Sink::File(path.clone())),
            Destination::Syslog(server) => Some(Sink::Syslog(server.clone())),
        };
        let open = |sink| Outlet::open(sink, "access-log", Self::GATHER);
        Ok(Self {
            config: config.clone(),
            outlet: sink.map(open).transpose()?,
        })
    }

    pub fn config(&self) -> &AccessLogConfig {
        &self.config
    }

    /// Whether this request is to have a line. Where its condition fails, it has one.
    pub fn wants(&self, seen: Seen<'_>) -> bool {
        let holds = |when: &Condition| when.holds(seen, "access_log").unwrap_or(true);
        self.outlet.is_some() && self.config.when.as_ref().is_none_or(holds)
    }

    /// Whether its lines may say which address a backend has.
    pub fn tells_addresses(&self) -> bool {
        self.config.format.is_some() || self.config.fields.contains(&Field::UpstreamAddress)
    }

    /// Whether its lines may say what has passed between Veil and a backend.
    fn tells_of_traffic(&self) -> bool {
        self.config.format.as_ref().is_some_and(Format::tells_of_traffic)
    }

    /// Fields of backends' answers that its lines say.
    fn fields_of_backends(&self) -> impl Iterator<Item = &HeaderName> {
        self.config.format.iter().flat_map(Format::fields_of_backends)
    }

    /// Appends a line.
    pub fn write(&self, line: &Line<'_>) {
        if let Some(outlet) = &self.outlet {
            outlet.write(|lines| match &self.config.format {
                Some(format) => format.write(line, lines),
                None => line.write(&self.config.fields, lines),
            });
        }
    }

    /// Opens the file anew, after it was moved away.
    pub fn reopen(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.reopen();
        }
    }

    /// Writes what is left, and ends the log. Whoever does not read it is not waited for.
    pub fn finish(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.finish(Outlet::FAREWELL);
        }
    }

    /// Lines that were not written.
    pub fn lost(&self) -> Lost {
        self.outlet.as_ref().map(Outlet::lost).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    static REQUEST: std::sync::LazyLock<pingora::http::RequestHeader> = std::sync::LazyLock::new(|| {
        let mut request = pingora::http::RequestHeader::build("GET", b"/a?b=c", None).unwrap();
        request.insert_header("Referer", "https://a.example/\"x").unwrap();
        request
    });

    #[test]
    fn lines_may_be_as_nginx_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let format = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" $request_time $arg_b $upstream_addr"#;
        let log = AccessLog::open(&AccessLogConfig {
            to: Destination::File(path.clone()),
            format: Some(Format::parse(format).unwrap()),
            ..AccessLogConfig::default()
        })
        .unwrap();
        log.write(&line("/a"));
        drop(log);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "192.0.2.7 - - [01/Jan/1970:00:00:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 5 \"https://a.example/\\x22x\" 0.001 c -\n"
        );
    }

    #[test]
    fn a_share_of_requests_is_about_that() {
        let share = |text: &str| serde_yaml::from_str::<Sample>(text).unwrap();
        let wanted = |sample: Sample| (0..10_000).filter(|_| sample.wants()).count();
        for (text, least, most) in [
            ("on", 10_000, 10_000),
            ("off", 0, 0),
            ("20%", 1700, 2300),
            ("0.5", 4600, 5400),
        ] {
            let wanted = wanted(share(text));
            assert!((least..=most).contains(&wanted), "{text}: {wanted}");
        }
        for text in ["maybe", "120%", "-1", "[]"] {
            assert!(serde_yaml::from_str::<Sample>(text).is_err(), "{text}");
        }
    }

    fn line(path: &str) -> Line<'_> {
        Line {
            request: &REQUEST,
            refused_line: None,
            ctx: None,
            response: None,
            scheme: "http",
            backend_address: None,
            upstream_status: None,
            tls: None,
            time: std::time::SystemTime::UNIX_EPOCH,
            id: "abc",
            client: Some([192, 0, 2, 7].into()),
            method: "GET",
            host: "example.org",
            path,
            protocol: "HTTP/1.1",
            status: 200,
            code: None,
            request_bytes: 0,
            response_bytes: 5,
            duration: Duration::from_millis(1),
            route: Some("all"),
            pool: None,
            backend: None,
            attempts: 1,
            upstream: None,
            error: None,
            user: None,
            api_key: None,
            trace_id: None,
            script: None,
            noted: &[],
        }
    }

    fn log_to(path: &std::path::Path) -> AccessLog {
        let config = AccessLogConfig {
            to: Destination::File(path.to_owned()),
            ..AccessLogConfig::default()
        };
        AccessLog::open(&config).unwrap()
    }

    #[test]
    fn writes_one_json_line_a_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = log_to(&path);
        log.write(&line("/a"));
        log.write(&line("/b"));
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["path"], "/a");
        assert_eq!(lines[1]["client"], "192.0.2.7");
    }

    #[test]
    fn opens_a_file_anew_that_was_moved_away() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (
            directory.path().join("access.log"),
            directory.path().join("access.log.1"),
        );
        let log = log_to(&path);
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write(&line("/after"));
        drop(log);
        assert!(std::fs::read_to_string(&path).unwrap().contains("/after"));
    }

    #[test]
    fn keeps_as_much_of_an_address_as_told() {
        let (v4, v6): (IpAddr, IpAddr) = ([192, 0, 2, 7].into(), "2001:db8:1:2::7".parse().unwrap());
        assert_eq!(ClientAddress::Full.keep(v4), Some(v4));
        assert_eq!(ClientAddress::Network.keep(v4), Some([192, 0, 2, 0].into()));
        assert_eq!(ClientAddress::Network.keep(v6), Some("2001:db8:1::".parse().unwrap()));
        assert_eq!(ClientAddress::None.keep(v6), None);
    }
}
