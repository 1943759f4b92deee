//! Who the client is, and the header fields that tell backends so.

use std::net::IpAddr;

use http::HeaderValue;
use pingora::http::RequestHeader;

use crate::client::listener::Listener;
use crate::request::text::push_address;
use crate::request::{RequestCtx, Scheme};

// Text, because Pingora makes a name's spelling on the wire of it without an allocation.
pub const X_FORWARDED_FOR: &str = "X-Forwarded-For";
pub const X_FORWARDED_PROTO: &str = "X-Forwarded-Proto";
pub const X_REAL_IP: &str = "X-Real-IP";

/// The client's address as seen through the proxies in front of us: the last entry of `X-Forwarded-For` that a trusted
/// proxy has written. Nginx: `set_real_ip_from` with `real_ip_recursive on`.
pub fn client(peer: IpAddr, head: &RequestHeader, listener: &Listener) -> IpAddr {
    if !listener.trusts(peer) {
        return peer;
    }
    let lines: Vec<&str> = head
        .headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut client = peer;
    for entry in entries {
        let Ok(named) = entry.trim().parse::<IpAddr>() else {
            break;
        };
        client = named.to_canonical();
        if !listener.trusts(client) {
            break;
        }
    }
    client
}

/// The scheme that the client used: ours, unless a trusted proxy has told another.
pub fn scheme(peer: IpAddr, head: &RequestHeader, listener: &Listener) -> Scheme {
    if !listener.trusts(peer) {
        return listener.scheme();
    }
    match head.headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => Scheme::Https,
        Some(b"http") => Scheme::Http,
        _ => listener.scheme(),
    }
}

/// Sets what backends behind Nginx are used to: `X-Real-IP $remote_addr`, `X-Forwarded-For
/// $proxy_add_x_forwarded_for` and `X-Forwarded-Proto $scheme`. What an untrusted client says of itself stays in the
/// list, before the address that it has in truth.
pub fn tell_backend(head: &mut RequestHeader, ctx: &RequestCtx) -> pingora::Result<()> {
    let list = forwarded_for(head, ctx.peer.ip());
    head.insert_header(X_FORWARDED_FOR, list)?;
    let mut client = Vec::with_capacity(ADDRESS);
    push_address(&mut client, ctx.client);
    head.insert_header(X_REAL_IP, client)?;
    head.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(ctx.scheme.as_str()))
}

/// The list so far with one more address.
fn forwarded_for(head: &RequestHeader, peer: IpAddr) -> Vec<u8> {
    let mut list = Vec::with_capacity(ADDRESS);
    for line in head.headers.get_all(X_FORWARDED_FOR) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    push_address(&mut list, peer);
    list
}

/// Bytes of the longest address.
const ADDRESS: usize = 45;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::request::RequestId;

    fn listener(trusted: &[&str]) -> Listener {
        let yaml = format!("{{ address: '127.0.0.1:80', trusted_proxies: {trusted:?} }}");
        let config: crate::client::listener::ListenerConfig = serde_yaml::from_str(&yaml).unwrap();
        Listener::new("public", &config, config.address, &Arc::default()).unwrap()
    }

    fn head(forwarded: &[&'static str]) -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for line in forwarded {
            head.append_header(X_FORWARDED_FOR, *line).unwrap();
        }
        head
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn believes_nobody_by_default() {
        let told = client(address("198.51.100.7"), &head(&["203.0.113.9"]), &listener(&[]));
        assert_eq!(told, address("198.51.100.7"));
    }

    #[test]
    fn takes_the_last_address_that_no_trusted_proxy_has() {
        let listener = listener(&["10.0.0.0/8"]);
        let told = |lines: &[&'static str]| client(address("10.0.0.1"), &head(lines), &listener);
        assert_eq!(told(&["203.0.113.9"]), address("203.0.113.9"));
        assert_eq!(told(&["1.1.1.1, 203.0.113.9, 10.9.9.9"]), address("203.0.113.9"));
        assert_eq!(told(&["1.1.1.1", "203.0.113.9", "10.9.9.9"]), address("203.0.113.9"));
        assert_eq!(told(&["::ffff:203.0.113.9"]), address("203.0.113.9"));
        assert_eq!(told(&["garbage"]), address("10.0.0.1"));
        assert_eq!(told(&[]), address("10.0.0.1"));
    }

    #[test]
    fn appends_the_peer_and_names_the_client() {
        let ctx = RequestCtx {
            id: RequestId::random(),
            peer: "10.0.0.1:4000".parse().unwrap(),
            client: address("203.0.113.9"),
            scheme: Scheme::Https,
            received: Instant::now(),
        };
        let mut forwarded = head(&["1.1.1.1", "203.0.113.9"]);
        tell_backend(&mut forwarded, &ctx).unwrap();
        assert_eq!(forwarded.headers["x-forwarded-for"], "1.1.1.1, 203.0.113.9, 10.0.0.1");
        assert_eq!(forwarded.headers["x-real-ip"], "203.0.113.9");
        assert_eq!(forwarded.headers["x-forwarded-proto"], "https");

        let mut plain = head(&[]);
        tell_backend(&mut plain, &ctx).unwrap();
        assert_eq!(plain.headers["x-forwarded-for"], "10.0.0.1");
    }
}
