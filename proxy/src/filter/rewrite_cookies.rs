//! The cookies that backends set, as the client can use them. Nginx: `proxy_cookie_path`, `proxy_cookie_domain`,
//! `proxy_cookie_flags`.

use std::sync::Arc;

use http::{HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::rewrite_location::Rule;
use super::{BodyChange, Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;
use crate::request::expression::{Expression, as_it_is};
use crate::request::variables::Template;

/// `rewrite_cookies: { path: [{ prefix: /app/, to: / }], domain: [{ is: app.internal, to: $host }], attributes: [{ set:
/// [Secure] }] }`: of each list the first that fits a cookie changes it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RewriteCookies {
    /// Of a prefix what follows it is kept; a regular expression's groups are `$capture_1`, `$capture_NAME`.
    path: Vec<Rule>,
    domain: Vec<Domain>,
    attributes: Vec<Attributes>,
}

/// What becomes of a domain. A dot before it stays there, and is none of the name.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
struct Domain {
    /// Whatever the case of its letters; or `regex`.
    is: Option<Template>,
    regex: Option<Expression>,
    to: Template,
}

/// What is said of a cookie besides path and domain.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Attributes {
    /// Whatever the case of its letters; or `regex`; all cookies where there is neither.
    name: Option<String>,
    regex: Option<Expression>,
    /// In the place of those of the same name: `Secure`, `SameSite=Lax`.
    set: Vec<String>,
    remove: Vec<String>,
}

impl Settings for RewriteCookies {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for RewriteCookies {
    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        // Veil's own are as they should be.
        ctx.notes.upstream?;
        if !response.headers.contains_key(header::SET_COOKIE) {
            return None;
        }
        let cookies = response.headers.get_all(header::SET_COOKIE).iter();
        let rewritten: Vec<HeaderValue> = cookies
            .map(|cookie| self.rewritten(cookie, request, ctx).unwrap_or_else(|| cookie.clone()))
            .collect();
        response.remove_header(&header::SET_COOKIE);
        for cookie in rewritten {
            let _ = response.append_header("Set-Cookie", cookie);
        }
        None
    }
}

impl RewriteCookies {
    /// None where it stays as it is, cannot be read or could not be sent.
    fn rewritten(&self, cookie: &HeaderValue, request: &RequestHeader, ctx: &RequestCtx) -> Option<HeaderValue> {
        let mut parts = cookie.to_str().ok()?.split(';');
        let pair = parts.next()?;
        let said: Vec<&str> = parts.map(str::trim).collect();
        let attribute = |part: &&str| self.attribute(part, request, ctx);
        let mut attributes: Vec<Vec<u8>> = said.iter().map(attribute).collect();
        let name = pair.split('=').next().unwrap_or_default().trim();
        if let Some(rule) = self.attributes.iter().find(|rule| rule.is_for(name)) {
            rule.apply(&mut attributes);
        }
        if attributes.iter().map(Vec::as_slice).eq(said.iter().map(|part| part.as_bytes())) {
            return None;
        }
        let whole = attributes.iter().fold(pair.as_bytes().to_vec(), |mut whole, attribute| {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(attribute);
            whole
        });
        HeaderValue::try_from(whole).ok()
    }

    fn attribute(&self, text: &str, request: &RequestHeader, ctx: &RequestCtx) -> Vec<u8> {
        let Some((name, value)) = text.split_once('=') else {
            return text.into();
        };
        let rewritten = match name.to_ascii_lowercase().as_str() {
            "path" => self.path.iter().find_map(|rule| rule.applied(value, request, ctx)),
            "domain" => self.domain(value, request, ctx),
            _ => None,
        };
        rewritten.map_or_else(|| text.into(), |value| [name.as_bytes(), b"=", &value].concat())
    }

    fn domain(&self, value: &str, request: &RequestHeader, ctx: &RequestCtx) -> Option<Vec<u8>> {
        let (dot, name) = value.strip_prefix('.').map_or(("", value), |name| (".", name));
        let rewritten = self.domain.iter().find_map(|rule| rule.applied(name, request, ctx))?;
        Some([dot.as_bytes(), &rewritten].concat())
    }
}

impl Domain {
    fn applied(&self, name: &str, request: &RequestHeader, ctx: &RequestCtx) -> Option<Vec<u8>> {
        if let Some(expression) = &self.regex {
            let groups = expression.groups(name, as_it_is)?;
            return Some(self.to.bytes_with(request, ctx, &groups));
        }
        let is_meant = |is: &Template| name.as_bytes().eq_ignore_ascii_case(&is.bytes(request, ctx));
        let is_it = self.is.as_ref().is_none_or(is_meant);
        is_it.then(|| self.to.bytes(request, ctx))
    }
}

impl Attributes {
    fn is_for(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|meant| name.eq_ignore_ascii_case(meant))
            && self.regex.as_ref().is_none_or(|expression| expression.matches(name))
    }

    fn apply(&self, attributes: &mut Vec<Vec<u8>>) {
        let is_same = |one: &String, other: &[u8]| key(one.as_bytes()).eq_ignore_ascii_case(key(other));
        attributes.retain(|attribute| !self.remove.iter().any(|removed| is_same(removed, attribute)));
        for set in &self.set {
            match attributes.iter_mut().find(|attribute| is_same(set, attribute)) {
                Some(attribute) => *attribute = set.clone().into_bytes(),
                None => attributes.push(set.clone().into_bytes()),
            }
        }
    }
}

/// `SameSite` of `SameSite=Lax`.
fn key(attribute: &[u8]) -> &[u8] {
    attribute.split(|byte| *byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::filter::testing::{built, ctx, ok, request};

    fn rewritten(settings: &str, cookies: &[&str], is_backends: bool) -> Vec<String> {
        let mut response = ok();
        for cookie in cookies {
            response.append_header("Set-Cookie", *cookie).unwrap();
        }
        let mut ctx = ctx("192.0.2.1");
        ctx.notes.upstream = is_backends.then_some((200, Duration::ZERO));
        let request = request("GET", "/", &[("host", "a.test")]);
        built::<RewriteCookies>(settings).on_response(&mut response, &request, &ctx);
        let cookies = response.headers.get_all("set-cookie").iter();
        cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn paths_and_domains_are_those_that_the_client_knows() {
        let settings = "{ path: [{ prefix: /app/, to: / }, { regex: '(?i)^/x/(.+)$', to: '/$capture_1' }], \
                         domain: [{ is: app.test, to: $host }, { regex: '^(.+)\\.internal$', to: '$capture_1.test' }] }";
        for (said, becomes) in [
            ("a=b; Path=/app/x; HttpOnly", "a=b; Path=/x; HttpOnly"),
            ("a=b;path=/X/y", "a=b; path=/y"),
            ("a=b; Path=/other", "a=b; Path=/other"),
            ("path=/app/; Path=/app/", "path=/app/; Path=/"),
            ("a=b; Domain=App.Test", "a=b; Domain=a.test"),
            ("a=b; domain=.app.test; Path=/app/", "a=b; domain=.a.test; Path=/"),
            ("a=b; Domain=c.internal", "a=b; Domain=c.test"),
            ("a=b; Domain=b.app.test", "a=b; Domain=b.app.test"),
            ("a", "a"),
            ("a=b;Path=/other ;HttpOnly;", "a=b;Path=/other ;HttpOnly;"),
        ] {
            assert_eq!(rewritten(settings, &[said], true), [becomes]);
            assert_eq!(rewritten(settings, &[said], false), [said]);
        }
        assert_eq!(rewritten(settings, &["a=1; Path=/app/", "b=2"], true), ["a=1; Path=/", "b=2"]);
    }

    #[test]
    fn the_first_that_is_for_a_cookie_says_what_it_is_besides() {
        let settings = "{ attributes: [{ name: One, set: [Secure, SameSite=Lax] }, { regex: '^t', remove: [secure] }, \
                         { set: [HttpOnly] }] }";
        for (said, becomes) in [
            ("one=1; secure; samesite=none", "one=1; Secure; SameSite=Lax"),
            ("two=2; Secure; Path=/", "two=2; Path=/"),
            ("xt=3", "xt=3; HttpOnly"),
        ] {
            assert_eq!(rewritten(settings, &[said], true), [becomes]);
        }
    }
}
