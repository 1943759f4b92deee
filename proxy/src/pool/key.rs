//! What a request is told apart by: the key that a hash turns into a backend.

use std::fmt;
use std::net::IpAddr;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::text::push_address;

/// `key: client_address`, `key: { header: X-User }`, … Where the request does not carry what is named, the client's
/// address stands in for it, so that such requests still spread over all backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
    /// Several of these together.
    AllOf(Vec<KeyConfig>),
}

impl KeyConfig {
    fn append(&self, head: &RequestHeader, client: IpAddr, key: &mut Vec<u8>) {
        let part = match self {
            Self::ClientAddress => None,
            Self::Header(name) => head.headers.get(name).map(|value| value.as_bytes()),
            Self::Cookie(name) => cookie(head, name),
            Self::Path => Some(head.uri.path().as_bytes()),
            Self::Query(name) => argument(head.uri.query(), name),
            Self::AllOf(parts) => {
                for part in parts {
                    part.append(head, client, key);
                    // No part can hold it, so that ab + c is not a + bc.
                    key.push(0);
                }
                return;
            }
        };
        match part {
            Some(bytes) => key.extend_from_slice(bytes),
            None => push_address(key, client),
        }
    }
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
        Self {
            client,
            bytes: client.to_string().into_bytes(),
        }
    }

    pub fn of_request(config: &KeyConfig, head: &RequestHeader, client: IpAddr) -> Self {
        let client = client.to_canonical();
        let mut bytes = Vec::with_capacity(USUAL_LENGTH);
        config.append(head, client, &mut bytes);
        Self { client, bytes }
    }

    pub fn client(&self) -> IpAddr {
        self.client
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        f.write_str(parts.collect::<Vec<_>>().join(" ").trim_end())
    }
}

/// Enough for any address and most of what else there is.
const USUAL_LENGTH: usize = 48;

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

    #[derive(Deserialize)]
    struct KeyInYaml {
        #[serde(with = "serde_yaml::with::singleton_map_recursive")]
        key: KeyConfig,
    }

    fn key(config: KeyConfig, headers: &[(&'static str, &str)]) -> String {
        let mut head = RequestHeader::build("GET", b"/v1/blur?user=seven&tenant=blue", None).unwrap();
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
        let both = serde_yaml::from_str::<KeyInYaml>("{ key: { all_of: [client_address, { query: user }] } }").unwrap();
        assert_eq!(key(both.key, &[]), "192.0.2.7\0seven\0");
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
