//! Another path and query for the backend. Nginx: `rewrite … break`.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::expression::Expression;
use crate::request::problem;
use crate::request::target::{self, Target};
use crate::request::variables::Template;

/// `rewrite: { path: "^/img/(.*)$", to: "/images/$capture_1" }`. `to` replaces the whole path, and the query too where it has a
/// `?`; else the client's query stays. A path that the expression does not match stays as it is. What `$capture_…` hold is
/// escaped where it has to be.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Matches the path in its normal form, as routes do; every path unless given.
    path: Option<Expression>,
    #[serde(deserialize_with = "absolute")]
    to: Template,
}

impl Settings for Rewrite {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Rewrite {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let target = Target::of(request, ctx);
        let Ok(path) = target.normal_path() else {
            return Verdict::Refuse(problem::BAD_PATH);
        };
        let found = match &self.path {
            Some(expression) => match expression.groups(&path, target::escaped_group) {
                Some(found) => found,
                None => return Verdict::Continue,
            },
            None => Vec::new(),
        };
        // Its own groups go before the route's while it is rendered.
        let own = found.len();
        ctx.notes.captures.splice(0..0, found);
        let rendered = self.to.bytes(request, ctx);
        ctx.notes.captures.drain(..own);
        let Ok(rendered) = String::from_utf8(rendered) else {
            return Verdict::Refuse(problem::BAD_PATH);
        };
        let (path, query) = match rendered.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rendered.as_str(), target.query()),
        };
        match target::compose(path, query) {
            Some(target) => ctx.notes.target = Some(target),
            None => return Verdict::Refuse(problem::BAD_PATH),
        }
        Verdict::Continue
    }
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !text.starts_with('/') && !text.starts_with('$') {
        return Err(de::Error::custom(format!("{text:?} is not a path; write {:?}", format!("/{text}"))));
    }
    if text.chars().any(|c| c.is_control() || c == ' ' || c == '#') {
        return Err(de::Error::custom(format!("{text:?} cannot be asked for; escape it: %20 for a space")));
    }
    Template::parse(&text).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn rewritten(yaml: &str, sent: &str) -> Option<String> {
        let mut request = request("GET", sent, &[("host", "a.test")]);
        let mut ctx = ctx("192.0.2.1");
        let path = sent.split('?').next().unwrap();
        let normal = crate::request::path::normal(path.as_bytes()).unwrap();
        ctx.path = (normal != path).then(|| normal.into_owned().into());
        let rewrite: Rewrite = filter(yaml);
        assert!(matches!(rewrite.on_request(&mut request, &mut ctx), Verdict::Continue));
        assert!(ctx.notes.captures.is_empty());
        ctx.notes.target.map(Into::into)
    }

    #[test]
    fn groups_and_variables_make_another_target() {
        let images = "{ path: '^/img/(.*)$', to: /images/$capture_1 }";
        for (yaml, sent, got) in [
            (images, "/img/a/b.png?x=1", Some("/images/a/b.png?x=1")),
            (images, "/other", None),
            (images, "/img/a%20b%3Fc", Some("/images/a%20b%3Fc")),
            (images, "/img/caf%C3%A9", Some("/images/caf%C3%A9")),
            (images, "/img/x/../y", Some("/images/y")),
            ("{ to: /one }", "/any?q", Some("/one?q")),
            ("{ to: '/one?' }", "/any?q", Some("/one")),
            ("{ to: '/$host$path?a=b&$query' }", "/x?q", Some("/a.test/x?a=b&q")),
            (
                "{ path: '^/u/(?P<user>[a-z]+)/(?P<page>[a-z]+)$', to: '/$capture_page?user=$capture_user' }",
                "/u/ada/home",
                Some("/home?user=ada"),
            ),
        ] {
            assert_eq!(rewritten(yaml, sent).as_deref(), got, "{yaml} {sent}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        for text in [
            "{ path: '(', to: / }",
            "{ to: images }",
            "{ to: '/a b' }",
            "{ path: '(?=a)', to: / }",
            "{ path: a }",
        ] {
            assert!(serde_yaml::from_str::<Rewrite>(text).is_err(), "{text}");
        }
    }
}
