//! Another path and query for the backend, or for the search of another route. Nginx: `rewrite`.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
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
    /// Whether the client's query goes behind the one that `to` has.
    #[serde(default)]
    keep_query: bool,
    /// What is done with a path that was rewritten.
    #[serde(default)]
    then: Then,
    /// Leaves those alone that have come here from another route.
    #[serde(default)]
    once: bool,
    /// Under this name `1` is noted where it has rewritten a path, for the conditions of others: `noted("…")`.
    note: Option<String>,
}

/// What is done with a path that was rewritten.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Then {
    /// It goes on on its way to the backend. Nginx: `break`.
    #[default]
    GoOn,
    /// A route is looked for anew, by the new path. Nginx: `last`.
    Search,
    /// The client is sent there with 302, also to another host. Nginx: `redirect`.
    Redirect,
    /// The same with 301. Nginx: `permanent`.
    RedirectForGood,
}

impl Settings for Rewrite {
    fn always_answers(&self) -> bool {
        self.path.is_none() && self.then != Then::GoOn && !self.once
    }

    fn redirects_to_host(&self) -> bool {
        matches!(self.then, Then::Redirect | Then::RedirectForGood) && self.to.has_host_as_authority()
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Rewrite {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if self.once && ctx.notes.jumps > 0 {
            return Verdict::Continue;
        }
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
        if let Some(name) = &self.note {
            ctx.notes.note(name, "1");
        }
        let rendered = self.to.bytes_with(request, ctx, &found);
        let Ok(rendered) = String::from_utf8(rendered) else {
            return Verdict::Refuse(problem::BAD_PATH);
        };
        let (path, query) = match (rendered.split_once('?'), target.query()) {
            (Some((path, own)), Some(query)) if self.keep_query && !own.is_empty() && !query.is_empty() => {
                (path, Some(Cow::Owned(format!("{own}&{query}"))))
            }
            (Some((path, own)), query) if self.keep_query && own.is_empty() => (path, query.map(Cow::Borrowed)),
            (Some((path, own)), _) => (path, Some(Cow::Borrowed(own))),
            (None, query) => (rendered.as_str(), query.map(Cow::Borrowed)),
        };
        match self.then {
            Then::GoOn | Then::Search => match target::compose(path, query.as_deref()) {
                Some(target) => ctx.notes.target = Some(target),
                None => return Verdict::Refuse(problem::BAD_PATH),
            },
            Then::Redirect => return self.sent_to(path, query.as_deref(), StatusCode::FOUND),
            Then::RedirectForGood => return self.sent_to(path, query.as_deref(), StatusCode::MOVED_PERMANENTLY),
        }
        match self.then {
            Then::Search => Verdict::Reroute(None),
            _ => Verdict::Continue,
        }
    }
}

impl Rewrite {
    fn sent_to(&self, path: &str, query: Option<&str>, status: StatusCode) -> Verdict {
        let mark = query.filter(|query| !query.is_empty()).map_or("", |_| "?");
        let path = match self.to.begins_with_authority() {
            true => path.as_bytes().into(),
            false => target::on_this_site(path.as_bytes()),
        };
        match HeaderValue::try_from([&path, mark.as_bytes(), query.unwrap_or_default().as_bytes()].concat()) {
            Ok(location) => Verdict::to(location, status),
            Err(_) => Verdict::Refuse(problem::BAD_PATH),
        }
    }
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    if !text.starts_with('/') && !text.starts_with('$') && !is_url {
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
    fn the_clients_query_may_go_behind() {
        for (yaml, sent, got) in [
            ("{ to: '/x?a=b', keep_query: true }", "/any?q", "/x?a=b&q"),
            ("{ to: '/x?a=b', keep_query: true }", "/any", "/x?a=b"),
            ("{ to: '/x?', keep_query: true }", "/any?q", "/x?q"),
            ("{ to: /x, keep_query: true }", "/any?q", "/x?q"),
        ] {
            assert_eq!(rewritten(yaml, sent).as_deref(), Some(got), "{yaml} {sent}");
        }
    }

    #[test]
    fn clients_may_be_sent_there() {
        let rewrite: Rewrite = filter("{ path: '^/a(.*)', to: 'https://b.test$capture_1', then: redirect_for_good }");
        let verdict = rewrite.on_request(&mut request("GET", "/a/x?y", &[]), &mut ctx("192.0.2.1"));
        let Verdict::Answer(answer) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(answer.status(), 301);
        assert_eq!(answer.headers()["location"], "https://b.test/x?y");
    }

    #[test]
    fn another_route_may_be_looked_for_but_not_twice() {
        let rewrite: Rewrite = filter("{ to: /x, then: search, once: true }");
        let mut ctx = ctx("192.0.2.1");
        let mut head = request("GET", "/a", &[]);
        assert!(matches!(rewrite.on_request(&mut head, &mut ctx), Verdict::Reroute(None)));
        assert_eq!(ctx.notes.target.as_deref(), Some("/x"));
        ctx.notes.jumps = 1;
        assert!(matches!(rewrite.on_request(&mut head, &mut ctx), Verdict::Continue));
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
