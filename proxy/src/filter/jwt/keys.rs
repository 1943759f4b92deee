//! Keys of a JSON Web Key Set (RFC 7517), and what they have signed (RFC 7515).
//!
//! Which algorithm a key is for is the key's to say, never the token's (RFC 8725, section 3.1).

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
    pub fn read(text: &str) -> Result<Self, String> {
        let written: WrittenKeys =
            serde_json::from_str(text).map_err(|error| format!("is no JSON Web Key Set ({{\"keys\": […]}}): {error}"))?;
        let for_signatures = written.keys.iter().filter(|key| key.r#use.as_deref().is_none_or(|usage| usage == "sig"));
        let keys: Vec<Key> = for_signatures
            .enumerate()
            .map(|(number, key)| Key::read(key).map_err(|why| format!("key {}: {why}", number + 1)))
            .collect::<Result<_, _>>()?;
        match keys.is_empty() {
            true => Err("has no key for signatures".to_owned()),
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

impl Key {
    fn read(written: &WrittenKey) -> Result<Self, String> {
        use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
        let part = |name: &str, text: &Option<String>| {
            let text = text.as_ref().ok_or_else(|| format!("{:?} is missing", name))?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name:?} is no base64url"))
        };
        let (fit, public) = match (written.kty.as_str(), written.crv.as_deref()) {
            ("oct", _) => {
                let secret = part("k", &written.k)?;
                if secret.len() < SHORTEST_SECRET {
                    return Err(format!("\"k\" is shorter than {SHORTEST_SECRET} bytes (RFC 7518, section 3.2)"));
                }
                (vec![HS256, HS384, HS512], Public::Secret(secret))
            }
            ("RSA", _) => {
                let (n, e) = (part("n", &written.n)?, part("e", &written.e)?);
                (vec![RS256, RS384, RS512, PS256, PS384, PS512], Public::Rsa { n, e })
            }
            ("EC", Some("P-256")) => (vec![ES256], Self::point(part("x", &written.x)?, part("y", &written.y)?)),
            ("EC", Some("P-384")) => (vec![ES384], Self::point(part("x", &written.x)?, part("y", &written.y)?)),
            ("OKP", Some("Ed25519")) => (vec![EdDSA], Public::Point(part("x", &written.x)?)),
            (kind, curve) => return Err(format!("{kind} {} is not known here", curve.unwrap_or_default())),
        };
        let algorithms = match &written.alg {
            None => fit,
            Some(name) => {
                let named = serde_json::from_value::<Algorithm>(Value::String(name.clone())).ok();
                let named = named.filter(|named| fit.contains(named));
                vec![named.ok_or_else(|| format!("{name:?} is no algorithm for such a key"))?]
            }
        };
        Ok(Self {
            id: written.kid.clone(),
            algorithms,
            public,
        })
    }

    fn point(x: Vec<u8>, y: Vec<u8>) -> Public {
        Public::Point([vec![4], x, y].concat())
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

/// Bytes.
const SHORTEST_SECRET: usize = 32;
