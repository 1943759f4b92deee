//! Text with a few variables in it, named as Nginx names them: `$host`, `$scheme`, `$request_id` …

use http::HeaderValue;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::request::RequestCtx;
use crate::request::syntax::{host, host_name, request_uri};
use crate::request::text::push_address;
use crate::yaml::placeholders::{Piece, pieces};

/// `https://$host$request_uri`, taken apart once. A dollar sign itself is `$$`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["https://$host$request_uri"]))]
pub struct Template(Vec<Piece<Variable>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    ClientAddress,
    /// What the client asked for, without the port.
    Host,
    /// The path that routes match. Nginx: `$uri`.
    Path,
    RequestId,
    /// Path and query.
    RequestUri,
    Scheme,
}

const VARIABLES: [(&str, Variable); 6] = [
    ("client_address", Variable::ClientAddress),
    ("host", Variable::Host),
    ("path", Variable::Path),
    ("request_id", Variable::RequestId),
    ("request_uri", Variable::RequestUri),
    ("scheme", Variable::Scheme),
];

impl Template {
    /// The text for a header field; none where a client's part in it makes it unfit for one.
    pub fn render(&self, request: &RequestHeader, ctx: &RequestCtx) -> Option<HeaderValue> {
        let mut text = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.extend_from_slice(piece.as_bytes()),
                Piece::Variable(variable) => variable.append(request, ctx, &mut text),
            }
        }
        HeaderValue::try_from(text).ok()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let is_in_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let variable = |name: &str| {
            VARIABLES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, variable)| *variable)
        };
        pieces(text, is_in_name, variable, VARIABLES.map(|(known, _)| known)).map(Self)
    }
}

impl Variable {
    fn append(self, request: &RequestHeader, ctx: &RequestCtx, text: &mut Vec<u8>) {
        match self {
            Self::ClientAddress => match ctx.client {
                Some(client) => push_address(text, client),
                None => text.extend_from_slice(b"unknown"),
            },
            Self::Host => text.extend_from_slice(host_name(host(request)).as_bytes()),
            Self::Path => text.extend_from_slice(ctx.path(request).as_bytes()),
            Self::RequestId => text.extend_from_slice(ctx.id.as_str().as_bytes()),
            Self::RequestUri => text.extend_from_slice(request_uri(request)),
            Self::Scheme => text.extend_from_slice(ctx.scheme.as_str().as_bytes()),
        }
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
    use crate::filter::testing::{ctx, request};

    fn rendered(text: &str) -> String {
        let request = request("GET", "/a%20b?c=d", &[("host", "example.com:8080")]);
        let value = Template::parse(text).unwrap().render(&request, &ctx("192.0.2.1"));
        value.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn fills_in_what_it_knows() {
        assert_eq!(rendered("https://$host$request_uri"), "https://example.com/a%20b?c=d");
        assert_eq!(
            rendered("$client_address/$scheme/$request_id/$path"),
            "192.0.2.1/http/some-id//a%20b"
        );
        assert_eq!(rendered("5 $$ for nothing"), "5 $ for nothing");
        assert_eq!(rendered(""), "");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let error = Template::parse("$hots/").unwrap_err();
        assert!(
            error.contains("no variable \"$hots\"") && error.ends_with("did you mean \"host\"?"),
            "{error}"
        );
        assert!(Template::parse("100$").is_err());
        assert!(serde_yaml::from_str::<Template>("\"a\\r\\nb: c\"").is_err());
    }
}
