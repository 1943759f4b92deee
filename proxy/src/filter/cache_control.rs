//! How long clients and caches may keep an answer. Nginx: `expires`.

use std::sync::Arc;

use http::{HeaderValue, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{BodyChange, Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;
use crate::yaml::units::Duration;

/// `cache_control: { max_age: 30d, public: true }`: for answers of 200, 203, 206, 301, 304 and 308 to GET and HEAD. What a
/// backend says itself stays, unless told otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "CacheControlFields")]
#[schemars(with = "CacheControlFields")]
pub struct CacheControl {
    value: HeaderValue,
    overrides: bool,
    types: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CacheControlFields {
    /// How long an answer is fresh. Without it, each use asks whether it still is (`no-cache`).
    max_age: Option<Duration>,
    /// Shared caches may keep it too, even where the request had credentials.
    #[serde(default)]
    public: bool,
    /// It never changes: not even a reload of the page asks again.
    #[serde(default)]
    immutable: bool,
    /// Nobody may keep it.
    #[serde(default)]
    no_store: bool,
    /// In the place of what the backend says.
    #[serde(default)]
    overrides: bool,
    /// Media types that it is for, such as `text/css` or `image/*`; all unless given.
    #[serde(default)]
    types: Vec<String>,
}

impl TryFrom<CacheControlFields> for CacheControl {
    type Error = &'static str;

    fn try_from(fields: CacheControlFields) -> Result<Self, Self::Error> {
        if fields.no_store && (fields.max_age.is_some() || fields.immutable || fields.public) {
            return Err("what nobody may keep is not fresh either; write no_store: true alone");
        }
        if fields.immutable && fields.max_age.is_none() {
            return Err("immutable means nothing without a max_age; write max_age: 365d");
        }
        let public = if fields.public { "public, " } else { "" };
        let immutable = if fields.immutable { ", immutable" } else { "" };
        let value = match (fields.no_store, fields.max_age) {
            (true, _) => "no-store".to_owned(),
            (false, None) => format!("{public}no-cache"),
            (false, Some(age)) => format!("{public}max-age={}{immutable}", age.get().as_secs()),
        };
        Ok(Self {
            value: HeaderValue::try_from(value).map_err(|_| "cannot stand in a header")?,
            overrides: fields.overrides,
            types: fields.types.iter().map(|each| each.to_ascii_lowercase()).collect(),
        })
    }
}

impl Settings for CacheControl {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for CacheControl {
    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        _: &RequestCtx,
    ) -> Option<BodyChange> {
        let is_kept = matches!(response.status.as_u16(), 200 | 203 | 206 | 301 | 304 | 308);
        let asks = matches!(request.method, Method::GET | Method::HEAD);
        let is_said = response.headers.contains_key(header::CACHE_CONTROL) || response.headers.contains_key(header::EXPIRES);
        if is_kept && asks && (self.overrides || !is_said) && self.is_for(response) {
            response.remove_header(&header::EXPIRES);
            response
                .insert_header(header::CACHE_CONTROL, self.value.clone())
                .expect("the value is parsed already");
        }
        None
    }
}

impl CacheControl {
    /// A 304 has no type: it is about what the client has.
    fn is_for(&self, response: &ResponseHeader) -> bool {
        let Some(media_type) = super::media_type::essence(response) else {
            return self.types.is_empty() || response.status == 304;
        };
        self.types.is_empty() || self.types.iter().any(|pattern| super::media_type::fits(pattern, &media_type))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, ok, request};

    fn said(yaml: &str, method: &str, status: u16, fields: &[(&'static str, &str)]) -> Option<String> {
        let mut response = ok();
        response.set_status(status).unwrap();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        filter::<CacheControl>(yaml).on_response(&mut response, &request(method, "/", &[]), &ctx("192.0.2.1"));
        let value = response.headers.get("cache-control")?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn says_how_long_an_answer_is_fresh() {
        for (yaml, value) in [
            ("{ max_age: 30d }", "max-age=2592000"),
            ("{ max_age: 1h, public: true, immutable: true }", "public, max-age=3600, immutable"),
            ("{ no_store: true }", "no-store"),
            ("{}", "no-cache"),
        ] {
            assert_eq!(said(yaml, "GET", 200, &[]).as_deref(), Some(value), "{yaml}");
        }
        assert_eq!(said("{ max_age: 1h }", "POST", 200, &[]), None);
        assert_eq!(said("{ max_age: 1h }", "GET", 404, &[]), None);
    }

    #[test]
    fn a_backend_knows_better_unless_told_otherwise() {
        let own = [("cache-control", "private")];
        assert_eq!(said("{ max_age: 1h }", "GET", 200, &own).as_deref(), Some("private"));
        let overriding = "{ max_age: 1h, overrides: true, types: [image/*] }";
        assert_eq!(said(overriding, "GET", 200, &own).as_deref(), Some("private"));
        let picture = [("cache-control", "private"), ("content-type", "Image/PNG; q=1")];
        assert_eq!(said(overriding, "GET", 200, &picture).as_deref(), Some("max-age=3600"));
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        for text in ["{ no_store: true, max_age: 1h }", "{ immutable: true }"] {
            assert!(serde_yaml::from_str::<CacheControl>(text).is_err(), "{text}");
        }
    }
}
