//! Takes the beginning of the path away on the way to the backend. Nginx: `proxy_pass http://app/` within `location /v2/`.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem;
use crate::request::target::{self, Target};

/// `strip_prefix: /v2`: backends get `/users` for `/v2/users`, and `/` for `/v2`. A path that does not begin so stays.
#[derive(Clone, Debug, JsonSchema, PartialEq)]
#[schemars(with = "String", extend("pattern" = "^/.", "examples" = ["/v2"]))]
pub struct StripPrefix(String);

impl Settings for StripPrefix {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl StripPrefix {
    /// What follows the prefix, if a path begins with it.
    pub(super) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.0)?;
        match rest.as_bytes().first() {
            Some(b'/') => Some(rest),
            None => Some("/"),
            Some(_) => None,
        }
    }
}

impl Filter for StripPrefix {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let target = Target::of(request, ctx);
        let rest = |path: &str| self.rest(path).map(str::to_owned);
        // As it was sent, where it was sent plainly: an escaped slash stays one then.
        let plain = target.plain_path().and_then(rest);
        let normal = || Some(target::escaped(&rest(&target.normal_path().ok()?)?).into_owned());
        let Some(path) = plain.or_else(normal) else {
            return Verdict::Continue;
        };
        match target.with_path(&path) {
            Some(target) => ctx.notes.target = Some(target),
            None => return Verdict::Refuse(problem::BAD_PATH),
        }
        ctx.notes.is_stripped = true;
        Verdict::Continue
    }
}

impl<'de> Deserialize<'de> for StripPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let prefix = text.strip_suffix('/').unwrap_or(&text);
        if prefix.len() < 2 || !prefix.starts_with('/') || prefix.contains(['?', '#', '%']) || prefix.contains("//") {
            return Err(de::Error::custom(format!(
                "{text:?} is no beginning of a path that could be taken away; write /v2"
            )));
        }
        Ok(Self(prefix.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn stripped(yaml: &str, sent: &str) -> Option<String> {
        let mut request = request("GET", sent, &[]);
        let mut ctx = ctx("192.0.2.1");
        let path = sent.split('?').next().unwrap();
        let normal = crate::request::path::normal(path.as_bytes()).unwrap();
        ctx.path = (normal != path).then(|| normal.into_owned().into());
        let strip: StripPrefix = filter(yaml);
        assert!(matches!(strip.on_request(&mut request, &mut ctx), Verdict::Continue));
        ctx.notes.target.map(Into::into)
    }

    #[test]
    fn takes_whole_segments_away_and_keeps_the_query() {
        for yaml in ["/v2", "/v2/"] {
            for (sent, got) in [
                ("/v2/users?a=/v2/", Some("/users?a=/v2/")),
                ("/v2", Some("/")),
                ("/v2?x", Some("/?x")),
                ("/v2/", Some("/")),
                ("/v20/users", None),
                ("/other", None),
                ("/v2/a%2Fb", Some("/a%2Fb")),
                ("/v2/caf%C3%A9", Some("/caf%C3%A9")),
                ("/%762/a%20b", Some("/a%20b")),
                ("//v2//users", Some("/users")),
                ("/v2/a/../b", Some("/b")),
                ("/x/../v2/b", Some("/b")),
                ("/v2/%3Fa%23%25", Some("/%3Fa%23%25")),
                ("/%76%32/%3Fa%23%25", Some("/%3Fa%23%25")),
            ] {
                assert_eq!(stripped(yaml, sent).as_deref(), got, "{sent}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_prefix() {
        for text in ["/", "''", "v2", "/a?b", "/a//b", "/%61"] {
            assert!(serde_yaml::from_str::<StripPrefix>(text).is_err(), "{text}");
        }
    }
}
