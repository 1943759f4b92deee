//! What concerns one connection only and does not go on to the next: fields that are hop by hop (RFC 9110, section 7.6.1),
//! versions, and the change to another protocol.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::{H1UpgradePolicy, HttpPeer};

use crate::pool::Http1;
use crate::request::syntax::{listed, lists};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Whether a backend that changes the protocol changes it to one that the client has asked for.
pub fn is_as_asked(request: &RequestHeader, answer: &ResponseHeader) -> bool {
    let is_asked =
        |name: &[u8]| listed(&request.headers, &header::UPGRADE).any(|asked| asked.eq_ignore_ascii_case(name));
    listed(&answer.headers, &header::UPGRADE).all(is_asked)
}

/// Whether the client's connection ends with the answer, in whichever line it says so: Pingora reads the first.
pub fn says_close(head: &RequestHeader) -> bool {
    lists(&head.headers, &header::CONNECTION, "close")
}

/// Takes away a wish for another protocol that `Connection` does not name: it is none of this connection's (RFC 9110, section
/// 7.8), and what follows it are requests.
pub fn forget_unnamed_upgrade(head: &mut RequestHeader) {
    if head.headers.contains_key(header::UPGRADE) && !lists(&head.headers, &header::CONNECTION, "upgrade") {
        head.remove_header(&header::UPGRADE);
    }
}

/// Has Pingora keep a client's wish for another protocol, see [`wish_for_another_protocol`].
pub fn let_protocol_change(peer: &mut HttpPeer) {
    peer.options.http_upstream_request_policy.h1_upgrade = H1UpgradePolicy::Preserve;
}

/// The fields that `Connection` names as its own.
fn nominated(fields: &HeaderMap) -> Vec<HeaderName> {
    listed(fields, &header::CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

/// Takes away what is said of the client's connection alone.
pub fn forget_connection(head: &mut RequestHeader) {
    for name in nominated(&head.headers).iter().chain(&[
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        HTTP2_SETTINGS,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]) {
        head.remove_header(name);
    }
}

/// Where a client's wish for another protocol goes on, nothing else of its connection does: Pingora has left all of it.
///
/// # Errors
/// None that a head which has come in can cause.
pub fn wish_for_another_protocol(head: &mut RequestHeader) -> pingora::Result<()> {
    for name in nominated(&head.headers).iter().filter(|name| *name != header::UPGRADE) {
        head.remove_header(name);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        HTTP2_SETTINGS,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
    ] {
        head.remove_header(&name);
    }
    head.insert_header(header::CONNECTION, "Upgrade")
}

/// Tells a backend that the connection is for this request alone, where that is so. A change to another protocol keeps it.
///
/// # Errors
/// None that a head which has come in can cause.
pub fn ends_with_answer(head: &mut RequestHeader, http1: Http1) -> pingora::Result<()> {
    if http1 == Http1::Kept || head.headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    if http1 == Http1::Version10 && !head.headers.contains_key(header::TRANSFER_ENCODING) {
        head.set_version(Version::HTTP_10);
    }
    head.insert_header(header::CONNECTION, "close")
}

/// Makes an answer Veil's own: it speaks its own version, and what a backend says of its connection is not for clients.
pub fn own(head: &mut ResponseHeader) {
    if head.version != Version::HTTP_2 {
        head.set_version(Version::HTTP_11);
    }
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    bound_wait(head);
    say_once(head, &header::TRANSFER_ENCODING);
    say_once(head, &header::CONTENT_LENGTH);
    // No body follows, which neither may frame (RFC 9112, section 6.1; RFC 9110, section 8.6).
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        head.remove_header(&header::TRANSFER_ENCODING);
    }
    if head.status == StatusCode::NO_CONTENT {
        head.remove_header(&header::CONTENT_LENGTH);
    }
    let nominated = nominated(&head.headers);
    let nominated = nominated.iter().filter(|name| !is_kept(name));
    for name in nominated.chain(&[KEEP_ALIVE, PROXY_CONNECTION, header::UPGRADE]) {
        head.remove_header(name);
    }
    if head.status.is_informational() {
        // What only announces an answer frames none, and a client may take it amiss (nginx#1604).
        for name in [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRAILER,
            header::TRANSFER_ENCODING,
        ] {
            head.remove_header(&name);
        }
    }
}

/// A wait that nobody means: whoever believes it never comes back.
fn bound_wait(head: &mut ResponseHeader) {
    let Some(asked) = head.headers.get(header::RETRY_AFTER) else {
        return;
    };
    let is_number = !asked.is_empty() && asked.as_bytes().iter().all(u8::is_ascii_digit);
    let number = asked.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let wait = match (is_number, number) {
        (true, Some(seconds)) => Some(Duration::from_secs(seconds)),
        (true, None) => Some(Duration::MAX),
        (false, _) => wait_until(asked),
    };
    match wait {
        None => drop(head.remove_header(&header::RETRY_AFTER)),
        Some(wait) if wait > LONGEST_WAIT => {
            // A number is fit to go.
            let _ = head.insert_header(header::RETRY_AFTER, LONGEST_WAIT.as_secs());
        }
        Some(_) => {}
    }
}

/// The time from now to a date; none where it is not one.
fn wait_until(date: &HeaderValue) -> Option<Duration> {
    let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// As long as a backend may send clients away for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What frames a body goes on once, however often it was said: that it is the same each time was seen as it came.
fn say_once(head: &mut ResponseHeader, name: &HeaderName) {
    let mut said = head.headers.get_all(name).iter();
    let Some(value) = said.next() else { return };
    let first = value.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
    let is_said_once = said.next().is_none() && first.len() == value.len();
    if !is_said_once && let Ok(first) = HeaderValue::from_bytes(first.trim_ascii()) {
        // A value that has come is fit to go.
        let _ = head.insert_header(name, first);
    }
}

/// Whether a field is not a connection's own although `Connection` names it: it says where a message ends or when it was made,
/// or whose it is.
fn is_kept(name: &HeaderName) -> bool {
    const KEPT: [HeaderName; 6] = [
        header::CACHE_CONTROL,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::DATE,
        header::SET_COOKIE,
        header::TRANSFER_ENCODING,
    ];
    KEPT.contains(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn a_wish_goes_on_alone() {
        let mut head = request(&[
            ("connection", "Upgrade, X-Secret, keep-alive"),
            ("upgrade", "tcp"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("x-kept", "1"),
        ]);
        wish_for_another_protocol(&mut head).unwrap();
        let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "upgrade", "x-kept"]);
        assert_eq!(head.headers["connection"], "Upgrade");
    }

    #[test]
    fn nobody_is_sent_away_for_longer_than_an_hour() {
        for (asked, told) in [
            ("30", Some("30")),
            ("3600", Some("3600")),
            ("3601", Some("3600")),
            ("99999999999999999999999", Some("3600")),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some("3600")),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let mut head = ResponseHeader::build(503, None).unwrap();
            head.insert_header("retry-after", asked).unwrap();
            own(&mut head);
            let said = head.headers.get("retry-after").map(|value| value.to_str().unwrap());
            assert_eq!(said, told, "{asked:?}");
        }
    }

    #[test]
    fn what_frames_a_body_is_said_once() {
        for (fields, told) in [
            (
                &[("content-length", "5"), ("content-length", "5")][..],
                ("content-length", "5"),
            ),
            (&[("content-length", "5, 5")], ("content-length", "5")),
            (
                &[("transfer-encoding", "chunked"), ("transfer-encoding", "Chunked")],
                ("transfer-encoding", "chunked"),
            ),
        ] {
            let mut head = ResponseHeader::build(200, None).unwrap();
            for (name, value) in fields {
                head.append_header(*name, *value).unwrap();
            }
            own(&mut head);
            let all: Vec<_> = head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            assert_eq!(all, [told]);
        }
    }

    #[test]
    fn an_answer_is_veils_own() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.set_version(Version::HTTP_10);
        for (name, value) in [
            ("connection", "X-Secret, Content-Length"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("content-length", "5"),
        ] {
            head.append_header(name, value).unwrap();
        }
        own(&mut head);
        assert_eq!(head.version, Version::HTTP_11);
        let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "content-length"]);
    }
}
