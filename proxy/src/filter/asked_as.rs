//! Has backends asked otherwise than the client has. Nginx: `proxy_method`, `proxy_pass_request_headers`.

use std::sync::Arc;

use http::{HeaderName, Method, header};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::variables::Template;

/// `asked_as: { method: GET, fields: [Accept] }`: the method of requests to backends, and which of the client's fields they have.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AskedAs {
    /// Not `HEAD`, whose answers have no body. The client's own unless given, and where variables make none of it.
    #[serde(default, deserialize_with = "method")]
    #[schemars(with = "Option<String>")]
    method: Option<Template>,
    /// All unless given. What frames the body and what Veil itself says goes to backends in any case.
    #[serde(default, deserialize_with = "names")]
    #[schemars(with = "Option<Vec<String>>")]
    fields: Option<Vec<HeaderName>>,
}

impl Settings for AskedAs {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for AskedAs {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if let Some(method) = &self.method {
            ctx.notes.method = usable(&method.bytes(request, ctx));
        }
        Verdict::Continue
    }

    fn on_upstream_request(&self, request: &mut RequestHeader, _: &RequestCtx) {
        let Some(fields) = &self.fields else { return };
        let goes = |name: &&HeaderName| !fields.contains(name) && !is_veils(name);
        let others: Vec<HeaderName> = request.headers.keys().filter(goes).cloned().collect();
        for name in others {
            request.remove_header(&name);
        }
    }
}

/// Whether a field is not the client's own: it is of the connection to the backend, or Veil has made it.
fn is_veils(name: &HeaderName) -> bool {
    const OF_CONNECTION: [HeaderName; 5] = [
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    const OWN: [&str; 5] = ["x-real-ip", "x-request-id", "veil-deadline-ms", "traceparent", "forwarded"];
    OF_CONNECTION.contains(name) || OWN.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-")
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Template>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let template = Template::parse(&text).map_err(de::Error::custom)?;
    match template.constant().is_some_and(|method| usable(method.as_bytes()).is_none()) {
        true => Err(de::Error::custom(format!("{text:?} is no method that backends could be asked by"))),
        false => Ok(Some(template)),
    }
}

fn usable(method: &[u8]) -> Option<Method> {
    let method = Method::from_bytes(method).ok();
    method.filter(|method| !matches!(*method, Method::HEAD | Method::CONNECT | Method::TRACE))
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<HeaderName>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let name = |text: &String| {
        HeaderName::try_from(text.as_str()).map_err(|_| de::Error::custom(format!("{text:?} is no name of a field")))
    };
    names.iter().map(name).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    #[test]
    fn of_the_clients_fields_only_some_go_on() {
        let asked: AskedAs = filter("{ method: PUT, fields: [Accept] }");
        let fields = [("accept", "*/*"), ("cookie", "a"), ("content-length", "3"), ("host", "a.test"), ("x-request-id", "1")];
        let (mut head, mut ctx) = (request("GET", "/", &fields), ctx("192.0.2.1"));
        assert!(matches!(asked.on_request(&mut head, &mut ctx), Verdict::Continue));
        asked.on_upstream_request(&mut head, &ctx);
        let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "content-length", "host", "x-request-id"]);
        assert_eq!(ctx.notes.method, Some(Method::PUT));
        assert_eq!(head.method, Method::GET);
    }

    #[test]
    fn a_method_may_have_variables() {
        let asked: AskedAs = filter("{ method: $query_m }");
        for (path, method) in [("/?m=PUT", Some(Method::PUT)), ("/?m=HEAD", None), ("/", None), ("/?m=A/B", None)] {
            let (mut head, mut ctx) = (request("GET", path, &[]), ctx("192.0.2.1"));
            asked.on_request(&mut head, &mut ctx);
            assert_eq!(ctx.notes.method, method, "{path}");
        }
    }

    #[test]
    fn refuses_what_nobody_can_be_asked_by() {
        for text in ["{ method: HEAD }", "{ method: 'A B' }", "{ method: TRACE }", "{ method: $nothing }", "{ fields: ['a b'] }", "{ field: [] }"] {
            assert!(serde_yaml::from_str::<AskedAs>(text).is_err(), "{text}");
        }
    }
}
