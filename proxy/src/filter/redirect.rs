//! Sends the client elsewhere. Nginx: `return 308 https://$host$request_uri`.

use std::sync::Arc;

use http::StatusCode;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem;
use crate::request::variables::Template;

/// `redirect: { to: "https://$host$request_uri" }`, with 308 unless told otherwise: unlike 301 it keeps method and body.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    to: Template,
    #[serde(default = "permanent", deserialize_with = "redirecting_status")]
    #[schemars(with = "u16", extend("enum" = [301, 302, 303, 307, 308]))]
    status: StatusCode,
}

impl Settings for Redirect {
    fn always_answers(&self) -> bool {
        true
    }

    fn redirects_to_host(&self) -> bool {
        self.to.has_host_as_authority()
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Redirect {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let Some(location) = self.to.location(request, ctx) else {
            return Verdict::Refuse(problem::BAD_REQUEST);
        };
        Verdict::to(location, self.status)
    }
}

fn permanent() -> StatusCode {
    StatusCode::PERMANENT_REDIRECT
}

fn redirecting_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
    let status = u16::deserialize(deserializer)?;
    StatusCode::from_u16(status)
        .ok()
        .filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308))
        .ok_or_else(|| de::Error::custom(format!("{status} does not redirect; write 301, 302, 303, 307 or 308")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    #[test]
    fn sends_the_client_to_the_same_place_over_tls() {
        let redirect: Redirect = filter("{ to: 'https://$host$request_uri' }");
        let mut request = request("POST", "/v1/blur?effect=solid", &[("host", "example.com:80")]);
        let Verdict::Answer(answer) = redirect.on_request(&mut request, &mut ctx("192.0.2.1")) else {
            panic!("a redirect answers");
        };
        assert_eq!(answer.status(), 308);
        assert_eq!(answer.headers()["location"], "https://example.com/v1/blur?effect=solid");
    }

    #[test]
    fn refuses_a_status_that_does_not_redirect() {
        assert!(serde_yaml::from_str::<Redirect>("{ to: /, status: 200 }").is_err());
    }
}
