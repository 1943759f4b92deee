//! A request's line, as one JSON object.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::{HeaderName, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::RequestCtx;
use crate::request::notes::TlsFacts;
use crate::request::text::{push_address, push_digits, push_moment, push_number};

/// One request's line. A path is kept without its query, which may hold names.
pub struct Line<'a> {
    pub time: SystemTime,
    pub id: &'a str,
    pub client: Option<IpAddr>,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub protocol: &'static str,
    /// 499 where the client left before the answer, as in Nginx's logs.
    pub status: u16,
    /// Why Veil answered in a backend's place: a problem's `code`.
    pub code: Option<&'static str>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// From the complete head to the end of the answer.
    pub duration: Duration,
    pub route: Option<&'a str>,
    pub pool: Option<&'a str>,
    /// The backend that was asked last.
    pub backend: Option<&'a str>,
    pub attempts: u32,
    /// From the last attempt's start to the head of its answer.
    pub upstream: Option<Duration>,
    pub error: Option<&'a str>,
    /// Who has proved to be whom, by a password.
    pub user: Option<&'a str>,
    /// The name of the key that was shown.
    pub api_key: Option<&'a str>,
    pub trace_id: Option<&'a str>,
    pub request: &'a RequestHeader,
    /// What came in a request line's place, where no request could be made of the head; `request` is then what could be read.
    pub refused_line: Option<&'a [u8]>,
    /// What else is known of it.
    pub ctx: Option<&'a RequestCtx>,
    /// None where the client has left before it began.
    pub response: Option<&'a ResponseHeader>,
    pub scheme: &'static str,
    /// Of the backend that was asked last.
    pub backend_address: Option<String>,
    pub upstream_status: Option<u16>,
    pub tls: Option<&'a TlsFacts>,
    /// The script that has failed, with its line.
    pub script: Option<&'a str>,
    /// What scripts have noted.
    pub noted: &'a [(Box<str>, Box<str>)],
}

/// What a JSON line may say of a request.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Time,
    Id,
    Client,
    Method,
    Host,
    /// Without the query, which may hold names.
    Path,
    Protocol,
    Status,
    Code,
    RequestBytes,
    ResponseBytes,
    DurationMs,
    Route,
    Pool,
    Backend,
    Attempts,
    UpstreamMs,
    Error,
    User,
    ApiKey,
    TraceId,
    /// The script that has failed.
    Script,
    /// What scripts have noted, each as `note_NAME`.
    Notes,
    // What is said only where it is asked for.
    Query,
    UserAgent,
    Referer,
    Scheme,
    UpstreamAddress,
    UpstreamStatus,
    TlsVersion,
    ServerName,
}

/// What is said unless something else is asked for.
pub const USUAL: [Field; 23] = [
    Field::Time,
    Field::Id,
    Field::Client,
    Field::Method,
    Field::Host,
    Field::Path,
    Field::Protocol,
    Field::Status,
    Field::Code,
    Field::RequestBytes,
    Field::ResponseBytes,
    Field::DurationMs,
    Field::Route,
    Field::Pool,
    Field::Backend,
    Field::Attempts,
    Field::UpstreamMs,
    Field::Error,
    Field::User,
    Field::ApiKey,
    Field::TraceId,
    Field::Script,
    Field::Notes,
];

impl Line<'_> {
    /// Appends an object with these fields, and the line's end. What is unknown is left out.
    pub fn write(&self, said: &[Field], lines: &mut Vec<u8>) {
        lines.push(b'{');
        let mut fields = Fields {
            begins: lines.len(),
            line: lines,
        };
        for field in said {
            self.say(*field, &mut fields);
        }
        lines.extend_from_slice(b"}\n");
    }

    fn say(&self, field: Field, fields: &mut Fields<'_>) {
        match field {
            Field::Time => fields.time("time", self.time),
            Field::Id => fields.text("id", self.id),
            Field::Client => fields.known_address("client", self.client),
            Field::Script => fields.known_text("script", self.script),
            Field::Notes => self
                .noted
                .iter()
                .for_each(|(name, text)| fields.text(&format!("note_{name}"), text)),
            Field::Method => fields.known_text("method", readable(self.method)),
            Field::Host => fields.text("host", self.host),
            Field::Path => fields.known_text("path", readable(self.path)),
            Field::Protocol => fields.text("protocol", self.protocol),
            Field::Status => fields.number("status", self.status.into()),
            Field::Code => fields.known_text("code", self.code),
            Field::RequestBytes => fields.number("request_bytes", self.request_bytes),
            Field::ResponseBytes => fields.number("response_bytes", self.response_bytes),
            Field::DurationMs => fields.milliseconds("duration_ms", self.duration),
            Field::Route => fields.known_text("route", self.route),
            Field::Pool => fields.known_text("pool", self.pool),
            Field::Backend => fields.known_text("backend", self.backend),
            Field::Attempts => fields.number("attempts", self.attempts.into()),
            Field::UpstreamMs => {
                if let Some(upstream) = self.upstream {
                    fields.milliseconds("upstream_ms", upstream);
                }
            }
            Field::Error => fields.known_text("error", self.error),
            Field::User => fields.known_text("user", self.user),
            Field::ApiKey => fields.known_text("api_key", self.api_key),
            Field::TraceId => fields.known_text("trace_id", self.trace_id),
            Field::Query => fields.known_text("query", self.request.uri.query()),
            Field::UserAgent => fields.known_text("user_agent", self.header(&header::USER_AGENT).as_deref()),
            Field::Referer => fields.known_text("referer", self.header(&header::REFERER).as_deref()),
            Field::Scheme => fields.text("scheme", self.scheme),
            Field::UpstreamAddress => fields.known_text("upstream_address", self.backend_address.as_deref()),
            Field::UpstreamStatus => {
                if let Some(status) = self.upstream_status {
                    fields.number("upstream_status", status.into());
                }
            }
            Field::TlsVersion => fields.known_text("tls_version", self.tls.map(|tls| tls.version)),
            Field::ServerName => {
                fields.known_text("server_name", self.tls.and_then(|tls| tls.server_name.as_deref()));
            }
        }
    }

    /// A field of the request's, which may be any bytes.
    fn header(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        let value = self.request.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    }
}

/// Nothing else is empty.
fn readable(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The fields of a JSON object that is being written.
struct Fields<'a> {
    line: &'a mut Vec<u8>,
    /// Where the first one is to stand.
    begins: usize,
}

impl Fields<'_> {
    fn key(&mut self, key: &str) {
        if self.line.len() > self.begins {
            self.line.push(b',');
        }
        self.line.push(b'"');
        self.line.extend_from_slice(key.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        // To the end in any case, so that many bytes are looked at in one step.
        if value
            .bytes()
            .fold(false, |is_odd, byte| is_odd | matches!(byte, b'"' | b'\\' | 0..0x20))
        {
            return serde_json::to_writer(&mut *self.line, value).expect("a Vec takes what is written to it");
        }
        self.line.push(b'"');
        self.line.extend_from_slice(value.as_bytes());
        self.line.push(b'"');
    }

    fn known_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn time(&mut self, key: &str, time: SystemTime) {
        self.key(key);
        self.line.push(b'"');
        push_moment(self.line, time);
        self.line.push(b'"');
    }

    fn known_address(&mut self, key: &str, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        self.key(key);
        self.line.push(b'"');
        push_address(self.line, address);
        self.line.push(b'"');
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        push_number(self.line, number);
    }

    /// To the microsecond.
    fn milliseconds(&mut self, key: &str, duration: Duration) {
        self.key(key);
        push_number(self.line, duration.as_millis() as u64);
        self.line.push(b'.');
        push_digits(self.line, duration.subsec_micros().into(), 3);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::LazyLock;
    use std::time::UNIX_EPOCH;

    use serde_json::{Value, json};

    use super::*;

    fn read_back(line: &Line<'_>) -> Value {
        let mut lines = Vec::new();
        line.write(&USUAL, &mut lines);
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&lines).unwrap()
    }

    static REQUEST: LazyLock<RequestHeader> = LazyLock::new(|| {
        let mut request = RequestHeader::build("GET", b"/?a=b", None).unwrap();
        request.insert_header("User-Agent", "curl \"8\"").unwrap();
        request
    });

    #[test]
    fn says_what_is_asked_for_in_that_order() {
        let fields = [
            Field::Status,
            Field::UserAgent,
            Field::Query,
            Field::Referer,
            Field::Scheme,
        ];
        let mut lines = Vec::new();
        line().write(&fields, &mut lines);
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(
            text,
            "{\"status\":200,\"user_agent\":\"curl \\\"8\\\"\",\"query\":\"a=b\",\"scheme\":\"http\"}\n"
        );
    }

    fn line() -> Line<'static> {
        Line {
            request: &REQUEST,
            refused_line: None,
            ctx: None,
            response: None,
            scheme: "http",
            backend_address: None,
            upstream_status: None,
            tls: None,
            time: UNIX_EPOCH,
            id: "abc",
            client: None,
            method: "GET",
            host: "example.org",
            path: "/",
            protocol: "HTTP/1.1",
            status: 200,
            code: None,
            request_bytes: 0,
            response_bytes: 5,
            duration: Duration::from_micros(12_003_045),
            route: None,
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

    #[test]
    fn says_all_that_is_known() {
        let line = Line {
            client: Some([192, 0, 2, 7].into()),
            code: Some("busy"),
            route: Some("all"),
            pool: Some("blur"),
            backend: Some("left"),
            upstream: Some(Duration::from_micros(1500)),
            error: Some("ReadError"),
            ..line()
        };
        let expected = json!({
            "time": "1970-01-01T00:00:00.000Z", "id": "abc", "client": "192.0.2.7", "method": "GET",
            "host": "example.org", "path": "/", "protocol": "HTTP/1.1", "status": 200, "code": "busy",
            "request_bytes": 0, "response_bytes": 5, "duration_ms": 12_003.045, "route": "all", "pool": "blur",
            "backend": "left", "attempts": 1, "upstream_ms": 1.5, "error": "ReadError",
        });
        assert_eq!(read_back(&line), expected);
    }

    #[test]
    fn leaves_out_what_is_unknown() {
        let fields = read_back(&line());
        for unknown in ["client", "code", "route", "pool", "backend", "upstream_ms", "error"] {
            assert!(fields.get(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn no_text_breaks_out_of_its_field() {
        for text in ["a\"b", "a\\", "\n{\"status\":200}", "\u{1}\u{7f}", "ä\u{2028}"] {
            let fields = read_back(&Line {
                host: text,
                path: text,
                ..line()
            });
            assert_eq!((&fields["host"], &fields["path"]), (&json!(text), &json!(text)));
        }
    }
}
