//! What a pool knows of one request: the key that a hash turns into a backend, and what else a choice depends on.

use std::fmt;
use std::net::IpAddr;

use pingora::http::RequestHeader;

use super::key_config::{KeyConfig, cookie};
use crate::request::syntax::promised_length;

/// What a pool has to know of one request. The client's address comes along for `nginx_ip_hash`, which hashes its
/// octets, the length of the body for those that count load in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    client: IpAddr,
    bytes: Vec<u8>,
    upload_bytes: u64,
    /// The value of the pool's sticky cookie.
    home: Option<Box<[u8]>>,
}

impl Key {
    /// The key of a client without any request: its address as text, as Nginx's `$remote_addr`.
    pub fn of_client(client: IpAddr) -> Self {
        let client = client.to_canonical();
        Self {
            client,
            bytes: client.to_string().into_bytes(),
            upload_bytes: 0,
            home: None,
        }
    }

    pub fn of_request(config: &KeyConfig, head: &RequestHeader, client: IpAddr) -> Self {
        let client = client.to_canonical();
        let mut bytes = Vec::with_capacity(USUAL_LENGTH);
        config.append(head, client, &mut bytes);
        Self {
            client,
            bytes,
            upload_bytes: promised_length(head).unwrap_or(0),
            home: None,
        }
    }

    /// With the backend that the client's cookie of this name asks for.
    pub(in crate::pool) fn with_home(self, head: &RequestHeader, name: &str) -> Self {
        Self {
            home: cookie(head, name).map(Into::into),
            ..self
        }
    }

    /// With this text in the place of what the pool is configured for.
    pub fn told_apart_by(self, text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            ..self
        }
    }

    pub fn client(&self) -> IpAddr {
        self.client
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the request's body; 0 where it does not say.
    pub fn upload_bytes(&self) -> u64 {
        self.upload_bytes
    }

    pub(in crate::pool) fn home(&self) -> Option<&[u8]> {
        self.home.as_deref()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde::Deserialize;

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

    fn written(key: &str) -> KeyConfig {
        serde_yaml::from_str::<KeyInYaml>(&format!("key: {key}")).unwrap().key
    }

    #[test]
    fn takes_the_part_that_is_named() {
        assert_eq!(key(written("path"), &[]), "/v1/blur");
        assert_eq!(key(written("{ query: tenant }"), &[]), "blue");
        assert_eq!(key(written("{ header: x-user }"), &[("X-User", "ada")]), "ada");
        let cookies = [("Cookie", "a=1; sid=two"), ("Cookie", "sidecar=3")];
        assert_eq!(key(written("{ cookie: sid }"), &cookies), "two");
        let several = written("{ template: $client_address/$header_x_user/$query_user/$cookie_sid }");
        let headers = [("X-User", "ada"), ("Cookie", "sid=two")];
        assert_eq!(key(several, &headers), "192.0.2.7/ada/seven/two");
    }

    #[test]
    fn falls_back_to_the_client_where_the_part_is_absent() {
        for config in [
            "client_address",
            "{ header: x-user }",
            "{ cookie: sid }",
            "{ query: use }",
            "{ template: $header_x_user }",
        ] {
            assert_eq!(
                key(written(config), &[("Cookie", "sidecar=3")]),
                "192.0.2.7",
                "{config}"
            );
        }
    }

    #[test]
    fn knows_how_much_is_uploaded() {
        let mut head = RequestHeader::build("POST", b"/", None).unwrap();
        let client = "192.0.2.7".parse().unwrap();
        assert_eq!(Key::of_request(&KeyConfig::Path, &head, client).upload_bytes(), 0);
        head.insert_header("Content-Length", "300000").unwrap();
        assert_eq!(Key::of_request(&KeyConfig::Path, &head, client).upload_bytes(), 300_000);
    }
}
