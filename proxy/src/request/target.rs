//! The target that a backend gets: path and query, as filters have left them so far.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use pingora::http::RequestHeader;

use super::RequestCtx;
use super::path::{PathError, Slashes};

/// A request's target on its way to the backend.
pub struct Target {
    path: String,
    query: Option<String>,
    slashes: Slashes,
}

impl Target {
    /// What the client has sent, or what filters before have made of it.
    pub fn of(request: &RequestHeader, ctx: &RequestCtx) -> Self {
        let sent = String::from_utf8_lossy(request.raw_path());
        Self {
            slashes: ctx.notes.slashes,
            ..Self::from(ctx.notes.target.as_deref().unwrap_or(&sent))
        }
    }

    /// The path, unless it could be read in another way than it is written: then only its normal form says what it means.
    pub fn plain_path(&self) -> Option<&str> {
        const DOUBTFUL: [&str; 9] = ["//", "/.", "\\", "%5c", "%2e", "%2f.", "%2f/", "/%2f", "%2f%2f"];
        let path = self.path.to_ascii_lowercase();
        let is_plain = !DOUBTFUL.iter().any(|doubtful| path.contains(doubtful));
        is_plain.then_some(&self.path)
    }

    /// The path as routes match it.
    ///
    /// # Errors
    /// It means nothing.
    pub fn normal_path(&self) -> Result<Cow<'_, str>, PathError> {
        self.slashes.normal(self.path.as_bytes())
    }

    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// With another query; none where it cannot be asked for.
    pub fn with_query(&self, query: &str) -> Option<Box<str>> {
        compose(&self.path, Some(query))
    }

    /// With another path, which is escaped already; none where it cannot be asked for.
    pub fn with_path(&self, path: &str) -> Option<Box<str>> {
        compose(path, self.query())
    }
}

impl From<&str> for Target {
    fn from(whole: &str) -> Self {
        let (path, query) = match whole.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (whole, None),
        };
        Self {
            path: path.to_owned(),
            query,
            slashes: Slashes::default(),
        }
    }
}

/// A part of a path in its normal form, as it can be asked for.
pub fn escaped(part: &str) -> Cow<'_, str> {
    utf8_percent_encode(part, UNFIT).into()
}

/// What a group has taken of a path in its normal form, as it can be a part of a path and of a query's argument.
pub fn escaped_group(part: &str) -> Cow<'_, str> {
    utf8_percent_encode(part, UNFIT_IN_ARGUMENT).into()
}

/// A target of these parts; none where they cannot be asked for. What is escaped in the path stays so. It begins with one slash:
/// with two it would be read as an authority.
pub fn compose(path: &str, query: Option<&str>) -> Option<Box<str>> {
    let path: Cow<'_, str> = utf8_percent_encode(path.trim_start_matches('/'), UNFIT_IN_TARGET).into();
    let target = match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    PathAndQuery::try_from(target.as_str()).is_ok().then(|| target.into())
}

/// A place that is on this site, as it was meant to be: browsers take what begins with two slashes for another host, either way
/// round, whatever tabs are between them.
pub fn on_this_site(location: &[u8]) -> Cow<'_, [u8]> {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\' | b'\t');
    let length = location.iter().take_while(|byte| is_slash(byte)).count();
    match &location[..length] {
        b"" | b"/" => location.into(),
        _ => [b"/", &location[length..]].concat().into(),
    }
}

/// What a path in its normal form has escaped.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'?')
    .add(b'#')
    .add(b'%')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
const UNFIT_IN_ARGUMENT: &AsciiSet = &UNFIT.add(b'&').add(b'+').add(b';');
const UNFIT_IN_TARGET: &AsciiSet = &UNFIT.remove(b'%');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_target_is_an_authority() {
        for (path, target) in [
            ("//a/b", "/a/b"),
            ("a", "/a"),
            ("///", "/"),
            ("", "/"),
            ("/a//b", "/a//b"),
            ("//a?", "/a%3F"),
        ] {
            assert_eq!(compose(path, None).as_deref(), Some(target), "{path}");
        }
    }
}
