//! A request's line, as one JSON object.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

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
}

impl Line<'_> {
    /// Appends the object and the line's end. What is unknown is left out.
    pub fn write(&self, lines: &mut Vec<u8>) {
        lines.extend_from_slice(b"{\"time\":\"");
        push_moment(lines, self.time);
        lines.push(b'"');
        let mut fields = Fields(lines);
        fields.text("id", self.id);
        if let Some(client) = self.client {
            fields.address("client", client);
        }
        fields.text("method", self.method);
        fields.text("host", self.host);
        fields.text("path", self.path);
        fields.text("protocol", self.protocol);
        fields.number("status", self.status.into());
        fields.known_text("code", self.code);
        fields.number("request_bytes", self.request_bytes);
        fields.number("response_bytes", self.response_bytes);
        fields.milliseconds("duration_ms", self.duration);
        fields.known_text("route", self.route);
        fields.known_text("pool", self.pool);
        fields.known_text("backend", self.backend);
        fields.number("attempts", self.attempts.into());
        if let Some(upstream) = self.upstream {
            fields.milliseconds("upstream_ms", upstream);
        }
        fields.known_text("error", self.error);
        fields.known_text("user", self.user);
        fields.known_text("api_key", self.api_key);
        fields.known_text("trace_id", self.trace_id);
        lines.extend_from_slice(b"}\n");
    }
}

/// The further fields of a JSON object that has one already.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        if value.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            return serde_json::to_writer(&mut *self.0, value).expect("a Vec takes what is written to it");
        }
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    fn known_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn address(&mut self, key: &str, address: IpAddr) {
        self.key(key);
        self.0.push(b'"');
        push_address(self.0, address);
        self.0.push(b'"');
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        push_number(self.0, number);
    }

    /// To the microsecond.
    fn milliseconds(&mut self, key: &str, duration: Duration) {
        self.key(key);
        push_number(self.0, duration.as_millis() as u64);
        self.0.push(b'.');
        push_digits(self.0, duration.subsec_micros().into(), 3);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::UNIX_EPOCH;

    use serde_json::{Value, json};

    use super::*;

    fn read_back(line: &Line<'_>) -> Value {
        let mut lines = Vec::new();
        line.write(&mut lines);
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&lines).unwrap()
    }

    fn line() -> Line<'static> {
        Line {
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
