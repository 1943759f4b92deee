//! Lets pages from other origins use a route: the Fetch standard's CORS protocol, preflights included.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{BodyChange, Content, Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::yaml::units::Duration;

/// `cors: { origins: ["https://app.example.com"], expose: [X-Faces] }`. Which methods are served is the route's own
/// business; a route with `methods` has to list OPTIONS for preflights to get here.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "CorsFields")]
#[schemars(with = "CorsFields")]
pub struct Cors {
    origins: Origins,
    /// The values of `Access-Control-Allow-Headers` and `-Expose-Headers`; none where they would be empty.
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Duration,
    credentials: bool,
}

impl Cors {
    /// What goes into `Access-Control-Allow-Origin`, if the page that asks may be answered.
    fn allowed_origin(&self, request: &RequestHeader) -> Option<HeaderValue> {
        let origin = request.headers.get(header::ORIGIN)?;
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(known) => known.iter().any(|known| known == origin).then(|| origin.clone()),
        }
    }

    /// What an answer says to the page's browser.
    fn fields(&self, request: &RequestHeader) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::with_capacity(3);
        if let Some(origin) = self.allowed_origin(request) {
            fields.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            if self.credentials {
                fields.push((
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                ));
            }
        }
        fields
    }

    fn preflight(&self, method: &HeaderValue) -> http::Response<Content> {
        let mut answer = http::Response::new(Content::from(Bytes::new()));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.get().as_secs().into());
        if let Some(allowed) = &self.headers {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
        }
        answer
    }
}

impl Settings for Cors {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Cors {
    fn on_request(&self, request: &mut RequestHeader, _: &mut RequestCtx) -> Verdict {
        match request.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD) {
            Some(method) if request.method == Method::OPTIONS && self.allowed_origin(request).is_some() => {
                Verdict::Answer(Box::new(self.preflight(method)))
            }
            _ => Verdict::Continue,
        }
    }

    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        _: &RequestCtx,
    ) -> Option<BodyChange> {
        const VALID: &str = "name and value are parsed already";
        // A backend's own idea of other origins does not count here.
        response.remove_header(&header::ACCESS_CONTROL_ALLOW_ORIGIN);
        response.remove_header(&header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        for (name, value) in self.fields(request) {
            response.insert_header(name, value).expect(VALID);
        }
        if let Some(expose) = &self.expose {
            response
                .insert_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone())
                .expect(VALID);
        }
        if matches!(self.origins, Origins::These(_)) {
            response
                .append_header(header::VARY, header::ORIGIN.as_str())
                .expect(VALID);
        }
        None
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Origins {
    Any,
    These(Vec<HeaderValue>),
}

/// The keys of `cors:` as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CorsFields {
    /// `"*"` alone, or scheme, host and port of each.
    origins: Vec<Origin>,
    /// Request headers that a page may set, besides the harmless ones.
    #[serde(default = "content_type")]
    headers: Vec<Name>,
    /// Response headers that a page may read, besides the harmless ones.
    #[serde(default)]
    expose: Vec<Name>,
    /// How long a browser may remember a preflight's answer.
    #[serde(default = "ten_minutes")]
    max_age: Duration,
    /// Whether requests may carry cookies.
    #[serde(default)]
    credentials: bool,
}

fn content_type() -> Vec<Name> {
    vec![Name(header::CONTENT_TYPE)]
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

impl TryFrom<CorsFields> for Cors {
    type Error = &'static str;

    fn try_from(fields: CorsFields) -> Result<Self, Self::Error> {
        let origins = match fields.origins.as_slice() {
            [] => return Err("no page may use it; write origins: [\"https://app.example.com\"]"),
            [Origin(one)] if one == "*" && fields.credentials => {
                return Err(
                    "credentials for pages from anywhere would let any page act for its visitor; write the origins",
                );
            }
            [Origin(one)] if one == "*" => Origins::Any,
            origins if origins.iter().any(|Origin(origin)| origin == "*") => {
                return Err("\"*\" makes the other origins superfluous; write one or the others");
            }
            origins => Origins::These(origins.iter().map(|Origin(origin)| origin.clone()).collect()),
        };
        Ok(Self {
            origins,
            headers: list(&fields.headers),
            expose: list(&fields.expose),
            max_age: fields.max_age,
            credentials: fields.credentials,
        })
    }
}

fn list(names: &[Name]) -> Option<HeaderValue> {
    let names: Vec<&str> = names.iter().map(|Name(name)| name.as_str()).collect();
    HeaderValue::try_from(names.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
}

/// `*`, or an origin as browsers write it: without a path.
#[derive(JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^(\\*|https?://[^/?#@*]+)$", "examples" = ["https://app.example.com"]))]
struct Origin(HeaderValue);

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let authority = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or_default();
        let plain = authority
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte));
        let lower = text == text.to_ascii_lowercase();
        match HeaderValue::try_from(&text) {
            Ok(value) if text == "*" || !authority.is_empty() && plain && lower => Ok(Self(value)),
            _ => Err(de::Error::custom(format!(
                "{text:?} is not an origin; write \"https://app.example.com\", in lower case and without a path"
            ))),
        }
    }
}

#[derive(JsonSchema)]
#[schemars(with = "String", extend("examples" = ["Content-Type"]))]
struct Name(HeaderName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HeaderName::try_from(&text)
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{text:?} is not a header's name; write letters, digits and -")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, ok, request};

    const APP: (&str, &str) = ("origin", "https://app.test");

    fn app() -> Cors {
        filter("{ origins: ['https://app.test'], expose: [X-Faces, Server-Timing], credentials: true }")
    }

    fn response(cors: &Cors, headers: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ok();
        response
            .insert_header("access-control-allow-origin", "https://evil.test")
            .unwrap();
        cors.on_response(&mut response, &request("GET", "/", headers), &ctx("192.0.2.1"));
        response
    }

    #[test]
    fn a_page_of_a_known_origin_may_read_the_answer() {
        let response = response(&app(), &[APP]);
        assert_eq!(response.headers["access-control-allow-origin"], APP.1);
        assert_eq!(response.headers["access-control-allow-credentials"], "true");
        assert_eq!(
            response.headers["access-control-expose-headers"],
            "x-faces, server-timing"
        );
        assert_eq!(response.headers["vary"], "origin");
    }

    #[test]
    fn no_other_page_may() {
        for headers in [
            &[("origin", "https://evil.test")][..],
            &[("origin", "https://app.test.evil.test")],
            &[],
        ] {
            assert!(
                !response(&app(), headers)
                    .headers
                    .contains_key("access-control-allow-origin"),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn answers_a_preflight_of_a_known_origin_only() {
        let verdict = |origin: &str| {
            let asks = [("origin", origin), ("access-control-request-method", "PUT")];
            app().on_request(&mut request("OPTIONS", "/", &asks), &mut ctx("192.0.2.1"))
        };
        let Verdict::Answer(answer) = verdict(APP.1) else {
            panic!("a preflight is answered")
        };
        assert_eq!(answer.status(), 204);
        assert_eq!(answer.headers()["access-control-allow-methods"], "PUT");
        assert_eq!(answer.headers()["access-control-allow-headers"], "content-type");
        assert_eq!(answer.headers()["access-control-max-age"], "600");
        assert!(matches!(verdict("https://evil.test"), Verdict::Continue));
    }

    #[test]
    fn anyone_means_a_star() {
        let response = response(&filter("{ origins: ['*'] }"), &[APP]);
        assert_eq!(response.headers["access-control-allow-origin"], "*");
        assert!(!response.headers.contains_key("vary"));
    }

    #[test]
    fn refuses_what_would_open_more_than_meant() {
        for text in [
            "{ origins: [] }",
            "{ origins: ['*'], credentials: true }",
            "{ origins: ['*', 'https://app.test'] }",
            "{ origins: ['https://app.test/'] }",
            "{ origins: ['https://App.test'] }",
            "{ origins: [app.test] }",
            "{ origins: ['https://*.test'] }",
            "{ origins: ['https://app.test'], headers: ['a b'] }",
        ] {
            assert!(serde_yaml::from_str::<Cors>(text).is_err(), "{text}");
        }
    }
}
