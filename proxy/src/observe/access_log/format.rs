//! A request's line in the words of Nginx's `log_format`, for those whose tools read such lines.

use std::io::Write;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::line::Line;
use crate::request::notes::Asked;
use crate::request::syntax::{argument, cookie, host, host_name, request_uri};
use crate::request::text::{push_address, push_digits, push_moment, push_number, push_seconds};
use crate::request::traffic::Traffic;
use crate::request::variables::Known;
use crate::yaml::placeholders::{Piece, Vocabulary};

/// `'$remote_addr "$request" $status'`, taken apart once; or `combined`, which is Nginx's own.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["combined"]))]
pub struct Format(Vec<Piece<Word>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Argument(Box<str>),
    Args,
    Attempts,
    Backend,
    BodyBytesSent,
    BytesSent,
    Code,
    /// Which of its connection's requests it is.
    ConnectionRequests,
    ConnectionTime,
    Cookie(Box<str>),
    Host,
    Header(Box<str>),
    Msec,
    /// What filters have noted, or a table says.
    Own(Known),
    /// `p` where the client did not wait for the answer before, else `.`.
    Pipe,
    Pool,
    RemoteAddr,
    RemotePort,
    RemoteUser,
    Request,
    RequestBytes,
    RequestId,
    RequestLength,
    RequestMethod,
    RequestTime,
    RequestUri,
    Route,
    Scheme,
    Sent(Box<str>),
    ServerPort,
    ServerProtocol,
    SslProtocol,
    SslServerName,
    Status,
    TimeIso,
    TimeLocal,
    TraceId,
    UpstreamAddr,
    /// Of the backend's answer; none where no field has such a name.
    UpstreamField(Option<HeaderName>),
    UpstreamStatus,
    Upstream(Of),
    Uri,
}

/// What is counted of a backend's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    BodyReceived,
    BytesReceived,
    BytesSent,
    ConnectTime,
    HeadTime,
    Time,
}

static WORDS: Vocabulary<Word> = Vocabulary {
    simple: &[
        ("args", Word::Args),
        ("attempts", Word::Attempts),
        ("backend", Word::Backend),
        ("body_bytes_sent", Word::BodyBytesSent),
        ("bytes_sent", Word::BytesSent),
        ("code", Word::Code),
        ("connection_requests", Word::ConnectionRequests),
        ("connection_time", Word::ConnectionTime),
        ("document_uri", Word::Uri),
        ("host", Word::Host),
        ("msec", Word::Msec),
        ("pipe", Word::Pipe),
        ("pool", Word::Pool),
        ("query_string", Word::Args),
        ("remote_addr", Word::RemoteAddr),
        ("remote_port", Word::RemotePort),
        ("remote_user", Word::RemoteUser),
        ("request", Word::Request),
        ("request_bytes", Word::RequestBytes),
        ("request_id", Word::RequestId),
        ("request_length", Word::RequestLength),
        ("request_method", Word::RequestMethod),
        ("request_time", Word::RequestTime),
        ("request_uri", Word::RequestUri),
        ("route", Word::Route),
        ("scheme", Word::Scheme),
        ("server_port", Word::ServerPort),
        ("server_protocol", Word::ServerProtocol),
        ("ssl_protocol", Word::SslProtocol),
        ("ssl_server_name", Word::SslServerName),
        ("status", Word::Status),
        ("time_iso8601", Word::TimeIso),
        ("time_local", Word::TimeLocal),
        ("trace_id", Word::TraceId),
        ("upstream_addr", Word::UpstreamAddr),
        ("upstream_bytes_received", Word::Upstream(Of::BytesReceived)),
        ("upstream_bytes_sent", Word::Upstream(Of::BytesSent)),
        ("upstream_connect_time", Word::Upstream(Of::ConnectTime)),
        ("upstream_header_time", Word::Upstream(Of::HeadTime)),
        ("upstream_response_length", Word::Upstream(Of::BodyReceived)),
        ("upstream_response_time", Word::Upstream(Of::Time)),
        ("upstream_status", Word::UpstreamStatus),
        ("uri", Word::Uri),
    ],
    named: &[
        ("arg_", Word::Argument),
        ("cookie_", Word::Cookie),
        ("http_", |name| Word::Header(name.replace('_', "-").into())),
        ("note_", |name| Word::Own(Known::note(&name))),
        ("table_", |name| Word::Own(Known::table(&name))),
        ("sent_http_", |name| Word::Sent(name.replace('_', "-").into())),
        ("upstream_http_", |name| {
            Word::UpstreamField(name.replace('_', "-").parse().ok())
        }),
    ],
};

const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

impl Format {
    /// # Errors
    /// It names a word that there is not.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = if text == "combined" { COMBINED } else { text };
        WORDS.pieces(text).map(Self)
    }

    /// Whether it says what has passed between Veil and a backend.
    pub(super) fn tells_of_traffic(&self) -> bool {
        self.words().any(|word| matches!(word, Word::Upstream(_)))
    }

    /// The fields of backends' answers that it says.
    pub(super) fn fields_of_backends(&self) -> impl Iterator<Item = &HeaderName> {
        self.words().filter_map(|word| match word {
            Word::UpstreamField(name) => name.as_ref(),
            _ => None,
        })
    }

    fn words(&self) -> impl Iterator<Item = &Word> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(word) => Some(word),
            Piece::Text(_) => None,
        })
    }

    /// Appends the line and its end.
    pub fn write(&self, line: &Line<'_>, lines: &mut Vec<u8>) {
        let mut value = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => lines.extend_from_slice(text.as_bytes()),
                Piece::Variable(word) => {
                    value.clear();
                    word.append(line, &mut value);
                    push_escaped(&value, lines);
                }
            }
        }
        lines.push(b'\n');
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.chars().any(char::is_control) {
            true => Err(de::Error::custom(format!("{text:?} is more than a line"))),
            false => Self::parse(&text).map_err(de::Error::custom),
        }
    }
}

/// As Nginx's `escape=default`; what is nothing is `-`.
fn push_escaped(value: &[u8], line: &mut Vec<u8>) {
    if value.is_empty() {
        line.push(b'-');
    }
    for byte in value {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                write!(line, "\\x{byte:02X}").expect("a Vec takes what is written to it");
            }
            byte => line.push(*byte),
        }
    }
}

impl Word {
    fn append(&self, line: &Line<'_>, text: &mut Vec<u8>) {
        let request = line.request;
        let known: Option<&[u8]> = match self {
            Self::Argument(name) => argument(request.uri.query(), name),
            Self::Args => request.uri.query().map(str::as_bytes),
            Self::Attempts => return push_number(text, line.attempts.into()),
            Self::Backend => line.backend.map(str::as_bytes),
            Self::BodyBytesSent => return push_number(text, line.response_bytes),
            Self::BytesSent => return push_number(text, head_sent(line) + line.response_bytes),
            Self::Code => line.code.map(str::as_bytes),
            Self::ConnectionRequests => {
                let connection = line.ctx.and_then(|ctx| ctx.notes.connection.as_ref());
                return connection.map_or((), |connection| push_number(text, connection.requests()));
            }
            Self::ConnectionTime => {
                let connection = line.ctx.and_then(|ctx| ctx.notes.connection.as_ref());
                return connection.map_or((), |connection| push_seconds(text, connection.open_for().as_millis()));
            }
            Self::Cookie(name) => cookie(request, name),
            Self::Host => Some(host_name(host(request)).as_bytes()),
            Self::Header(name) => value_of(&request.headers, name),
            Self::Msec => {
                let since = line.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                return push_seconds(text, since.as_millis());
            }
            Self::Own(known) => return line.ctx.map_or((), |ctx| text.append(&mut known.bytes(request, ctx))),
            Self::Pipe => {
                let connection = line.ctx.and_then(|ctx| ctx.notes.connection.as_ref());
                let is_pipelined = connection.is_some_and(|connection| connection.is_pipelined());
                Some(if is_pipelined { b"p" } else { b"." })
            }
            Self::Pool => line.pool.map(str::as_bytes),
            Self::RemoteAddr => return line.client.map_or((), |client| push_address(text, client)),
            Self::RemotePort => return line.ctx.map_or((), |ctx| push_number(text, ctx.peer.port().into())),
            Self::RemoteUser => line.user.map(str::as_bytes),
            Self::Request if line.refused_line.is_some() => line.refused_line,
            Self::RequestUri | Self::Uri if line.path.is_empty() => None,
            Self::Request => {
                text.extend_from_slice(line.method.as_bytes());
                text.push(b' ');
                text.extend_from_slice(request_uri(request));
                text.push(b' ');
                Some(line.protocol.as_bytes())
            }
            Self::RequestBytes => return push_number(text, line.request_bytes),
            Self::RequestId => Some(line.id.as_bytes()),
            Self::RequestLength => return push_number(text, head_received(line) + line.request_bytes),
            Self::RequestMethod => Some(request.method.as_str().as_bytes()),
            Self::RequestTime => return push_seconds(text, line.duration.as_millis()),
            Self::RequestUri => Some(request_uri(request)),
            Self::Route => line.route.map(str::as_bytes),
            Self::Scheme => Some(line.scheme.as_bytes()),
            Self::Sent(name) => line.response.and_then(|response| value_of(&response.headers, name)),
            Self::ServerPort => {
                let server = line.ctx.and_then(|ctx| ctx.notes.server);
                return server.map_or((), |server| push_number(text, server.port().into()));
            }
            Self::ServerProtocol => Some(line.protocol.as_bytes()),
            Self::SslProtocol => line.tls.map(|tls| tls.version.as_bytes()),
            Self::SslServerName => line.tls.and_then(|tls| tls.server_name.as_deref()).map(str::as_bytes),
            Self::Status => return push_digits(text, line.status.into(), 3),
            Self::TimeIso => {
                let mut moment = Vec::new();
                push_moment(&mut moment, line.time);
                moment.truncate("2000-02-29T00:00:00".len());
                text.extend_from_slice(&moment);
                Some(b"+00:00")
            }
            Self::TimeLocal => return push_time_local(text, line.time),
            Self::TraceId => line.trace_id.map(str::as_bytes),
            Self::UpstreamAddr => match line.ctx.filter(|ctx| ctx.notes.asked.len() > 1) {
                Some(ctx) => {
                    return ctx
                        .notes
                        .push_asked(text, |asked, text| text.extend(asked.backend.bytes()));
                }
                None => line.backend_address.as_deref().map(str::as_bytes),
            },
            Self::UpstreamStatus => {
                let push = |asked: &Asked, text: &mut Vec<u8>| push_number(text, asked.status.into());
                return line.ctx.map_or((), |ctx| ctx.notes.push_asked(text, push));
            }
            Self::UpstreamField(name) => {
                let fields = line.ctx.map_or(&[][..], |ctx| &ctx.notes.of_backend);
                let field = fields.iter().find(|(known, _)| Some(known) == name.as_ref());
                field.map(|(_, value)| value.as_bytes())
            }
            Self::Upstream(of) => {
                let push = |asked: &Asked, text: &mut Vec<u8>| of.append(asked.traffic.as_deref(), text);
                return line.ctx.map_or((), |ctx| ctx.notes.push_asked(text, push));
            }
            Self::Uri => Some(line.ctx.map_or(line.path, |ctx| ctx.path(request)).as_bytes()),
        };
        text.extend_from_slice(known.unwrap_or_default());
    }
}

impl Of {
    /// A dash where there was none, as where no connection came about.
    fn append(self, traffic: Option<&Traffic>, text: &mut Vec<u8>) {
        let Some(traffic) = traffic else { return text.push(b'-') };
        let time = match self {
            Self::BodyReceived => return push_number(text, traffic.body()),
            Self::BytesReceived => return push_number(text, traffic.received()),
            Self::BytesSent => return push_number(text, traffic.sent()),
            Self::ConnectTime => traffic.connect_time(),
            Self::HeadTime => traffic.head_time(),
            Self::Time => Some(traffic.time()),
        };
        match time {
            Some(time) => push_seconds(text, time.as_millis()),
            None => text.push(b'-'),
        }
    }
}

/// Bytes of a head over HTTP/1 whose first line has these words.
fn head_length(words: &[&[u8]], fields: &HeaderMap) -> u64 {
    let fields = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    let line: usize = words.iter().map(|word| word.len() + 1).sum();
    (line + fields.sum::<usize>() + "\n\r\n".len()) as u64
}

fn head_received(line: &Line<'_>) -> u64 {
    let words = [
        line.method.as_bytes(),
        request_uri(line.request),
        line.protocol.as_bytes(),
    ];
    head_length(&words, &line.request.headers)
}

fn head_sent(line: &Line<'_>) -> u64 {
    line.response.map_or(0, |response| {
        let reason = response.get_reason_phrase().unwrap_or_default();
        head_length(&[b"HTTP/1.1", b"200", reason.as_bytes()], &response.headers)
    })
}

fn value_of<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    fields.get(name).map(http::HeaderValue::as_bytes)
}

/// `29/Feb/2000:00:00:00 +0000`, always in UTC.
fn push_time_local(text: &mut Vec<u8>, time: SystemTime) {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut moment = Vec::new();
    push_moment(&mut moment, time);
    let month = usize::from((moment[5] - b'0') * 10 + moment[6] - b'0') - 1;
    text.extend_from_slice(&moment[8..10]);
    text.push(b'/');
    text.extend_from_slice(&MONTHS[3 * month..3 * month + 3]);
    text.push(b'/');
    text.extend_from_slice(&moment[..4]);
    text.push(b':');
    text.extend_from_slice(&moment[11..19]);
    text.extend_from_slice(b" +0000");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_known_and_slips_are_told() {
        assert!(Format::parse(COMBINED).is_ok());
        assert!(
            Format::parse("$remote_adr")
                .unwrap_err()
                .contains("did you mean \"remote_addr\"?")
        );
    }

    #[test]
    fn nothing_is_a_dash_and_no_value_breaks_out() {
        let mut line = Vec::new();
        for value in ["", "a\"b\\c\n", "\u{e4}"] {
            push_escaped(value.as_bytes(), &mut line);
            line.push(b' ');
        }
        assert_eq!(line, b"- a\\x22b\\x5Cc\\x0A \\xC3\\xA4 ");
    }

    #[test]
    fn times_are_as_nginx_writes_them() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(951_782_400_123);
        let mut text = Vec::new();
        push_time_local(&mut text, time);
        assert_eq!(text, b"29/Feb/2000:00:00:00 +0000");
    }
}
