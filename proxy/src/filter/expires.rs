//! Until when an answer may be kept, for caches of all ages. Nginx: `expires`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{BodyChange, Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;
use crate::request::variables::Template;
use crate::yaml::units::Moment;

/// `expires: { at: 30d }`: `Expires` and `Cache-Control` of answers that are no errors, in the place of what the backend says of them.
/// For `Cache-Control` alone there is `cache_control`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Expires {
    /// `30d` from now, `-1h` before now, at the time of day `@15h30m` (UTC), `epoch` (1970: it has to be asked for each time), `max`
    /// (ten years) or `off`. Where variables make something else of it, nothing is said.
    #[serde(deserialize_with = "at")]
    at: Template,
    /// From when it has last changed, where the answer says so, and not from now.
    #[serde(default)]
    since_modified: bool,
}

impl Settings for Expires {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Expires {
    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        if !matches!(response.status.as_u16(), 200 | 201 | 204 | 206 | 301..=304 | 307 | 308) {
            return None;
        }
        let moment = self.at.bytes(request, ctx);
        let moment = std::str::from_utf8(&moment).ok()?.parse().ok()?;
        let modified = response.headers.get(header::LAST_MODIFIED).filter(|_| self.since_modified);
        let modified = modified.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let (expires, cache_control) = said(moment, seconds_of(SystemTime::now()), modified.map(seconds_of), self.since_modified)?;
        for (name, value) in [("Expires", expires), ("Cache-Control", cache_control)] {
            response.insert_header(name, HeaderValue::try_from(value).ok()?).ok()?;
        }
        None
    }
}

/// `Expires` and `Cache-Control`, at a moment and of what has last changed at another, all of them in seconds.
fn said(moment: Moment, now: i64, modified: Option<i64>, since_modified: bool) -> Option<(String, String)> {
    let expires = match moment {
        Moment::Off => return None,
        Moment::Epoch | Moment::Max | Moment::Daily(_) if since_modified => return None,
        Moment::Epoch => return Some(("Thu, 01 Jan 1970 00:00:01 GMT".to_owned(), NO_CACHE.to_owned())),
        Moment::Max => return Some(("Thu, 31 Dec 2037 23:55:55 GMT".to_owned(), "max-age=315360000".to_owned())),
        Moment::Daily(time) => {
            let today = now - now.rem_euclid(DAY) + time;
            if today > now { today } else { today + DAY }
        }
        Moment::After(0) => now,
        Moment::After(time) => modified.unwrap_or(now).saturating_add(time),
    };
    let cache_control = match (expires - now, moment) {
        (..0, _) => NO_CACHE.to_owned(),
        (_, Moment::After(..0)) => NO_CACHE.to_owned(),
        (age, _) => format!("max-age={age}"),
    };
    Some((date(expires), cache_control))
}

const DAY: i64 = 86_400;
const NO_CACHE: &str = "no-cache";

fn seconds_of(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// As HTTP writes it, from 1970 to the end of 9999.
fn date(seconds: i64) -> String {
    let seconds = seconds.clamp(0, 253_402_300_799).unsigned_abs();
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn at<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
    let text = String::deserialize(deserializer)?;
    let template = Template::parse(&text).map_err(de::Error::custom)?;
    template.constant().map(|text| text.parse::<Moment>()).transpose().map_err(de::Error::custom)?;
    Ok(template)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{built, ctx, filter, ok, request};

    /// 1994-11-06, 08:49:37.
    const NOW: i64 = 784_111_777;

    #[test]
    fn dates_are_told_as_nginx_tells_them() {
        for (text, modified, since_modified, expires, cache_control) in [
            ("2048", None, false, "Sun, 06 Nov 1994 09:23:45 GMT", "max-age=2048"),
            ("+1h", None, false, "Sun, 06 Nov 1994 09:49:37 GMT", "max-age=3600"),
            ("-1h", None, false, "Sun, 06 Nov 1994 07:49:37 GMT", "no-cache"),
            ("0", None, false, "Sun, 06 Nov 1994 08:49:37 GMT", "max-age=0"),
            ("epoch", None, false, "Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"),
            ("max", None, false, "Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"),
            ("@15h30m", None, false, "Sun, 06 Nov 1994 15:30:00 GMT", "max-age=24023"),
            ("@8h", None, false, "Mon, 07 Nov 1994 08:00:00 GMT", "max-age=83423"),
            ("1h", Some(NOW - 60), true, "Sun, 06 Nov 1994 09:48:37 GMT", "max-age=3540"),
            ("1h", None, true, "Sun, 06 Nov 1994 09:49:37 GMT", "max-age=3600"),
            ("1h", Some(0), true, "Thu, 01 Jan 1970 01:00:00 GMT", "no-cache"),
            ("-9999d", None, false, "Thu, 01 Jan 1970 00:00:00 GMT", "no-cache"),
        ] {
            let said = said(text.parse().unwrap(), NOW, modified, since_modified);
            assert_eq!(said, Some((expires.to_owned(), cache_control.to_owned())), "{text}");
        }
        assert_eq!(said(Moment::Off, NOW, None, false), None);
        assert_eq!(said(Moment::Epoch, NOW, None, true), None);
    }

    #[test]
    fn errors_are_not_told_of_and_variables_may_be_nothing() {
        let said = |yaml: &str, path: &str, status: u16| {
            let (mut response, request) = (ok(), request("POST", path, &[]));
            response.set_status(status).unwrap();
            response.insert_header("cache-control", "private").unwrap();
            built::<Expires>(yaml).on_response(&mut response, &request, &ctx("192.0.2.1"));
            response.headers["cache-control"].to_str().unwrap().to_owned()
        };
        for (yaml, path, status, cache_control) in [
            ("{ at: epoch }", "/", 200, "no-cache"),
            ("{ at: epoch }", "/", 404, "private"),
            ("{ at: $query_e }", "/?e=1y", 200, "max-age=31536000"),
            ("{ at: $query_e }", "/?e=bad", 200, "private"),
            ("{ at: $query_e }", "/", 200, "private"),
        ] {
            assert_eq!(said(yaml, path, status), cache_control, "{yaml} {path}");
        }
        filter::<Expires>("{ at: 1h, since_modified: true }");
        for text in ["{}", "{ at: soon }", "{ at: $nothing }"] {
            assert!(serde_yaml::from_str::<Expires>(text).is_err(), "{text}");
        }
    }
}
