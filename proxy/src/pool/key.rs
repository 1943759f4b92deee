//! What a request is told apart by: the key that a hash turns into a backend.

use std::io::Write;
use std::net::IpAddr;

use pingora::http::RequestHeader;
use serde::Deserialize;

/// `key: client_address`, `key: { header: X-User }`, … Where the request does not carry what is named, the client's
/// address stands in for it, so that such requests still spread over all backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyConfig {
    #[default]
    ClientAddress,
    Header(String),
    Cookie(String),
    /// The path without its query.
    Path,
    /// The value of one argument of the query, as written (not percent-decoded).
    Query(String),
}

/// The key of one request. The client's address comes along for `nginx_ip_hash`, which hashes its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    client: IpAddr,
    bytes: Vec<u8>,
}

impl Key {
    /// The key of a client without any request: its address as text, as Nginx's `$remote_addr`.
    pub fn of_client(client: IpAddr) -> Self {
        let client = client.to_canonical();
        let mut bytes = Vec::with_capacity(LONGEST_ADDRESS);
        write!(bytes, "{client}").expect("a Vec takes what is written to it");
        Self { client, bytes }
    }

    pub fn of_request(config: &KeyConfig, head: &RequestHeader, client: IpAddr) -> Self {
        let part = match config {
            KeyConfig::ClientAddress => None,
            KeyConfig::Header(name) => head.headers.get(name).map(|value| value.as_bytes()),
            KeyConfig::Cookie(name) => cookie(head, name),
            KeyConfig::Path => Some(head.uri.path().as_bytes()),
            KeyConfig::Query(name) => argument(head.uri.query(), name),
        };
        match part {
            Some(bytes) => Self {
                client: client.to_canonical(),
                bytes: bytes.to_vec(),
            },
            None => Self::of_client(client),
        }
    }

    pub fn client(&self) -> IpAddr {
        self.client
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

const LONGEST_ADDRESS: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

fn cookie<'a>(head: &'a RequestHeader, name: &str) -> Option<&'a [u8]> {
    head.headers
        .get_all("cookie")
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn argument<'a>(query: Option<&'a str>, name: &str) -> Option<&'a [u8]> {
    query?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .map(str::as_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(config: KeyConfig, headers: &[(&'static str, &str)]) -> String {
        let mut head = RequestHeader::build("GET", b"/v1/blur?user=7&tenant=blue", None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        let key = Key::of_request(&config, &head, "::ffff:192.0.2.7".parse().unwrap());
        String::from_utf8(key.bytes().to_vec()).unwrap()
    }

    #[test]
    fn takes_the_part_that_is_named() {
        assert_eq!(key(KeyConfig::Path, &[]), "/v1/blur");
        assert_eq!(key(KeyConfig::Query("tenant".into()), &[]), "blue");
        assert_eq!(key(KeyConfig::Header("x-user".into()), &[("X-User", "ada")]), "ada");
        let cookies = [("Cookie", "a=1; sid=two"), ("Cookie", "sidecar=3")];
        assert_eq!(key(KeyConfig::Cookie("sid".into()), &cookies), "two");
    }

    #[test]
    fn falls_back_to_the_client_where_the_part_is_absent() {
        for config in [
            KeyConfig::ClientAddress,
            KeyConfig::Header("x-user".into()),
            KeyConfig::Cookie("sid".into()),
            KeyConfig::Query("use".into()),
        ] {
            assert_eq!(key(config, &[("Cookie", "sidecar=3")]), "192.0.2.7");
        }
    }
}
