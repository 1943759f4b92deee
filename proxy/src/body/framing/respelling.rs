//! Heads that mean one thing, in words that do not hold to the letter.

use std::ops::Range;

use memchr::memchr;

use super::syntax::{authority_of_absolute, is_host};
use crate::request::syntax::trim;

/// The same head in a form that [`super::head::check`] may take, where there is one: of a target in absolute form the authority wins over
/// Host (RFC 9112, 3.2.2), and what a URI cannot hold although browsers and scripts send it is percent-encoded in the target.
pub(super) fn respelt(head: &[u8]) -> Option<Vec<u8>> {
    let line_end = head.iter().position(|byte| *byte == b'\r')?;
    let (line, fields) = head.split_at(line_end);
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    if method == b"CONNECT" || parts.next().is_some() {
        return None;
    }
    let is_text = std::str::from_utf8(target).is_ok();
    let mut respelt = [method, b" "].concat();
    for byte in target {
        match byte {
            b'"' | b'<' | b'>' | b'`' => respelt.extend(format!("%{byte:02X}").into_bytes()),
            0x80.. if !is_text => respelt.extend(format!("%{byte:02X}").into_bytes()),
            _ => respelt.push(*byte),
        }
    }
    respelt.push(b' ');
    respelt.extend_from_slice(version);
    match authority_of_absolute(target) {
        Some(authority) => respelt.extend(with_host(fields, authority)?),
        None => respelt.extend_from_slice(fields),
    }
    Some(respelt)
}

/// The same head whose Host is a name alone, where it has a colon behind that. Nginx does not look at what follows.
pub(super) fn with_name_alone(head: &[u8]) -> Option<Vec<u8>> {
    let value = host_in(head)?;
    let host = trim(&head[value.clone()]);
    let address = if host.starts_with(b"[") { memchr(b']', host)? } else { 0 };
    let name = &host[..address + memchr(b':', &host[address..])?];
    Some([&head[..value.start], b" ", name, &head[value.end..]].concat())
}

/// Fields with another Host in the place of theirs, if there is one.
fn with_host(fields: &[u8], host: &[u8]) -> Option<Vec<u8>> {
    let Some(value) = host_in(fields) else {
        return Some(fields.to_vec());
    };
    let is_good = is_host_or_empty(trim(&fields[value.clone()]));
    is_good.then(|| [&fields[..value.start], b" ", host, &fields[value.end..]].concat())
}

/// Where the value of the first Host is.
fn host_in(fields: &[u8]) -> Option<Range<usize>> {
    const NAME: &[u8] = b"\r\nhost:";
    let start = fields
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))?
        + NAME.len();
    Some(start..start + memchr(b'\r', &fields[start..])?)
}

fn is_host_or_empty(value: &[u8]) -> bool {
    value.is_empty() || is_host(value)
}

#[cfg(test)]
mod tests {
    use super::super::head::check;
    use super::*;

    #[test]
    fn a_host_is_a_name_whatever_comes_behind() {
        for (host, name) in [
            ("a:1:2", Some("a")),
            ("a:b", Some("a")),
            ("a:b@c", Some("a")),
            ("[::1]:80:81", Some("[::1]")),
            ("[v1.a:,b]:x", Some("[v1.a:,b]")),
            ("a:1", Some("a")),
            ("a", None),
            ("[::1]", None),
            ("[::1", None),
        ] {
            let head = |host: &str| format!("GET / HTTP/1.1\r\nA: b\r\nHOST: {host} \r\nC: d\r\n\r\n");
            let alone = with_name_alone(head(host).as_bytes());
            let wanted = name.map(|name| head(name).replace(" \r", "\r").into_bytes());
            assert_eq!(alone, wanted, "{host}");
            assert!(wanted.is_none_or(|head| check(&head).is_ok()), "{host}");
        }
        let twice = with_name_alone(b"GET / HTTP/1.1\r\nHost: a:b\r\nHost: c\r\n\r\n");
        assert!(twice.is_none_or(|head| check(&head).is_err()));
    }

    #[test]
    fn respells_what_means_one_thing_only() {
        for (head, same) in [
            (
                "GET /?q=\"<`>\" HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /?q=%22%3C%60%3E%22 HTTP/1.1\r\nHost: a\r\n\r\n",
            ),
            (
                "GET http://b:81/x HTTP/1.1\r\nA: b\r\nHOST:  a\r\nC: d\r\n\r\n",
                "GET http://b:81/x HTTP/1.1\r\nA: b\r\nHOST: b:81\r\nC: d\r\n\r\n",
            ),
            (
                "GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n",
                "GET http://b/ HTTP/1.1\r\nHost: b\r\n\r\n",
            ),
        ] {
            assert_eq!(respelt(head.as_bytes()).as_deref(), Some(same.as_bytes()), "{head}");
            assert!(check(same.as_bytes()).is_ok(), "{same}");
        }
        let latin1 = respelt(b"GET /\xe9?\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(latin1, Some(b"GET /%E9?%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()));
        for head in [
            "GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: c\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: u@a\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\n\r\n",
            "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\nHost: b\r\n\r\n extra",
        ] {
            let respelt = respelt(head.as_bytes());
            assert!(respelt.is_none_or(|head| check(&head).is_err()), "{head}");
        }
    }
}
