//! Keys that programs show, by a file of their hashes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode;
use pingora::http::RequestHeader;
use ring::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::Deserialize;

use super::headers::ChangedName;
use super::watched::Watched;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::request::syntax::argument;

/// `api_key: { file: keys }`: in each line a name and the SHA-256 of its key, in hexadecimal digits. The key comes in a header
/// field, as `Authorization: Bearer`, or where told so in the query; its name goes to logs and templates (`$api_key`). The
/// file is read again when it changes. Backends do not get the key, unless told otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    file: PathBuf,
    #[serde(default = "x_api_key")]
    header: ChangedName,
    /// The argument of the query that may hold the key too. Addresses end up in logs: prefer the header.
    #[serde(default)]
    query: Option<String>,
    /// Lets the key go on to backends.
    #[serde(default)]
    forward: bool,
}

fn x_api_key() -> ChangedName {
    ChangedName(http::HeaderName::from_static("x-api-key"))
}

impl Settings for ApiKey {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(Guard {
            settings: self.clone(),
            keys: Watched::open(&self.file, Keys::read)?,
        }))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        vec![("file", &mut self.file)]
    }
}

struct Guard {
    settings: ApiKey,
    keys: Watched<Keys>,
}

impl Filter for Guard {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let name = self.settings.shown(request).and_then(|key| self.keys.get().name_of(&key));
        let Some(name) = name else {
            return Verdict::Challenge(UNAUTHORIZED, HeaderValue::from_static("Bearer"));
        };
        ctx.notes.api_key = Some(name);
        if !self.settings.forward {
            self.settings.hide(request, ctx);
        }
        Verdict::Continue
    }
}

const UNAUTHORIZED: Problem = Problem::new(
    StatusCode::UNAUTHORIZED,
    "unauthorized",
    "this is served to those who show a key",
);

impl ApiKey {
    fn shown<'a>(&self, request: &'a RequestHeader) -> Option<Cow<'a, [u8]>> {
        // Of two fields, who comes after might take the other one.
        let alone = |name: &HeaderName| {
            let mut fields = request.headers.get_all(name).iter();
            fields.next().filter(|_| fields.next().is_none())
        };
        if request.headers.contains_key(&self.header.0) && alone(&self.header.0).is_none() {
            return None;
        }
        let field = alone(&self.header.0).map(HeaderValue::as_bytes);
        let bearer = || bearer(alone(&header::AUTHORIZATION)?);
        // A key in Base64 has signs that a query has to escape.
        let query = || Some(percent_decode(argument(request.uri.query(), self.query.as_ref()?)?).into());
        let field = field.or_else(bearer).map(Cow::Borrowed);
        field.or_else(query).filter(|key| !key.is_empty())
    }

    /// Takes away what held the key.
    fn hide(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) {
        request.remove_header(&self.header.0);
        if request.headers.get(header::AUTHORIZATION).is_some_and(|value| bearer(value).is_some()) {
            request.remove_header(&header::AUTHORIZATION);
        }
        let Some(name) = &self.query else { return };
        let target = crate::request::target::Target::of(request, ctx);
        if let Some(query) = target.query() {
            let is_key = |pair: &&str| pair.split('=').next() == Some(name);
            let rest: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
            ctx.notes.target = target.with_query(&rest.join("&"));
        }
    }
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

const BEARER: &[u8] = b"Bearer ";

/// Names by the hashes of their keys. How long a look takes says something of hashes at most, and nothing of keys.
struct Keys(HashMap<[u8; 32], Arc<str>>);

impl Keys {
    fn name_of(&self, key: &[u8]) -> Option<Arc<str>> {
        self.0.get(digest(&SHA256, key).as_ref()).cloned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut keys = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let help = "write NAME HASH, the hash as `printf %s KEY | sha256sum` prints it";
            let mut words = line.split_whitespace();
            let (Some(name), Some(hash), None) = (words.next(), words.next(), words.next()) else {
                return Err(format!("line {number}: {help}"));
            };
            let hash = sha256(hash.strip_prefix("sha256:").unwrap_or(hash))
                .ok_or_else(|| format!("line {number}: {name:?} has no SHA-256 in 64 hexadecimal digits; {help}"))?;
            if keys.insert(hash, Arc::from(name)).is_some() {
                return Err(format!("line {number}: the key of {name:?} is somebody else's too"));
            }
        }
        Ok(Self(keys))
    }
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{built, ctx, request};

    // Of "open sesame".
    const SESAME: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

    #[test]
    fn a_key_has_a_name_and_goes_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, format!("# partners\nacme {SESAME}\n")).unwrap();
        let guard = built::<ApiKey>(&format!("{{ file: {}, query: key }}", file.display()));
        let shown = |target: &str, fields: &[(&'static str, &str)]| {
            let (mut request, mut ctx) = (request("GET", target, fields), ctx("192.0.2.1"));
            let verdict = guard.on_request(&mut request, &mut ctx);
            let name = ctx.notes.api_key.as_deref().map(str::to_owned);
            assert_eq!(matches!(verdict, Verdict::Continue), name.is_some());
            if name.is_some() {
                assert!(!request.headers.contains_key("x-api-key") && !request.headers.contains_key("authorization"));
            }
            (name, ctx.notes.target.map(String::from))
        };
        let acme = Some("acme".to_owned());
        assert_eq!(shown("/", &[("x-api-key", "open sesame")]).0, acme);
        assert_eq!(shown("/", &[("authorization", "bearer open sesame")]).0, acme);
        let (name, target) = shown("/a?b=1&key=open%20sesam%65&c", &[]);
        assert_eq!((name, target.as_deref()), (acme.clone(), Some("/a?b=1&c")));
        assert_eq!(shown("/?key=open+sesame", &[]).0, None, "it is no form");
        for fields in [&[][..], &[("x-api-key", "")], &[("x-api-key", "open sesame!")]] {
            assert_eq!(shown("/", fields).0, None);
        }
        let (name, target) = shown("/a?b=1&key=x&c", &[("x-api-key", "open sesame")]);
        assert_eq!((name, target.as_deref()), (acme, Some("/a?b=1&c")));
    }

    #[test]
    fn tells_of_lines_that_it_cannot_use() {
        for (line, part) in [
            ("acme", "line 1: write NAME HASH"),
            ("acme 12", "64 hexadecimal digits"),
            (&format!("a {SESAME}\nb {SESAME}"), "somebody else's too"),
        ] {
            let error = Keys::read(line).err().unwrap();
            assert!(error.contains(part), "{error}");
        }
    }
}
