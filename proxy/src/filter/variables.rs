//! Text with a few variables in it, named as Nginx names them: `$host`, `$scheme`, `$request_id` …

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::request::{RequestCtx, host_name};
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
    pub fn render(&self, request: &RequestHeader, ctx: &RequestCtx) -> String {
        self.0.iter().fold(String::new(), |text, piece| match piece {
            Piece::Text(piece) => text + piece,
            Piece::Variable(variable) => text + &variable.value(request, ctx),
        })
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
    fn value(self, request: &RequestHeader, ctx: &RequestCtx) -> String {
        match self {
            Self::ClientAddress => ctx.client.to_string(),
            Self::Host => host(request).to_owned(),
            Self::Path => request.uri.path().to_owned(),
            Self::RequestId => ctx.id.to_string(),
            Self::RequestUri => request
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .to_owned(),
            Self::Scheme => ctx.scheme.as_str().to_owned(),
        }
    }
}

fn host(request: &RequestHeader) -> &str {
    let field = request
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = request.uri.authority().map(|authority| authority.as_str()).or(field);
    host_name(host.unwrap_or_default())
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
        Template::parse(text).unwrap().render(&request, &ctx("192.0.2.1"))
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
