//! The sticky cookie: a client comes back with the name of the backend that served it, in a form that tells nobody
//! else which one that is. Nginx Plus: `sticky cookie`.

use std::fmt::Write;

use http::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::pool::members::backend::Backend;
use crate::request::syntax::is_token;
use crate::request::text::hexadecimal;
use crate::yaml::units::Duration;

/// `sticky: { cookie: veil_backend, same_site: lax }`
#[derive(Clone, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct StickyConfig {
    #[serde(deserialize_with = "cookie_name")]
    pub cookie: String,
    /// What the names are hidden with; proxies that share their clients share it. Without one, each start of Veil
    /// takes its own, and cookies of the one before are renewed.
    #[serde(deserialize_with = "secret")]
    pub secret: Option<String>,
    /// How long browsers keep it; until they are closed unless given.
    pub max_age: Option<Duration>,
    /// Keeps it from the page's scripts.
    pub http_only: bool,
    pub same_site: SameSite,
    pub secure: Secure,
}

impl Default for StickyConfig {
    fn default() -> Self {
        Self {
            cookie: "veil_backend".to_owned(),
            secret: None,
            max_age: None,
            http_only: true,
            same_site: SameSite::Lax,
            secure: Secure::UnderTls,
        }
    }
}

/// Whether requests that other sites cause carry the cookie.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    Strict,
    Lax,
    /// Browsers want `Secure` with it.
    None,
}

/// Whether browsers send the cookie over HTTPS only.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Secure {
    /// Where the client came over TLS, here or at a trusted proxy.
    UnderTls,
    Always,
    Never,
}

/// Names backends in cookies.
pub struct Sticky {
    config: StickyConfig,
    key: hmac::Key,
}

impl Sticky {
    /// `previous` lends its secret where none is configured, so that a reload renews no cookies.
    pub fn new(config: &StickyConfig, previous: Option<&Self>) -> Self {
        let key = match (&config.secret, previous) {
            (Some(secret), _) => hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            (None, Some(previous)) if previous.config.secret.is_none() => previous.key.clone(),
            (None, _) => {
                hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness to give")
            }
        };
        Self {
            config: config.clone(),
            key,
        }
    }

    pub fn cookie(&self) -> &str {
        &self.config.cookie
    }

    /// Whether others know the secret too.
    pub fn is_shared(&self) -> bool {
        self.config.secret.is_some()
    }

    /// Whether a cookie's value names this backend.
    pub fn names(&self, value: &[u8], backend: &Backend) -> bool {
        value == self.name_of(backend).as_bytes()
    }

    /// The `Set-Cookie` that brings a client back to this backend.
    pub fn set(&self, backend: &Backend, under_tls: bool) -> HeaderValue {
        let StickyConfig {
            cookie,
            max_age,
            http_only,
            same_site,
            secure,
            secret: _,
        } = &self.config;
        let mut text = format!(
            "{cookie}={}; Path=/; SameSite={}",
            self.name_of(backend),
            same_site.word()
        );
        if let Some(max_age) = max_age {
            write!(text, "; Max-Age={}", max_age.get().as_secs()).expect("a string can be written to");
        }
        if *http_only {
            text.push_str("; HttpOnly");
        }
        if *secure == Secure::Always || *secure == Secure::UnderTls && under_tls {
            text.push_str("; Secure");
        }
        HeaderValue::try_from(text).expect("a cookie's name and attributes are ASCII")
    }

    /// 64 bits of HMAC-SHA256, in hexadecimal digits.
    fn name_of(&self, backend: &Backend) -> String {
        let tag = hmac::sign(&self.key, backend.name().as_bytes());
        hexadecimal(&tag.as_ref()[..8])
    }
}

impl SameSite {
    const fn word(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// A token of RFC 9110, which is what RFC 6265 lets a cookie be called.
fn cookie_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if !is_token(name.as_bytes()) {
        return Err(de::Error::custom(format!(
            "{name:?} cannot name a cookie; write letters, digits, - and _"
        )));
    }
    Ok(name)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let secret = Option::<String>::deserialize(deserializer)?;
    if secret.as_ref().is_some_and(|secret| secret.len() < LEAST_SECRET_BYTES) {
        return Err(de::Error::custom(format!(
            "the secret is shorter than {LEAST_SECRET_BYTES} bytes; `openssl rand -hex 16` prints a good one"
        )));
    }
    Ok(secret)
}

/// Shorter ones could be guessed from a cookie and the address that it stands for.
const LEAST_SECRET_BYTES: usize = 16;

/// Without the secret, which does not belong in logs.
impl std::fmt::Debug for StickyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StickyConfig")
            .field("cookie", &self.cookie)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("max_age", &self.max_age)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .field("secure", &self.secure)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::pool::choose::selection::fixture::tier;

    fn sticky(yaml: &str) -> Sticky {
        Sticky::new(&serde_yaml::from_str(yaml).unwrap(), None)
    }

    fn value(set: &HeaderValue) -> String {
        let text = set.to_str().unwrap();
        text.split_once('=').unwrap().1.split_once(';').unwrap().0.to_owned()
    }

    #[test]
    fn a_cookie_names_its_backend_and_does_not_tell_its_address() {
        let tier = tier(&[1, 1]);
        let sticky = sticky("{}");
        let set = sticky.set(&tier[0], false);
        let name = value(&set);
        assert!(sticky.names(name.as_bytes(), &tier[0]) && !sticky.names(name.as_bytes(), &tier[1]));
        assert_eq!(name.len(), 16);
        assert!(!set.to_str().unwrap().contains("127"));
        assert!(
            !self::sticky("{}").names(name.as_bytes(), &tier[0]),
            "another start has another secret"
        );
    }

    #[test]
    fn proxies_with_one_secret_understand_each_other() {
        let tier = tier(&[1, 1]);
        let (one, other) = (sticky("secret: 0123456789abcdef"), sticky("secret: 0123456789abcdef"));
        assert!(other.names(value(&one.set(&tier[1], false)).as_bytes(), &tier[1]));
        assert!(serde_yaml::from_str::<StickyConfig>("secret: short").is_err());
    }

    #[test]
    fn a_reload_keeps_the_secret_it_had() {
        let tier = tier(&[1]);
        let before = sticky("{}");
        let after = Sticky::new(&StickyConfig::default(), Some(&before));
        assert!(after.names(value(&before.set(&tier[0], false)).as_bytes(), &tier[0]));
    }

    #[test]
    fn attributes_are_as_configured() {
        let tier = tier(&[1]);
        let attributes = |yaml, tls| {
            let set = sticky(yaml).set(&tier[0], tls);
            set.to_str().unwrap().split_once("; ").unwrap().1.to_owned()
        };
        assert_eq!(attributes("{}", false), "Path=/; SameSite=Lax; HttpOnly");
        assert_eq!(attributes("{}", true), "Path=/; SameSite=Lax; HttpOnly; Secure");
        assert_eq!(
            attributes(
                "{ http_only: false, same_site: none, secure: always, max_age: 1h }",
                false
            ),
            "Path=/; SameSite=None; Max-Age=3600; Secure"
        );
        assert_eq!(
            attributes("{ same_site: strict, secure: never }", true),
            "Path=/; SameSite=Strict; HttpOnly"
        );
    }

    #[test]
    fn refuses_names_that_would_spoil_the_header() {
        for name in ["\"\"", "\"a b\"", "\"a;b\"", "\"a=b\""] {
            assert!(
                serde_yaml::from_str::<StickyConfig>(&format!("cookie: {name}")).is_err(),
                "{name}"
            );
        }
    }
}
