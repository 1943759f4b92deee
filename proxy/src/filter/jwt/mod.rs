//! JSON Web Tokens that clients show (RFC 7519), signed by one of the keys of a file (RFC 7517).

mod keys;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::keys::Keys;
use super::headers::ChangedName;
use super::watched::Watched;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::request::syntax::cookie;
use crate::yaml::units;

/// `jwt: { keys: jwks.json, audience: [api], issuer: https://login.example.com }`. The token comes as `Authorization: Bearer`,
/// in another field or in a cookie; its claims go to templates: `$claim_sub`. The file of keys is read again when it changes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// A JSON Web Key Set: HS256 to HS512, RS256 to RS512, PS256 to PS512, ES256, ES384 and EdDSA (Ed25519).
    keys: PathBuf,
    /// It has to be for one of these.
    #[serde(default)]
    audience: Vec<String>,
    /// It has to be by this one.
    issuer: Option<String>,
    /// By how much clocks may differ.
    #[serde(default = "a_minute")]
    leeway: units::Duration,
    /// The field that holds the token, with or without `Bearer`, in the place of `Authorization`.
    header: Option<ChangedName>,
    /// The cookie that may hold it too.
    cookie: Option<String>,
    /// A token without an end (`exp`) is taken too.
    #[serde(default)]
    allow_endless: bool,
}

fn a_minute() -> units::Duration {
    units::Duration::from_secs(60)
}

impl Settings for Jwt {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(Guard {
            settings: self.clone(),
            keys: Watched::open(&self.keys, Keys::read)?,
        }))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        vec![("keys", &mut self.keys)]
    }
}

struct Guard {
    settings: Jwt,
    keys: Watched<Keys>,
}

impl Filter for Guard {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let Some(token) = self.settings.shown(request) else {
            return Verdict::Challenge(refusal("token_missing"), HeaderValue::from_static("Bearer"));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = token.and_then(|token| self.keys.get().claims(token));
        match claims.and_then(|claims| self.settings.hold(claims, now)) {
            Ok(claims) => {
                ctx.notes.claims = Some(Arc::new(claims));
                Verdict::Continue
            }
            Err(reason) => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                Verdict::Challenge(refusal(reason), challenge)
            }
        }
    }
}

fn refusal(reason: &'static str) -> Problem {
    Problem {
        reason: Some(reason),
        ..Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this is served to those who show a token that holds",
        )
    }
}

impl Jwt {
    /// The token, or why it cannot be told which one is meant: who comes after might take the other one.
    fn shown<'a>(&self, request: &'a RequestHeader) -> Option<Result<&'a str, &'static str>> {
        let name = self.header.as_ref().map_or(&header::AUTHORIZATION, |ChangedName(name)| name);
        let fields = request.headers.get_all(name);
        if fields.iter().nth(1).is_some() {
            return Some(Err("token_twice"));
        }
        let whole = |value: &'a HeaderValue| self.header.as_ref().map(|_| value.as_bytes());
        let field = fields.iter().next().and_then(|value| bare(value).or_else(|| whole(value)));
        let token = field.or_else(|| cookie(request, self.cookie.as_ref()?))?;
        let token = std::str::from_utf8(token).ok().filter(|token| !token.is_empty() && token.len() <= LONGEST)?;
        Some(Ok(token))
    }

    /// Whether what a token says holds here and now.
    fn hold(&self, claims: Map<String, Value>, now: Duration) -> Result<Map<String, Value>, &'static str> {
        let (now, leeway) = (now.as_secs_f64(), self.leeway.get().as_secs_f64());
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or("token_malformed"),
        };
        match time("exp")? {
            Some(end) if now >= end + leeway => return Err("token_expired"),
            None if !self.allow_endless => return Err("token_endless"),
            _ => {}
        }
        if time("nbf")?.is_some_and(|start| now + leeway < start) {
            return Err("token_early");
        }
        let text = |value: &Value, wanted: &String| value.as_str() == Some(wanted);
        let is_for = |wanted: &String| match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|value| text(value, wanted)),
            Some(value) => text(value, wanted),
            None => false,
        };
        if !self.audience.is_empty() && !self.audience.iter().any(is_for) {
            return Err("token_for_others");
        }
        let is_by = |wanted: &String| claims.get("iss").is_some_and(|value| text(value, wanted));
        if !self.issuer.as_ref().is_none_or(is_by) {
            return Err("token_by_others");
        }
        Ok(claims)
    }
}

fn bare(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

const BEARER: &[u8] = b"Bearer ";
/// Bytes.
const LONGEST: usize = 16 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::hmac;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;
    use crate::filter::testing::{built, ctx, request};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn encoded(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn token(head: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let signed = format!("{}.{}", encoded(head.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = encoded(&sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn by_secret(message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message).as_ref().to_vec()
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn said(yaml: &str, keys: &Value, token: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, keys.to_string()).unwrap();
        let guard = built::<Jwt>(&format!("{{ keys: {}, {yaml} }}", file.display()));
        let (mut request, mut ctx) =
            (request("GET", "/", &[("authorization", &format!("Bearer {token}"))]), ctx("192.0.2.1"));
        match guard.on_request(&mut request, &mut ctx) {
            Verdict::Continue => ctx.notes.claim("sub").unwrap_or_default(),
            Verdict::Challenge(problem, _) => problem.reason.unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn secrets() -> Value {
        json!({ "keys": [{ "kty": "oct", "k": encoded(SECRET), "kid": "one", "alg": "HS256" }] })
    }

    #[test]
    fn takes_what_a_key_has_signed_and_nothing_else() {
        let claims = json!({ "sub": "ada", "exp": now() + 60 });
        let good = token(&json!({ "alg": "HS256", "kid": "one" }), &claims, by_secret);
        assert_eq!(said("", &secrets(), &good), "ada");
        let (signed, _) = good.rsplit_once('.').unwrap();
        for (token, reason) in [
            (format!("{signed}."), "token_signature"),
            (format!("{signed}.{}", encoded(b"x")), "token_signature"),
            (token(&json!({ "alg": "none" }), &claims, |_| Vec::new()), "token_algorithm"),
            (token(&json!({ "alg": "HS512" }), &claims, by_secret), "token_signature"),
            (token(&json!({ "alg": "HS256", "kid": "other" }), &claims, by_secret), "token_signature"),
            (token(&json!({ "alg": "HS256", "crit": ["b64"] }), &claims, by_secret), "token_malformed"),
            ("a.b".to_owned(), "token_malformed"),
            ("...".to_owned(), "token_algorithm"),
        ] {
            assert_eq!(said("", &secrets(), &token), reason, "{token}");
        }
    }

    #[test]
    fn claims_have_to_hold() {
        let with = |claims: Value| token(&json!({ "alg": "HS256" }), &claims, by_secret);
        for (claims, reason) in [
            (json!({ "sub": "a", "exp": now() - 61 }), "token_expired"),
            (json!({ "sub": "a", "exp": now() - 30 }), "token_for_others"),
            (json!({ "sub": "a" }), "token_endless"),
            (json!({ "sub": "a", "exp": "soon" }), "token_malformed"),
            (json!({ "sub": "a", "exp": now() + 9, "nbf": now() + 99 }), "token_early"),
            (json!({ "sub": "a", "exp": now() + 9, "aud": ["other", "api"] }), "token_by_others"),
            (json!({ "sub": "a", "exp": now() + 9, "aud": "api", "iss": "us" }), "a"),
        ] {
            assert_eq!(said("audience: [api], issuer: us", &secrets(), &with(claims.clone())), reason, "{claims}");
        }
    }

    #[test]
    fn knows_curves() {
        let random = SystemRandom::new();
        let claims = json!({ "sub": "ada", "exp": now() + 60 });
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let key = json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) });
        let es256 = token(&json!({ "alg": "ES256" }), &claims, |message| {
            pair.sign(&random, message).unwrap().as_ref().to_vec()
        });
        assert_eq!(said("", &json!({ "keys": [key] }), &es256), "ada");

        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) });
        let eddsa = token(&json!({ "alg": "EdDSA" }), &claims, |message| pair.sign(message).as_ref().to_vec());
        assert_eq!(said("", &json!({ "keys": [key] }), &eddsa), "ada");
        assert_eq!(said("", &secrets(), &eddsa), "token_signature");
        // A public key is no secret that an HMAC could be by.
        let forged = token(&json!({ "alg": "HS256" }), &claims, |message| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pair.public_key().as_ref()), message).as_ref().to_vec()
        });
        assert_eq!(said("", &json!({ "keys": [key] }), &forged), "token_signature");
    }

    #[test]
    fn tells_of_keys_that_it_cannot_use() {
        for (keys, part) in [
            ("{}", "no JSON Web Key Set"),
            (r#"{"keys":[]}"#, "no key for signatures"),
            (r#"{"keys":[{"kty":"oct","k":"YQ"}]}"#, "key 1: \"k\" is shorter"),
            (r#"{"keys":[{"kty":"RSA","n":"YQ"}]}"#, "\"e\" is missing"),
            (r#"{"keys":[{"kty":"RSA","n":"YQ","e":"AQAB"}]}"#, "key 1: \"n\" has 8 bits"),
            (r#"{"keys":[{"kty":"RSA","n":"YQ","e":"AQAB","alg":"RSA-OAEP"}]}"#, "key 1 is RSA for RSA-OAEP"),
            (r#"{"keys":[{"kty":"oct","k":"YQ","alg":"A128KW"},{"kty":"x"}]}"#, "key 1 is oct for A128KW, key 2 is x"),
            (r#"{"keys":[{"kty":"EC","crv":"secp256k1","x":"YQ","y":"YQ"}]}"#, "key 1 is EC secp256k1"),
            (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"YQ","y":"YQ"}]}"#, "\"x\" and \"y\" have 2 bytes in the place of 64"),
            (r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"YQ"}]}"#, "\"x\" has 1 bytes in the place of 32"),
            (r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"YQ=="}]}"#, "no base64url"),
        ] {
            let error = Keys::read(keys).err().unwrap();
            assert!(error.contains(part), "{keys}: {error}");
        }
    }
}
