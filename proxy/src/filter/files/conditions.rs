//! On what a client makes it depend whether and how much of a file it gets: preconditions and ranges.

use std::time::SystemTime;

use http::{HeaderName, StatusCode, header};
use pingora::http::RequestHeader;

pub struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    if_range: Option<String>,
    range: Option<String>,
}

/// What of a file is sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// From a byte on, so many.
    Range(u64, u64),
    /// Nothing of what was asked for is there.
    Nowhere,
}

impl Conditions {
    /// What a request says of them.
    pub fn of(request: &RequestHeader) -> Self {
        let text = |name: HeaderName| {
            let lines = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let all = lines.collect::<Vec<_>>().join(", ");
            (!all.is_empty()).then_some(all)
        };
        let date = |name: HeaderName| httpdate::parse_http_date(&text(name)?).ok();
        Self {
            if_match: text(header::IF_MATCH),
            if_none_match: text(header::IF_NONE_MATCH),
            if_modified_since: date(header::IF_MODIFIED_SINCE),
            if_unmodified_since: date(header::IF_UNMODIFIED_SINCE),
            if_range: text(header::IF_RANGE),
            range: text(header::RANGE),
        }
    }

    /// What ends a request before any of the file is sent (RFC 9110, section 13.2.2).
    pub fn status(&self, tag: &str, modified: SystemTime) -> Option<StatusCode> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !lists(tags, tag, false) => return Some(StatusCode::PRECONDITION_FAILED),
            (None, Some(since)) if modified > since => return Some(StatusCode::PRECONDITION_FAILED),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => lists(tags, tag, true).then_some(StatusCode::NOT_MODIFIED),
            (None, Some(since)) if modified <= since => Some(StatusCode::NOT_MODIFIED),
            _ => None,
        }
    }

    /// One range is sent alone; of several, all of the file, which is allowed and never a flood of small parts.
    pub fn part(&self, tag: &str, modified: SystemTime, length: u64) -> Part {
        let holds = match self.if_range.as_deref() {
            None => true,
            Some(text) if text.starts_with('"') || text.starts_with("W/") => text == tag,
            Some(text) => httpdate::parse_http_date(text).is_ok_and(|date| date == modified),
        };
        let range = self.range.as_deref().filter(|_| holds).and_then(|range| range.strip_prefix("bytes="));
        let Some(range) = range.filter(|range| !range.contains(',')) else {
            return Part::All;
        };
        let Some((first, last)) = range.trim().split_once('-') else {
            return Part::All;
        };
        let number = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>()).transpose();
        match (number(first), number(last)) {
            (Ok(Some(first)), Ok(last)) => {
                let last = last.unwrap_or(u64::MAX);
                match (first <= last, first < length) {
                    (false, _) => Part::All,
                    (true, false) => Part::Nowhere,
                    (true, true) => Part::Range(first, last.min(length - 1) - first + 1),
                }
            }
            (Ok(None), Ok(Some(0))) => Part::Nowhere,
            (Ok(None), Ok(Some(count))) if length > 0 => Part::Range(length - count.min(length), count.min(length)),
            (Ok(None), Ok(Some(_))) => Part::Nowhere,
            _ => Part::All,
        }
    }
}

/// Whether a list of entity tags has this one.
fn lists(tags: &str, tag: &str, weakly: bool) -> bool {
    tags.split(',').map(str::trim).any(|listed| {
        let bare = if weakly { listed.strip_prefix("W/").unwrap_or(listed) } else { listed };
        listed == "*" || bare == tag
    })
}
