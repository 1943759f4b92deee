//! What requests are told apart by: a part of each, or several together: `"$client_address/$header_x_user"`.

use std::net::IpAddr;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

pub use crate::request::syntax::cookie;
use crate::request::syntax::{argument, host, host_name, request_uri};
use crate::request::text::push_address;
use crate::yaml::placeholders::{Piece, pieces};

/// `key: client_address`, `key: { header: X-User }`, … Where the request does not carry what is named, the client's
/// address stands in for it, so that such requests still spread over all backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyConfig {
    #[default]
    ClientAddress,
    Header(String),
    Cookie(String),
    /// Without its port.
    Host,
    /// The path without its query.
    Path,
    /// Both, as the client wrote them.
    RequestUri,
    /// The value of one argument of the query, as written (not percent-decoded).
    Query(String),
    /// Several of these together: `"$client_address/$header_x_user"`.
    Template(Composite),
}

impl KeyConfig {
    pub fn append(&self, head: &RequestHeader, client: IpAddr, key: &mut Vec<u8>) {
        let part = match self {
            Self::ClientAddress => None,
            Self::Header(name) => head.headers.get(name).map(|value| value.as_bytes()),
            Self::Cookie(name) => cookie(head, name),
            Self::Host => Some(host_name(host(head)).as_bytes()),
            Self::Path => Some(head.uri.path().as_bytes()),
            Self::RequestUri => Some(request_uri(head)),
            Self::Query(name) => argument(head.uri.query(), name),
            Self::Template(parts) => return parts.append(head, client, key),
        };
        match part {
            Some(bytes) => key.extend_from_slice(bytes),
            None => push_address(key, client),
        }
    }
}

/// Text with variables in it, taken apart once. `$header_x_user` is the header `X-User` (as Nginx's `$http_x_user`),
/// `$cookie_name` a cookie, `$query_name` an argument; a dollar sign itself is `$$`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["$client_address/$header_x_user"]))]
pub struct Composite(Vec<Piece<Box<KeyConfig>>>);

impl Composite {
    pub fn append(&self, head: &RequestHeader, client: IpAddr, key: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => key.extend_from_slice(text.as_bytes()),
                Piece::Variable(part) => part.append(head, client, key),
            }
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let pieces = pieces(
            text,
            is_in_name,
            |name| part(name).map(Box::new),
            || VARIABLES.map(str::to_owned).to_vec(),
        )?;
        if !pieces.iter().any(|piece| matches!(piece, Piece::Variable(_))) {
            return Err(format!(
                "{text:?} is the same for every request; write what tells them apart, such as \"$client_address\""
            ));
        }
        Ok(Self(pieces))
    }
}

/// What a variable stands for.
fn part(name: &str) -> Option<KeyConfig> {
    let named = |prefix| name.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
    match name {
        "client_address" => return Some(KeyConfig::ClientAddress),
        "host" => return Some(KeyConfig::Host),
        "path" => return Some(KeyConfig::Path),
        "request_uri" => return Some(KeyConfig::RequestUri),
        _ => {}
    }
    if let Some(header) = named("header_") {
        return Some(KeyConfig::Header(header.replace('_', "-")));
    }
    if let Some(cookie) = named("cookie_") {
        return Some(KeyConfig::Cookie(cookie.to_owned()));
    }
    named("query_").map(|argument| KeyConfig::Query(argument.to_owned()))
}

const VARIABLES: [&str; 7] = [
    "client_address",
    "host",
    "path",
    "request_uri",
    "header_NAME",
    "cookie_NAME",
    "query_NAME",
];

impl<'de> Deserialize<'de> for Composite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn puts_parts_and_text_together() {
        let head = RequestHeader::build("GET", b"/v1/blur?user=seven", None).unwrap();
        let mut key = Vec::new();
        let template = Composite::parse("5$$ $path?$query_user").unwrap();
        template.append(&head, "192.0.2.7".parse().unwrap(), &mut key);
        assert_eq!(key, b"5$ /v1/blur?seven");
        key.clear();
        let template = Composite::parse("$host$request_uri").unwrap();
        let mut head = head;
        head.insert_header("host", "a.test:81").unwrap();
        template.append(&head, "192.0.2.7".parse().unwrap(), &mut key);
        assert_eq!(key, b"a.test/v1/blur?user=seven");
    }

    #[test]
    fn refuses_what_does_not_tell_requests_apart() {
        for text in ["", "everybody", "$$", "$", "$header_", "$client_adress"] {
            assert!(Composite::parse(text).is_err(), "{text:?}");
        }
        let error = Composite::parse("$client_adress").unwrap_err();
        assert!(error.ends_with("did you mean \"client_address\"?"), "{error}");
    }
}
