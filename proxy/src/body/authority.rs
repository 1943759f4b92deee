//! Who a request is for. Pingora reconciles Host, `:authority` and absolute targets for its own sessions only, not for
//! the replay that stands in for them, so Veil does it for all.

use http::header::HOST;
use http::uri::Authority;
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::authority::{RawTargetAuthority, raw_target_authority, validate_request_authority};
use pingora::{ErrorType, OrErr, Result};

use super::framing::{MOST_FIELDS, Violation};

/// Makes Host the one word on whom the request is for, and its target a path alone, as backends expect it. To be called
/// on what goes to a backend, after all filters: a Host that a filter chose stands.
///
/// # Errors
///
/// Host is given twice, holds user information or is no authority; or the target is ambiguous.
pub fn settle(head: &mut RequestHeader) -> Result<()> {
    if !head.headers.contains_key(HOST)
        && let Some(authority) = head.uri.authority().map(ToString::to_string)
    {
        head.insert_header(HOST, authority)?;
    }
    if let Some(host) = head.headers.get(HOST).filter(|host| !host.is_empty()) {
        Authority::try_from(host.as_bytes()).or_err(ErrorType::InvalidHTTPHeader, "Host is no authority")?;
    }
    if let Some(path) = path_beside_authority(head) {
        head.set_raw_path(&path)?;
    }
    validate_request_authority(head)
}

/// Makes Host the one word on whom a request is for as soon as it has come in, so that filters and keys need not know
/// where a protocol says it: the authority of HTTP/2 and of an absolute target wins (RFC 9112, 3.2.2), and the target
/// becomes a path alone.
///
/// # Errors
///
/// The authority cannot stand in a field, or the path in a target.
pub fn settle_on_arrival(head: &mut RequestHeader) -> Result<()> {
    let authority = match raw_target_authority(head.raw_path()) {
        RawTargetAuthority::Absolute { authority, .. } => Some(authority.to_vec()),
        _ => head.uri.authority().map(|authority| authority.as_str().into()),
    };
    let Some(authority) = authority.filter(|_| head.method != Method::CONNECT) else {
        return Ok(());
    };
    if head.headers.get(HOST).is_none_or(|host| host.as_bytes() != authority) {
        head.insert_header(HOST, authority)?;
    }
    match path_beside_authority(head) {
        Some(path) => head.set_raw_path(&path),
        None => Ok(()),
    }
}

/// What is wrong with a head that came over HTTP/2, of what is refused over HTTP/1 before it gets here.
pub fn violation_over_http2(head: &RequestHeader) -> Option<Violation> {
    match head.version == Version::HTTP_2 && head.method != Method::CONNECT {
        true if head.headers.len() > MOST_FIELDS => Some(Violation::TooManyFields),
        true if !head.headers.contains_key(HOST) => Some(Violation::Host),
        _ => None,
    }
}

/// The path alone of a target that names an authority too.
fn path_beside_authority(head: &RequestHeader) -> Option<Vec<u8>> {
    let target = head.raw_path();
    match raw_target_authority(target) {
        RawTargetAuthority::Absolute { path_and_query, .. } if path_and_query.starts_with(b"/") => {
            Some(path_and_query.to_vec())
        }
        RawTargetAuthority::Absolute { path_and_query, .. } => Some([b"/", path_and_query].concat()),
        _ => head.uri.authority().map(|_| target.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(target: &str, host: Option<&str>) -> RequestHeader {
        let mut head = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        if let Some(host) = host {
            head.insert_header(HOST, host).unwrap();
        }
        head
    }

    #[test]
    fn sends_a_path_and_one_host() {
        for target in ["/a?b", "http://h/a?b"] {
            let mut head = request(target, Some("h"));
            settle(&mut head).unwrap();
            assert_eq!(head.raw_path(), b"/a?b");
            assert_eq!(head.headers[HOST], "h");
        }
        let mut head = request("http://h?b", Some("h"));
        settle(&mut head).unwrap();
        assert_eq!(head.raw_path(), b"/?b");
    }

    #[test]
    fn takes_host_from_the_authority_of_http2_and_lets_a_filter_choose() {
        let mut head = request("/", None);
        head.set_uri("http://h/a?b".parse().unwrap());
        let mut chosen = head.clone();
        settle(&mut head).unwrap();
        assert_eq!(
            (head.raw_path(), &head.headers[HOST]),
            (&b"/a?b"[..], &"h".parse().unwrap())
        );

        chosen.insert_header(HOST, "other:81").unwrap();
        settle(&mut chosen).unwrap();
        assert_eq!(
            (chosen.raw_path(), &chosen.headers[HOST]),
            (&b"/a?b"[..], &"other:81".parse().unwrap())
        );
        assert!(chosen.uri.authority().is_none());
    }

    #[test]
    fn on_arrival_the_authority_of_the_target_wins() {
        let mut two = request("/", None);
        two.set_uri("http://h:81/a?b".parse().unwrap());
        for (mut head, host, path) in [
            (two, Some("h:81"), "/a?b"),
            (request("http://h/a//b?c", Some("other")), Some("h"), "/a//b?c"),
            (request("http://h?b", None), Some("h"), "/?b"),
            (request("/a?b", Some("h")), Some("h"), "/a?b"),
            (request("/a", None), None, "/a"),
            (request("*", Some("h")), Some("h"), "*"),
        ] {
            settle_on_arrival(&mut head).unwrap();
            let named = head.headers.get(HOST).map(|host| host.to_str().unwrap());
            assert_eq!((named, head.raw_path()), (host, path.as_bytes()));
            assert!(head.uri.authority().is_none());
        }
    }

    #[test]
    fn refuses_what_two_readers_could_take_for_two_hosts() {
        assert!(settle(&mut request("/", Some("user@h"))).is_err());
        assert!(settle(&mut request("/", Some("a b"))).is_err());
        let mut twice = request("/", Some("a"));
        twice.append_header(HOST, "b").unwrap();
        assert!(settle(&mut twice).is_err());
    }
}
