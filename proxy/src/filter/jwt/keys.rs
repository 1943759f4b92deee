//! Keys of a JSON Web Key Set (RFC 7517), and what they have signed (RFC 7515).
//!
//! Which algorithm a key is for is the key's to say, never the token's (RFC 8725, section 3.1).

use std::iter;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The keys of a set that signatures may be by.
pub struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: Public,
}

enum Public {
    Secret(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point of a curve: uncompressed, or Ed25519's.
    Point(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// As a set writes it.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct WrittenKeys {
    keys: Vec<WrittenKey>,
}

#[derive(Deserialize)]
struct Head {
    alg: Algorithm,
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Vec<String>>,
}

impl Keys {
    /// Reads a set. Keys of kinds and for purposes that are not known here are passed over (RFC 7517, section 5).
    ///
    /// # Errors
    /// It is none, one of its keys is not what it says, or none is for signatures.
    pub fn read(text: &str) -> Result<Self, String> {
        let written: WrittenKeys =
            serde_json::from_str(text).map_err(|error| format!("is no JSON Web Key Set ({{\"keys\": […]}}): {error}"))?;
        let (mut keys, mut others) = (Vec::new(), Vec::new());
        for (written, number) in written.keys.iter().zip(1..) {
            match Kind::of(written) {
                Some(kind) => keys.push(Key::read(written, kind).map_err(|why| format!("key {number}: {why}"))?),
                None => others.push(format!("key {number} is {}", written.purpose())),
            }
        }
        match keys.is_empty() {
            true => Err(["has no key for signatures".to_owned()].into_iter().chain(others).collect::<Vec<_>>().join(", ")),
            false => Ok(Self(keys)),
        }
    }

    /// What a token says, if one of the keys has signed it.
    pub fn claims(&self, token: &str) -> Result<Map<String, Value>, &'static str> {
        let malformed = "token_malformed";
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (head, claims) = signed.split_once('.').ok_or(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed);
        let head: Head = serde_json::from_slice(&decode(head)?).map_err(|_| "token_algorithm")?;
        if head.crit.is_some() {
            return Err(malformed);
        }
        let signature = decode(signature)?;
        let is_fit = |key: &&Key| {
            let is_named = head.kid.is_none() || key.id.is_none() || head.kid == key.id;
            is_named && key.algorithms.contains(&head.alg)
        };
        let mut fit = self.0.iter().filter(is_fit);
        if !fit.any(|key| key.has_signed(head.alg, signed.as_bytes(), &signature)) {
            return Err("token_signature");
        }
        serde_json::from_slice(&decode(claims)?).map_err(|_| malformed)
    }
}

/// What a key can be for.
struct Kind {
    algorithms: Vec<Algorithm>,
    /// Bytes of a number of its curve, 0 where it has none.
    coordinate: usize,
}

impl Kind {
    /// None where it is not known here, or is for something else than signatures.
    fn of(written: &WrittenKey) -> Option<Self> {
        use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
        let (mut algorithms, coordinate) = match (written.kty.as_str(), written.crv.as_deref()) {
            ("oct", _) => (vec![HS256, HS384, HS512], 0),
            ("RSA", _) => (vec![RS256, RS384, RS512, PS256, PS384, PS512], 0),
            ("EC", Some("P-256")) => (vec![ES256], 32),
            ("EC", Some("P-384")) => (vec![ES384], 48),
            ("OKP", Some("Ed25519")) => (vec![EdDSA], 32),
            _ => return None,
        };
        if let Some(name) = &written.alg {
            let named: Option<Algorithm> = serde_json::from_value(Value::String(name.clone())).ok();
            algorithms.retain(|algorithm| Some(*algorithm) == named);
        }
        let is_for_signatures = written.r#use.as_deref().is_none_or(|usage| usage == "sig") && !algorithms.is_empty();
        is_for_signatures.then_some(Self { algorithms, coordinate })
    }
}

impl WrittenKey {
    /// `EC secp256k1`, `RSA for RSA-OAEP`
    fn purpose(&self) -> String {
        let curve = self.crv.iter().map(|curve| format!(" {curve}"));
        let algorithm = self.alg.iter().map(|algorithm| format!(" for {algorithm}"));
        iter::once(self.kty.clone()).chain(curve).chain(algorithm).collect()
    }
}

impl Key {
    fn read(written: &WrittenKey, kind: Kind) -> Result<Self, String> {
        let public = match written.kty.as_str() {
            "oct" => Public::Secret(secret(written)?),
            "RSA" => Public::Rsa {
                e: part("e", &written.e)?,
                n: modulus(written)?,
            },
            "EC" => Public::Point([vec![4], point(written, kind.coordinate)?].concat()),
            _ => Public::Point(number(written, kind.coordinate)?),
        };
        Ok(Self {
            id: written.kid.clone(),
            algorithms: kind.algorithms,
            public,
        })
    }

    fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Secret(secret) => {
                let hash = match algorithm {
                    Algorithm::HS256 => hmac::HMAC_SHA256,
                    Algorithm::HS384 => hmac::HMAC_SHA384,
                    Algorithm::HS512 => hmac::HMAC_SHA512,
                    _ => return false,
                };
                hmac::verify(&hmac::Key::new(hash, secret), message, signature).is_ok()
            }
            Public::Rsa { n, e } => {
                let scheme: &signature::RsaParameters = match algorithm {
                    Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(scheme, message, signature).is_ok()
            }
            Public::Point(point) => {
                let scheme: &dyn signature::VerificationAlgorithm = match algorithm {
                    Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
                    Algorithm::EdDSA => &signature::ED25519,
                    _ => return false,
                };
                UnparsedPublicKey::new(scheme, point).verify(message, signature).is_ok()
            }
        }
    }
}

fn part(name: &str, text: &Option<String>) -> Result<Vec<u8>, String> {
    let text = text.as_ref().ok_or_else(|| format!("{name:?} is missing"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name:?} is no base64url"))
}

fn secret(written: &WrittenKey) -> Result<Vec<u8>, String> {
    let secret = part("k", &written.k)?;
    match secret.len() < SHORTEST_SECRET {
        true => Err(format!("\"k\" is shorter than {SHORTEST_SECRET} bytes (RFC 7518, section 3.2)")),
        false => Ok(secret),
    }
}

fn modulus(written: &WrittenKey) -> Result<Vec<u8>, String> {
    let mut n = part("n", &written.n)?;
    // Some write the zero that keeps a number positive elsewhere.
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    n.drain(..zeros);
    let bits = 8 * n.len();
    match FEWEST_BITS > bits {
        true => Err(format!("\"n\" has {bits} bits, and at least {FEWEST_BITS} are needed (RFC 7518, section 3.3)")),
        false => Ok(n),
    }
}

fn point(written: &WrittenKey, coordinate: usize) -> Result<Vec<u8>, String> {
    let point = [part("x", &written.x)?, part("y", &written.y)?].concat();
    match point.len() == 2 * coordinate {
        true => Ok(point),
        false => Err(format!("\"x\" and \"y\" have {} bytes in the place of {}", point.len(), 2 * coordinate)),
    }
}

fn number(written: &WrittenKey, bytes: usize) -> Result<Vec<u8>, String> {
    let number = part("x", &written.x)?;
    match number.len() == bytes {
        true => Ok(number),
        false => Err(format!("\"x\" has {} bytes in the place of {bytes}", number.len())),
    }
}

/// Bytes.
const SHORTEST_SECRET: usize = 32;
/// Of an RSA key.
const FEWEST_BITS: usize = 2048;
