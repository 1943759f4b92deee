//! What is asked of a folder.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::RequestHeader;

use super::conditions::Conditions;
use super::tried::Candidate;
use crate::filter::media_type::preference;
use crate::filter::{Content, Verdict};
use crate::request::problem;
use crate::request::target::{self, Target};

/// What a request says of the file that it wants.
pub struct Asked {
    /// The path by which the client knows it.
    pub path: String,
    pub codings: Vec<(&'static str, &'static str)>,
    pub query: Option<String>,
    /// What is looked for in the place of its path, if anything is.
    pub tried: Vec<Candidate>,
    /// Below the root, what its files lie in.
    pub within: String,
    /// What stands for a folder.
    pub index: String,
    /// Where Veil is, as the client knows it.
    pub origin: Option<Vec<u8>>,
    pub is_plain: bool,
    pub conditions: Conditions,
}

impl Asked {
    pub fn by(request: &RequestHeader, target: &Target, path: String) -> Self {
        let mut codings: Vec<_> = [("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz")]
            .into_iter()
            .map(|(coding, suffix)| (preference(request, coding).unwrap_or(0), coding, suffix))
            .filter(|(liking, ..)| *liking > 0)
            .collect();
        codings.sort_by(|(a, ..), (b, ..)| b.cmp(a));
        Self {
            path,
            codings: codings.into_iter().map(|(_, coding, suffix)| (coding, suffix)).collect(),
            query: target.query().map(str::to_owned),
            tried: Vec::new(),
            within: String::new(),
            index: String::new(),
            origin: None,
            is_plain: request.method != Method::HEAD,
            conditions: Conditions::of(request),
        }
    }

    /// A folder is asked for with a slash at its end, or the links of its page would lead elsewhere; by its path, if that is
    /// another than what was asked for.
    pub fn moved(&self, path: Option<&str>) -> Verdict {
        let path = format!("{}/", target::escaped(path.unwrap_or(&self.path)));
        let Some(location) = target::compose(&path, self.query.as_deref()) else {
            return Verdict::Refuse(problem::BAD_PATH);
        };
        let mut answer = http::Response::new(Content::Bytes(Bytes::new()));
        *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let origin = self.origin.as_deref().unwrap_or_default();
        if let Ok(location) = HeaderValue::try_from([origin, location.as_bytes()].concat()) {
            answer.headers_mut().insert(header::LOCATION, location);
        }
        Verdict::Answer(Box::new(answer))
    }
}
