//! Who may ask the admin listener what.

use std::fmt;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use subtle::ConstantTimeEq;

use super::endpoint::{Endpoint, HOW_TO_WRITE};
use super::listener::{Mode, UnixConfig};

/// `admin: { address: 127.0.0.1:8081 }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Whoever can connect here can drain and reload, unless there is a `token`: a loopback address needs none, nor does a
    /// Unix socket, `unix:/run/veil/admin.sock`.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "String")]
    pub address: Endpoint,
    /// Of a Unix socket; its mode is 600 unless given, so that only its owner can connect.
    #[serde(default)]
    unix: UnixConfig,
    /// Names under which it is asked, beside `localhost`, the machine's own and every address: a request for another one
    /// is refused, since a web page could have made it. `[veil-1.internal]`
    #[serde(default)]
    pub names: Vec<String>,
    /// What `Authorization: Bearer` has to say, except for `/livez` and `/readyz`.
    pub token: Option<Token>,
    /// What it may say for all that only reads.
    pub read_token: Option<Token>,
}

impl AdminConfig {
    /// Whether anybody on the network could command.
    pub fn is_open(&self) -> bool {
        let is_near = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        !self.address.inet().is_none_or(is_near) && self.token.is_none()
    }

    pub fn unix(&self) -> UnixConfig {
        UnixConfig {
            mode: self.unix.mode.or(Some(Mode(0o600))),
            ..self.unix.clone()
        }
    }

    /// What whoever says this may do. Everything, where there is no token.
    pub fn allows(&self, said: Option<&[u8]>) -> Allowed {
        let is = |token: &Option<Token>| said.zip(token.as_ref()).is_some_and(|(said, token)| token.is(said));
        match &self.token {
            None => Allowed::Commands,
            Some(_) if is(&self.token) => Allowed::Commands,
            Some(_) if is(&self.read_token) => Allowed::Reading,
            Some(_) => Allowed::Nothing,
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
    let endpoint = match serde_yaml::Value::deserialize(deserializer)? {
        serde_yaml::Value::String(text) => Endpoint::written(&text, "127.0.0.1"),
        serde_yaml::Value::Number(port) => Endpoint::written(&port.to_string(), "127.0.0.1"),
        _ => Err(format!("it is no address; {HOW_TO_WRITE}")),
    };
    endpoint.map_err(de::Error::custom)
}

/// What somebody may do at the admin listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    Nothing,
    Reading,
    Commands,
}

/// A secret that is shown nowhere.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("minLength" = 16))]
pub struct Token(String);

impl Token {
    /// Takes as long for every wrong one of its length.
    fn is(&self, said: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(said).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(de::Error::custom(format!(
                "a token is at least {SHORTEST} visible characters; write what `openssl rand -hex 32` prints, or ${{NAME}} \
                 for one from the environment"
            )));
        }
        Ok(Self(text))
    }
}

const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn admin(yaml: &str) -> AdminConfig {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_token_opens_what_it_is_for() {
        let admin = admin("{ address: 0.0.0.0:1, token: 0123456789abcdef, read_token: fedcba9876543210 }");
        for (said, allowed) in [
            (Some("0123456789abcdef"), Allowed::Commands),
            (Some("fedcba9876543210"), Allowed::Reading),
            (Some("0123456789abcdeg"), Allowed::Nothing),
            (Some("0123456789abcde"), Allowed::Nothing),
            (Some(""), Allowed::Nothing),
            (None, Allowed::Nothing),
        ] {
            assert_eq!(admin.allows(said.map(str::as_bytes)), allowed, "{said:?}");
        }
        assert!(!format!("{admin:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn only_this_machine_comes_in_without() {
        for (address, open) in [
            ("127.0.0.1:1", false),
            ("127.8.8.8:1", false),
            ("'[::1]:1'", false),
            ("'[::ffff:127.0.0.1]:1'", false),
            ("0.0.0.0:1", true),
            ("10.0.0.1:1", true),
            ("'[::]:1'", true),
            ("unix:/run/veil/admin.sock", false),
        ] {
            let yaml = format!("{{ address: {address} }}");
            assert_eq!(admin(&yaml).is_open(), open, "{address}");
            assert_eq!(admin(&yaml).allows(None), Allowed::Commands);
        }
    }

    #[test]
    fn only_its_owner_connects_to_a_unix_socket_unless_said_otherwise() {
        let mode = |unix: &str| {
            admin(&format!("{{ address: unix:/run/admin.sock, {unix} }}"))
                .unix()
                .mode
        };
        assert_eq!(mode(""), Some(Mode(0o600)));
        assert_eq!(mode("unix: { group: veil }"), Some(Mode(0o600)));
        assert_eq!(mode("unix: { mode: 660 }"), Some(Mode(0o660)));
    }
}
