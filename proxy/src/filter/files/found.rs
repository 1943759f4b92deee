//! A file that is there, as an answer.

use std::fs::{File, Metadata};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::conditions::{Conditions, Part};
use crate::filter::{Content, Verdict};

/// A file that may be sent.
pub struct Found {
    pub file: File,
    pub metadata: Metadata,
    pub coding: Option<&'static str>,
    pub media_type: &'static str,
}

impl Found {
    pub fn answer(self, is_plain: bool, conditions: &Conditions, varies: bool) -> Verdict {
        let (length, modified) = (self.metadata.len(), self.modified());
        let tag = self.tag();
        let mut answer = http::Response::new(Content::Bytes(Bytes::new()));
        let status = conditions.status(&tag, modified);
        let part = match status {
            None if is_plain => conditions.part(&tag, modified, length),
            _ => Part::All,
        };
        let fields = answer.headers_mut();
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                fields.insert(name, value);
            }
        };
        set(header::ETAG, tag);
        set(header::LAST_MODIFIED, httpdate::fmt_http_date(modified));
        set(header::ACCEPT_RANGES, "bytes".to_owned());
        if varies {
            set(header::VARY, "Accept-Encoding".to_owned());
        }
        if let Some(status) = status {
            *answer.status_mut() = status;
            return Verdict::Answer(Box::new(answer));
        }
        set(header::CONTENT_TYPE, self.media_type.to_owned());
        if let Some(coding) = self.coding {
            set(header::CONTENT_ENCODING, coding.to_owned());
        }
        let (status, start, length) = match part {
            Part::All => (StatusCode::OK, 0, length),
            Part::Range(start, count) => {
                set(header::CONTENT_RANGE, format!("bytes {start}-{}/{length}", start + count - 1));
                (StatusCode::PARTIAL_CONTENT, start, count)
            }
            Part::Nowhere => {
                set(header::CONTENT_RANGE, format!("bytes */{length}"));
                (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0)
            }
        };
        *answer.status_mut() = status;
        *answer.body_mut() = Content::File {
            file: self.file,
            start,
            length,
        };
        Verdict::Answer(Box::new(answer))
    }

    /// To the second, as HTTP's dates are.
    fn modified(&self) -> SystemTime {
        let modified = self.metadata.modified().unwrap_or(UNIX_EPOCH);
        let seconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// By date and length, as Nginx's, but to the nanosecond; another one for each coding.
    fn tag(&self) -> String {
        let since = self.metadata.modified().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
        let coding = self.coding.map_or_else(String::new, |coding| format!("-{coding}"));
        format!("\"{:x}-{:x}{coding}\"", since.as_nanos(), self.metadata.len())
    }
}
