//! Where a backend's answer sends the client, as the client can ask for it. Nginx: `proxy_redirect`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{BodyChange, Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;
use crate::request::expression::{Expression, as_it_is};
use crate::request::syntax::titled;
use crate::request::variables::Template;

/// `rewrite_location: [{ prefix: "http://app.internal:8000/", to: / }]`: the first that fits changes `Location`, and the
/// address in `Refresh`. Of a prefix what follows it is kept; a regular expression's groups are `$capture_1`, `$capture_NAME`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(transparent)]
pub struct RewriteLocation(Vec<Address>);

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "AddressFields")]
#[schemars(with = "AddressFields")]
struct Address {
    rule: Rule,
    origin: Option<Template>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddressFields {
    prefix: Option<Template>,
    regex: Option<Expression>,
    to: Template,
    /// What comes before a path that `to` puts in `Location`, such as `$scheme://$host:8080`; in `Refresh` the path stays alone.
    /// Nginx: `absolute_redirect`.
    origin: Option<Template>,
}

impl TryFrom<AddressFields> for Address {
    type Error = &'static str;

    fn try_from(AddressFields { prefix, regex, to, origin }: AddressFields) -> Result<Self, Self::Error> {
        let rule = RuleFields { prefix, regex, to }.try_into()?;
        Ok(Self { rule, origin })
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "RuleFields")]
#[schemars(with = "RuleFields")]
pub(super) struct Rule {
    from: From,
    to: Template,
}

#[derive(Clone, Debug, PartialEq)]
enum From {
    Prefix(Template),
    Regex(Expression),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    prefix: Option<Template>,
    regex: Option<Expression>,
    to: Template,
}

impl TryFrom<RuleFields> for Rule {
    type Error = &'static str;

    fn try_from(fields: RuleFields) -> Result<Self, Self::Error> {
        let from = match (fields.prefix, fields.regex) {
            (Some(prefix), None) => From::Prefix(prefix),
            (None, Some(regex)) => From::Regex(regex),
            _ => return Err("write one of prefix and regex"),
        };
        Ok(Self { from, to: fields.to })
    }
}

impl Settings for RewriteLocation {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for RewriteLocation {
    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        // What Veil itself says is said of its own addresses.
        ctx.notes.upstream?;
        for name in [header::LOCATION, header::REFRESH] {
            if let Some(value) = self.rewritten(&name, response, request, ctx) {
                let _ = response.insert_header(titled(&name), value);
            }
        }
        None
    }
}

impl RewriteLocation {
    fn rewritten(
        &self,
        name: &HeaderName,
        response: &ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<HeaderValue> {
        let value = response.headers.get(name)?.to_str().ok()?;
        let (before, address) = value.split_at(match *name == header::REFRESH {
            true => value.to_ascii_lowercase().find("url=")? + "url=".len(),
            false => 0,
        });
        let address = self.0.iter().find_map(|one| {
            let address = one.rule.applied(address, request, ctx)?;
            let is_path = *name == header::LOCATION && address.starts_with(b"/");
            let origin = one.origin.as_ref().filter(|_| is_path).map(|origin| origin.bytes(request, ctx));
            Some([origin.unwrap_or_default(), address].concat())
        })?;
        HeaderValue::try_from([before.as_bytes(), &address].concat()).ok()
    }
}

impl Rule {
    pub(super) fn applied(&self, address: &str, request: &RequestHeader, ctx: &RequestCtx) -> Option<Vec<u8>> {
        match &self.from {
            From::Prefix(prefix) => {
                let rest = address.as_bytes().strip_prefix(&*prefix.bytes(request, ctx))?;
                Some([&self.to.bytes(request, ctx), rest].concat())
            }
            From::Regex(expression) => {
                let groups = expression.groups(address, as_it_is)?;
                Some(self.to.bytes_with(request, ctx, &groups))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::filter::testing::{built, ctx, ok, request};

    const RULES: &str = "[{ prefix: 'http://app:8000/in/', to: /out/ }, { prefix: 'http://$host/', to: '$scheme://$host:81/' }, \
                         { regex: '^http://([^.]+)\\.internal/(.*)$', to: '/$capture_1/$capture_2' }]";

    fn rewritten(name: &'static str, value: &str, is_backends: bool) -> String {
        rewritten_by(RULES, name, value, is_backends)
    }

    fn rewritten_by(rules: &str, name: &'static str, value: &str, is_backends: bool) -> String {
        let mut response = ok();
        response.insert_header(name, value).unwrap();
        let mut ctx = ctx("192.0.2.1");
        ctx.notes.upstream = is_backends.then_some((302, Duration::ZERO));
        let request = request("GET", "/", &[("host", "a.test")]);
        let change = built::<RewriteLocation>(rules).on_response(&mut response, &request, &ctx);
        assert!(change.is_none());
        response.headers[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_first_that_fits_changes_an_address() {
        for (said, becomes) in [
            ("http://app:8000/in/x?y=z", "/out/x?y=z"),
            ("http://app:8000/other", "http://app:8000/other"),
            ("http://a.test/x", "http://a.test:81/x"),
            ("http://b.internal/x", "/b/x"),
            ("/in/x", "/in/x"),
        ] {
            assert_eq!(rewritten("location", said, true), becomes);
            assert_eq!(rewritten("location", said, false), said);
            assert_eq!(rewritten("refresh", &format!("5; url={said}"), true), format!("5; url={becomes}"));
        }
        assert_eq!(rewritten("refresh", "5;URL=http://a.test/", true), "5;URL=http://a.test:81/");
        assert_eq!(rewritten("refresh", "5", true), "5");
    }

    #[test]
    fn a_path_is_whole_in_location_alone() {
        let rules = "[{ regex: '^http://app(/in/)?(.*)$', to: '$capture_1$capture_2', origin: 'http://$host:81' }]";
        for (name, said, becomes) in [
            ("location", "http://app/in/x", "http://a.test:81/in/x"),
            ("refresh", "5; url=http://app/in/x", "5; url=/in/x"),
            ("location", "http://apphttp://b.test/", "http://b.test/"),
        ] {
            assert_eq!(rewritten_by(rules, name, said, true), becomes);
        }
    }

    #[test]
    fn a_rule_is_for_one_thing() {
        for rules in ["[{ to: / }]", "[{ prefix: a, regex: b, to: c }]", "[{ regex: '(', to: c }]", "[{ prefix: a }]"] {
            assert!(serde_yaml::from_str::<RewriteLocation>(rules).is_err(), "{rules}");
        }
    }
}
