//! Who the client is, and the header fields that tell backends so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use quantity::forwarded::{address, from_the_last};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::client::listener::Listener;
use crate::request::problem::X_REQUEST_ID;
use crate::request::text::push_address;
use crate::request::trace::TRACEPARENT;
use crate::request::{RequestCtx, Scheme};

// Text, because Pingora makes a name's spelling on the wire of it without an allocation.
pub const X_FORWARDED_FOR: &str = "X-Forwarded-For";
pub const X_FORWARDED_PROTO: &str = "X-Forwarded-Proto";
pub const X_REAL_IP: &str = "X-Real-IP";

/// The client's address as seen through the proxies in front of us: the last entry of their field that a trusted
/// proxy has written, with or without a port. None where that entry cannot be read: whoever it is, it is not the proxy.
/// Nginx: `set_real_ip_from` and `real_ip_header` with `real_ip_recursive on`.
pub fn client(peer: IpAddr, head: &RequestHeader, listener: &Listener) -> Option<IpAddr> {
    let field = listener.config.client_address_field.as_ref();
    client_in(field.unwrap_or(&LIST), peer, head, |address| listener.trusts(address))
}

/// The same, by a field of one's own; nobody but the peer is believed where nobody else `is_trusted`.
pub fn client_in(
    field: &HeaderName,
    peer: IpAddr,
    head: &RequestHeader,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    if !is_trusted(peer) {
        return Some(peer);
    }
    let is_forwarded = *field == header::FORWARDED;
    let lines: Vec<&[u8]> = head.headers.get_all(field).iter().map(HeaderValue::as_bytes).collect();
    let mut client = peer;
    for entry in from_the_last(&lines) {
        let entry = if is_forwarded { said(entry, b"for")? } else { entry };
        client = address(entry)?;
        if !is_trusted(client) {
            break;
        }
    }
    Some(client)
}

const LIST: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What an element of `Forwarded` says of this: `for="[2001:db8::1]:4000";proto=https` (RFC 7239, section 4).
fn said<'a>(element: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let value = pairs.find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        pair[..equals].eq_ignore_ascii_case(what).then_some(&pair[equals + 1..])
    })?;
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    Some(quoted.unwrap_or(value))
}

/// The scheme that the client used: ours, unless a trusted proxy has told another.
pub fn scheme(peer: IpAddr, head: &RequestHeader, listener: &Listener) -> Scheme {
    if !listener.trusts(peer) {
        return listener.scheme();
    }
    let told = match listener.config.client_address_field.as_ref() == Some(&header::FORWARDED) {
        true => head
            .headers
            .get_all(header::FORWARDED)
            .iter()
            .next_back()
            .and_then(|line| {
                let last = line.as_bytes().rsplit(|byte| *byte == b',').next()?;
                said(last.trim_ascii(), b"proto")
            }),
        false => head.headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes),
    };
    match told {
        Some(b"https") => Scheme::Https,
        Some(b"http") => Scheme::Http,
        _ => listener.scheme(),
    }
}

/// Takes away what would make somebody believe a lie. From strangers that is all that only a proxy in front may say:
/// where a request comes from, and where it was meant to go in truth, unless the listener passes that on. Names with `_`
/// are taken away too, as by Nginx, for workers that hand fields on as environment variables (CGI, WSGI) take it for `-`;
/// where the listener lets them pass, only those that spell a field which Veil sets or frames by. Gives back what a stranger has said in X-Forwarded-For.
pub fn forget_lies(head: &mut RequestHeader, peer: IpAddr, listener: &Listener) -> Vec<HeaderValue> {
    let is_stranger = !listener.config.unproved_fields && !listener.trusts(peer);
    let tells_of_client = listener.config.client_address_field.as_ref();
    let lies = |name: &&HeaderName| {
        let is_told_by_proxies = tells_of_client == Some(*name);
        let name = name.as_str();
        is_stranger && (is_told_by_proxies || is_for_proxies(name))
            || name.contains('_') && (!listener.config.underscores_in_headers || is_ours(&name.replace('_', "-")))
    };
    let lies: Vec<HeaderName> = head.headers.keys().filter(lies).cloned().collect();
    let mut said = Vec::new();
    for name in &lies {
        if name.as_str().eq_ignore_ascii_case(X_FORWARDED_FOR) {
            said.extend(head.headers.get_all(name).iter().cloned());
        }
        head.remove_header(name);
    }
    said
}

/// Whether only a proxy in front of us may say this.
fn is_for_proxies(name: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "forwarded",
        "x-http-method-override",
        "x-original-uri",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    name.starts_with("x-forwarded-") || OTHERS.contains(&name)
}

/// Whether backends believe this field because it is Veil that sets it or ends messages by it.
fn is_ours(name: &str) -> bool {
    const OTHERS: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "veil-deadline-ms",
        "x-request-id",
    ];
    is_for_proxies(name) || OTHERS.contains(&name)
}

/// Fields that tell backends of a request what its client does not say. All, unless a route names some.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
pub enum Telling {
    /// Nginx: `$proxy_add_x_forwarded_for`.
    #[serde(rename = "X-Forwarded-For")]
    ForwardedFor,
    /// Nginx: `$scheme`.
    #[serde(rename = "X-Forwarded-Proto")]
    ForwardedProto,
    /// Nginx: `$remote_addr`.
    #[serde(rename = "X-Real-IP")]
    RealIp,
    /// Nginx: `$request_id`.
    #[serde(rename = "X-Request-Id")]
    RequestId,
    /// Milliseconds after which nobody waits for the answer any more.
    #[serde(rename = "Veil-Deadline-Ms")]
    Deadline,
}

/// Which of them backends get.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(transparent)]
pub struct Tellings(Option<BTreeSet<Telling>>);

impl Tellings {
    pub fn has(&self, telling: Telling) -> bool {
        self.0.as_ref().is_none_or(|named| named.contains(&telling))
    }
}

/// Sets what backends behind Nginx are used to: `X-Real-IP $remote_addr`, `X-Forwarded-For
/// $proxy_add_x_forwarded_for` and `X-Forwarded-Proto $scheme`. An unknown client has no address. And the request's id and trace.
pub fn tell_backend(head: &mut RequestHeader, ctx: &RequestCtx, tellings: &Tellings) -> pingora::Result<()> {
    if tellings.has(Telling::ForwardedFor) {
        let list = forwarded_for(head, ctx.peer.ip());
        head.insert_header(X_FORWARDED_FOR, list)?;
    }
    match ctx.client {
        _ if !tellings.has(Telling::RealIp) => {}
        Some(address) => {
            let mut client = Vec::with_capacity(ADDRESS);
            push_address(&mut client, address);
            head.insert_header(X_REAL_IP, client)?;
        }
        None => drop(head.remove_header(X_REAL_IP)),
    }
    if tellings.has(Telling::ForwardedProto) {
        head.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(ctx.scheme.as_str()))?;
    }
    if tellings.has(Telling::RequestId) {
        head.insert_header(X_REQUEST_ID, ctx.id.as_str())?;
    }
    match ctx.notes.trace {
        Some(trace) => head.insert_header(TRACEPARENT, trace.to_string()),
        None => Ok(()),
    }
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
    use crate::client::places::Places;
    use crate::request::RequestId;
    use crate::request::notes::Notes;

    fn listener(trusted: &[&str]) -> Listener {
        let yaml = format!("{{ address: '127.0.0.1:80', trusted_proxies: {trusted:?} }}");
        let config: crate::client::listener::ListenerConfig = serde_yaml::from_str(&yaml).unwrap();
        let places = Places::new(config.max_connections);
        Listener::new("public", &config, address_of(&config), places, &Arc::default()).unwrap()
    }

    fn address_of(config: &crate::client::listener::ListenerConfig) -> crate::client::endpoint::Endpoint {
        config.address.iter().next().unwrap().clone()
    }

    fn told_in(field: &str, lines: &[&'static str]) -> Option<IpAddr> {
        let yaml =
            format!("{{ address: '127.0.0.1:80', trusted_proxies: [10.0.0.0/8], client_address_field: {field} }}");
        let config: crate::client::listener::ListenerConfig = serde_yaml::from_str(&yaml).unwrap();
        let listener = Listener::new("public", &config, address_of(&config), Places::new(1), &Arc::default()).unwrap();
        let mut head = head(&["1.1.1.1"]);
        for line in lines {
            head.append_header(field.to_owned(), *line).unwrap();
        }
        client(address("10.0.0.1"), &head, &listener)
    }

    #[test]
    fn the_client_may_be_told_of_in_another_field() {
        for lines in [
            &["for=203.0.113.9"][..],
            &["for=1.1.1.1, For=\"203.0.113.9:4711\";proto=https;by=10.0.0.3"],
            &["for=203.0.113.9, for=10.0.0.7", "for=10.9.9.9;host=a"],
        ] {
            assert_eq!(told_in("Forwarded", lines), Some(address("203.0.113.9")), "{lines:?}");
        }
        assert_eq!(
            told_in("Forwarded", &["for=\"[2001:db8::1]:4711\""]),
            Some(address("2001:db8::1"))
        );
        for lines in [
            &["for=unknown"][..],
            &["proto=https"],
            &["for=_hidden"],
            &["203.0.113.9"],
        ] {
            assert_eq!(told_in("Forwarded", lines), None, "{lines:?}");
        }
        assert_eq!(
            told_in("CF-Connecting-IP", &["203.0.113.9"]),
            Some(address("203.0.113.9"))
        );
        assert_eq!(told_in("CF-Connecting-IP", &[]), Some(address("10.0.0.1")));
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
        assert_eq!(told, Some(address("198.51.100.7")));
    }

    #[test]
    fn takes_the_last_address_that_no_trusted_proxy_has() {
        let listener = listener(&["10.0.0.0/8"]);
        let told = |lines: &[&'static str]| client(address("10.0.0.1"), &head(lines), &listener);
        for lines in [
            &["203.0.113.9"][..],
            &["1.1.1.1, 203.0.113.9, 10.9.9.9"],
            &["1.1.1.1", "203.0.113.9", "10.9.9.9"],
            &["::ffff:203.0.113.9"],
            &["garbage, 203.0.113.9"],
            &["203.0.113.9:4711"],
            &["[::ffff:203.0.113.9]:4711"],
            &["203.0.113.9,, ", ",10.9.9.9:1 ,"],
        ] {
            assert_eq!(told(lines), Some(address("203.0.113.9")), "{lines:?}");
        }
        for lines in [
            &["2001:db8::1"][..],
            &["[2001:db8::1]"],
            &["[2001:db8::1]:443, 10.0.0.7"],
        ] {
            assert_eq!(told(lines), Some(address("2001:db8::1")), "{lines:?}");
        }
        for lines in [&[][..], &[""], &[" , "]] {
            assert_eq!(told(lines), Some(address("10.0.0.1")), "{lines:?}");
        }
    }

    #[test]
    fn whom_nobody_can_read_is_not_the_proxy() {
        let listener = listener(&["10.0.0.0/8"]);
        let told = |lines: &[&'static str]| client(address("10.0.0.1"), &head(lines), &listener);
        for lines in [
            &["garbage"][..],
            &["unknown"],
            &["203.0.113.9, _hidden, 10.9.9.9"],
            &["203.0.113.9:port"],
            &["[203.0.113.9"],
            &["\"203.0.113.9\""],
        ] {
            assert_eq!(told(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn strangers_do_not_speak_for_proxies() {
        const LIES: [&str; 8] = [
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "Forwarded",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
            "X_Real_IP",
            "api_key",
        ];
        let left = |peer: &str, yaml: &str| {
            let config = format!("{{ address: '127.0.0.1:80', trusted_proxies: [10.0.0.0/8], {yaml} }}");
            let config: crate::client::listener::ListenerConfig = serde_yaml::from_str(&config).unwrap();
            let listener =
                Listener::new("public", &config, address_of(&config), Places::new(1), &Arc::default()).unwrap();
            let mut head = head(&[]);
            for name in LIES {
                head.append_header(name, "lie").unwrap();
            }
            head.append_header("X-Tenant", "acme").unwrap();
            forget_lies(&mut head, address(peer), &listener);
            let names = head.headers.keys().map(|name| name.as_str().to_owned());
            names.collect::<BTreeSet<_>>()
        };
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(left("192.0.2.1", ""), names(&["x-tenant"]));
        assert_eq!(left("10.0.0.1", ""), names(&[&LIES[..6], &["x-tenant"]].concat()));
        assert_eq!(
            left("192.0.2.1", "underscores_in_headers: true"),
            names(&["api_key", "x-tenant"])
        );
        let passed = left("192.0.2.1", "unproved_fields: true");
        assert_eq!(passed, names(&[&LIES[..6], &["x-tenant"]].concat()));
    }

    #[test]
    fn appends_the_peer_and_names_the_client() {
        let ctx = RequestCtx {
            tables: None,
            id: RequestId::random(),
            peer: "10.0.0.1:4000".parse().unwrap(),
            client: Some(address("203.0.113.9")),
            scheme: Scheme::Https,
            path: None,
            received: Instant::now(),
            notes: Notes::default(),
        };
        let mut forwarded = head(&["1.1.1.1", "203.0.113.9"]);
        tell_backend(&mut forwarded, &ctx, &Tellings::default()).unwrap();
        assert_eq!(forwarded.headers["x-forwarded-for"], "1.1.1.1, 203.0.113.9, 10.0.0.1");
        assert_eq!(forwarded.headers["x-real-ip"], "203.0.113.9");
        assert_eq!(forwarded.headers["x-forwarded-proto"], "https");

        let mut plain = head(&[]);
        tell_backend(&mut plain, &ctx, &Tellings::default()).unwrap();
        assert_eq!(plain.headers["x-forwarded-for"], "10.0.0.1");

        for (told, names) in [
            ("[]", &["x-forwarded-for"][..]),
            ("[X-Real-IP]", &["x-forwarded-for", "x-real-ip"]),
            (
                "[X-Forwarded-Proto, X-Request-Id]",
                &["x-forwarded-for", "x-forwarded-proto", "x-request-id"],
            ),
        ] {
            let mut some = head(&["1.1.1.1"]);
            tell_backend(&mut some, &ctx, &serde_yaml::from_str(told).unwrap()).unwrap();
            assert_eq!(some.headers["x-forwarded-for"], "1.1.1.1", "{told}");
            let mut there: Vec<_> = some.headers.keys().map(HeaderName::as_str).collect();
            there.sort_unstable();
            assert_eq!(there, names, "{told}");
        }
    }
}
