//! Text with variables in it: `https://$host$request_uri`. There is one list of them, for every template.

mod names;

use http::{HeaderValue, StatusCode};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use self::names::{VARIABLES, Variable};
use super::RequestCtx;
use super::syntax::{argument, cookie, host, host_name, protocol, request_uri};
use super::target::{Target, on_this_site};
use super::text::{push_address, push_number, push_seconds};
use crate::yaml::placeholders::Piece;

/// `https://$host$request_uri`, taken apart once. A dollar sign itself is `$$`; `$(host)` is `$host` where a letter follows.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["https://$host$request_uri"]))]
pub struct Template(Vec<Piece<Variable>>);

impl Template {
    /// The text for a header field; none where a client's part in it makes it unfit for one.
    pub fn render(&self, request: &RequestHeader, ctx: &RequestCtx) -> Option<HeaderValue> {
        HeaderValue::try_from(self.bytes(request, ctx)).ok()
    }

    /// The text as it is.
    pub fn bytes(&self, request: &RequestHeader, ctx: &RequestCtx) -> Vec<u8> {
        self.bytes_with(request, ctx, &[])
    }

    /// The text as it is, in which these groups go before the route's.
    pub fn bytes_with(&self, request: &RequestHeader, ctx: &RequestCtx, groups: &[(Box<str>, Box<str>)]) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.extend_from_slice(piece.as_bytes()),
                Piece::Variable(variable) => match variable.in_groups(groups) {
                    Some(group) => text.extend_from_slice(group.as_bytes()),
                    None => variable.append(request, ctx, &mut text),
                },
            }
        }
        text
    }

    /// The text as a page of HTML, in which no variable is markup.
    pub fn html(&self, request: &RequestHeader, ctx: &RequestCtx) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.extend_from_slice(piece.as_bytes()),
                Piece::Variable(variable) => {
                    let mut value = Vec::new();
                    variable.append(request, ctx, &mut value);
                    push_escaped(&value, &mut text);
                }
            }
        }
        text
    }

    /// # Errors
    /// It names a variable that there is not.
    pub fn parse(text: &str) -> Result<Self, String> {
        VARIABLES.pieces(text).map(Self)
    }

    /// Whether it is a URL whose authority is what the client asked for, or ends with that.
    pub fn has_host_as_authority(&self) -> bool {
        let mut before = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => before.push_str(text),
                Piece::Variable(Variable::Host | Variable::Authority) => {
                    let authority = before.split_once("//").map(|(_, authority)| authority);
                    return authority.is_some_and(|authority| !authority.contains(['/', '?', '#']));
                }
                Piece::Variable(_) => {}
            }
        }
        false
    }

    /// Whether it is for another host, by its own words.
    pub fn begins_with_authority(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Text(text)) if text.starts_with("//"))
    }

    /// Where it leads a client to: nothing that variables fill in makes a place on this site one of another host.
    pub fn location(&self, request: &RequestHeader, ctx: &RequestCtx) -> Option<HeaderValue> {
        let location = self.bytes(request, ctx);
        let location = match self.begins_with_authority() {
            true => location.into(),
            false => on_this_site(&location),
        };
        HeaderValue::from_bytes(&location).ok()
    }

    /// Whether it is the same for every request.
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Its text, where that is the same for every request.
    pub fn constant(&self) -> Option<String> {
        let text = |piece: &Piece<Variable>| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Variable(_) => None,
        };
        self.0.iter().map(text).collect()
    }
}

fn push_escaped(value: &[u8], text: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'&' => text.extend_from_slice(b"&amp;"),
            b'<' => text.extend_from_slice(b"&lt;"),
            b'>' => text.extend_from_slice(b"&gt;"),
            b'"' => text.extend_from_slice(b"&quot;"),
            b'\'' => text.extend_from_slice(b"&#39;"),
            byte => text.push(*byte),
        }
    }
}

/// A variable without a template around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known(Variable);

impl Known {
    /// What is noted under this name.
    pub fn note(name: &str) -> Self {
        Self(Variable::Note(name.into()))
    }

    /// What the table of this name says.
    pub fn table(name: &str) -> Self {
        Self(Variable::Table(name.into()))
    }

    /// Those that need no further name, by what they are called.
    pub fn all() -> impl Iterator<Item = (&'static str, Self)> {
        VARIABLES
            .simple
            .iter()
            .map(|(name, variable)| (*name, Self(variable.clone())))
    }

    /// Its text; nothing where it is unknown.
    pub fn bytes(&self, request: &RequestHeader, ctx: &RequestCtx) -> Vec<u8> {
        let mut text = Vec::new();
        self.0.append(request, ctx, &mut text);
        text
    }
}

impl Variable {
    fn in_groups<'a>(&self, groups: &'a [(Box<str>, Box<str>)]) -> Option<&'a str> {
        let Self::Capture(name) = self else { return None };
        let found = groups.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| &**text)
    }

    fn append(&self, request: &RequestHeader, ctx: &RequestCtx, text: &mut Vec<u8>) {
        let notes = &ctx.notes;
        let client = || notes.tls.as_ref()?.client.as_ref();
        let known: Option<&[u8]> = match self {
            Self::ClientAddress => match ctx.client {
                Some(client) => return push_address(text, client),
                None => Some(b"unknown"),
            },
            Self::ClientPort => return push_number(text, ctx.peer.port().into()),
            Self::ServerPort => {
                return notes
                    .server
                    .map_or((), |server| push_number(text, server.port().into()));
            }
            Self::Host => {
                let host = host_name(host(request));
                return match notes
                    .server
                    .filter(|server| host.is_empty() && !server.ip().is_unspecified())
                {
                    Some(server) => push_address(text, server.ip()),
                    None => text.extend(host.bytes().map(|byte| byte.to_ascii_lowercase())),
                };
            }
            Self::Connection => {
                let connection = notes.connection.as_ref();
                return connection.map_or((), |connection| push_number(text, connection.number()));
            }
            Self::ConnectionRequests => {
                let connection = notes.connection.as_ref();
                return connection.map_or((), |connection| push_number(text, connection.requests()));
            }
            Self::ConnectionTime => {
                let connection = notes.connection.as_ref();
                return connection.map_or((), |connection| push_seconds(text, connection.open_for().as_millis()));
            }
            Self::Connections(counted) => {
                let connection = notes.connection.as_ref();
                return connection.map_or((), |connection| push_number(text, connection.counts().of(*counted)));
            }
            Self::DurationMs => return push_number(text, ctx.received.elapsed().as_millis() as u64),
            Self::DurationSeconds => return push_seconds(text, ctx.received.elapsed().as_millis()),
            Self::Status => return notes.status.map_or((), |status| push_number(text, status.into())),
            Self::UpstreamStatus => {
                return notes
                    .upstream
                    .map_or((), |(status, _)| push_number(text, status.into()));
            }
            Self::UpstreamMs => {
                return notes
                    .upstream
                    .map_or((), |(_, time)| push_number(text, time.as_millis() as u64));
            }
            Self::Claim(name) => {
                return notes
                    .claim(name)
                    .map_or((), |claim| text.extend_from_slice(claim.as_bytes()));
            }
            Self::TraceId => {
                return notes
                    .trace
                    .map_or((), |trace| text.extend_from_slice(trace.id().as_bytes()));
            }
            Self::AnswerType => notes.answer_type.as_ref().map(HeaderValue::as_bytes),
            Self::ApiKey => notes.api_key.as_deref().map(str::as_bytes),
            Self::Authority => Some(host(request).as_bytes()),
            Self::Backend => notes.asked.last().map(|asked| asked.backend.as_bytes()),
            Self::Backends => {
                return notes.push_asked(text, |asked, text| text.extend_from_slice(asked.backend.as_bytes()));
            }
            Self::UpstreamStatuses => {
                return notes.push_asked(text, |asked, text| push_number(text, asked.status.into()));
            }
            Self::Capture(name) => notes.capture(name).map(str::as_bytes),
            Self::ClientFingerprint => client().map(|client| client.fingerprint.as_bytes()),
            Self::ClientSubject => client().map(|client| client.subject.as_bytes()),
            Self::Cookie(name) => cookie(request, name),
            Self::Key => notes.key.as_deref().map(str::as_bytes),
            Self::Header(name) => request.headers.get(&**name).map(HeaderValue::as_bytes),
            Self::Note(name) => notes.noted(name).map(str::as_bytes),
            Self::Method => Some(request.method.as_str().as_bytes()),
            Self::Path => Some(ctx.path(request).as_bytes()),
            Self::PeerAddress => return push_address(text, ctx.peer.ip()),
            Self::Protocol => Some(protocol(request.version).as_bytes()),
            Self::Table(name) => {
                return ctx
                    .tables
                    .as_ref()
                    .map_or((), |tables| tables.append(name, request, ctx, text));
            }
            Self::TargetPath => {
                let target = Target::of(request, ctx);
                let path = target.normal_path();
                return path.map_or((), |path| text.extend_from_slice(path.as_bytes()));
            }
            Self::TargetQuery => {
                let target = Target::of(request, ctx);
                return text.extend_from_slice(target.query().unwrap_or_default().as_bytes());
            }
            Self::TargetQueryMark => {
                let has_query = Target::of(request, ctx).query().is_some_and(|query| !query.is_empty());
                return text.extend(has_query.then_some(b'?'));
            }
            Self::Pool => notes
                .wanted_pool
                .as_deref()
                .or(notes.pool.as_deref())
                .map(str::as_bytes),
            Self::Query => request.uri.query().map(str::as_bytes),
            Self::Argument(name) => argument(request.uri.query(), name),
            Self::Reason => notes
                .status
                .and_then(|status| StatusCode::from_u16(status).ok()?.canonical_reason())
                .map(str::as_bytes),
            Self::RequestId => Some(ctx.id.as_str().as_bytes()),
            Self::RequestUri => Some(request_uri(request)),
            Self::Route => notes.route.as_deref().map(str::as_bytes),
            Self::Scheme => Some(ctx.scheme.as_str().as_bytes()),
            Self::ServerName => notes
                .tls
                .as_ref()
                .and_then(|tls| tls.server_name.as_deref())
                .map(str::as_bytes),
            Self::TlsResumed => notes
                .tls
                .as_ref()
                .map(|tls| if tls.is_resumed { b"r".as_slice() } else { b"." }),
            Self::TlsVersion => notes.tls.as_ref().map(|tls| tls.version.as_bytes()),
            Self::User => notes.user.as_deref().map(str::as_bytes),
        };
        text.extend_from_slice(known.unwrap_or_default());
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().any(char::is_control) {
            return Err(de::Error::custom(format!(
                "{text:?} cannot stand in a header; write visible characters only"
            )));
        }
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::request::testing::{ctx, request};

    fn rendered(text: &str) -> String {
        let fields = [
            ("host", "example.com:8080"),
            ("x-user", "ada"),
            ("cookie", "a=1; sid=two"),
        ];
        let request = request("GET", "/a%20b?c=d", &fields);
        let mut ctx = ctx("192.0.2.1");
        ctx.notes.captures = vec![("1".into(), "first".into()), ("name".into(), "second".into())];
        ctx.notes.server = Some(([127, 0, 0, 1], 8080).into());
        ctx.notes.claims = serde_json::from_str(r#"{"sub":"me","admin":true}"#)
            .ok()
            .map(std::sync::Arc::new);
        let value = Template::parse(text).unwrap().render(&request, &ctx);
        value.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn fills_in_what_it_knows() {
        for (template, text) in [
            ("https://$host$request_uri", "https://example.com/a%20b?c=d"),
            (
                "$client_address/$scheme/$request_id/$path",
                "192.0.2.1/http/some-id//a%20b",
            ),
            ("5 $$ for nothing", "5 $ for nothing"),
            ("", ""),
            ("$authority $method $query $query_c", "example.com:8080 GET c=d d"),
            ("$header_x_user/$cookie_sid/$header_none", "ada/two/"),
            ("$capture_1/$capture_name/$capture_2", "first/second/"),
            ("$(host)name", "example.comname"),
            ("$server_port $client_port", "8080 40000"),
            ("$claim_sub $claim_admin $claim_none", "me true "),
            (
                "[$user$api_key$route$pool$backend$tls_version$server_name$client_subject]",
                "[]",
            ),
        ] {
            assert_eq!(rendered(template), text, "{template}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let error = Template::parse("$hots/").unwrap_err();
        assert!(
            error.contains("no variable \"$hots\"") && error.ends_with("did you mean \"host\"?"),
            "{error}"
        );
        for text in ["100$", "$header_", "$(host", "$()"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(serde_yaml::from_str::<Template>("\"a\\r\\nb: c\"").is_err());
    }

    #[test]
    fn no_variable_is_markup() {
        let request = request("GET", "/", &[("x-a", "<script>alert('1')</script>&\"")]);
        let template = Template::parse("<p>$header_x_a</p>").unwrap();
        let page = String::from_utf8(template.html(&request, &ctx("192.0.2.1"))).unwrap();
        assert_eq!(page.matches('<').count(), 2, "{page}");
    }
}
