//! By what a request is known again, and what its answer is sealed with. Both come of a secret and of the request itself: the
//! store sees a name that tells nothing, and a proxy can open only what it is sent the request for.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderName, header};
use pingora::http::RequestHeader;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::form::{Boundary, Splitter};
use crate::body::Whole;
use crate::request::RequestCtx;
use crate::request::text::hexadecimal;

pub struct Secret(hmac::Key);

/// A request without its body.
pub struct Digest(hmac::Context);

/// What one request is known by.
pub struct Key {
    name: String,
    cipher: LessSafeKey,
}

impl Secret {
    /// What a file holds, which all proxies share that share a store; of this process alone without one.
    ///
    /// # Errors
    /// The file cannot be read, or is too short to hold a key.
    pub fn read(file: Option<&Path>) -> Result<Self, String> {
        let Some(file) = file else {
            let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
            return key
                .map(Self)
                .map_err(|_| "the system has no randomness to give".to_owned());
        };
        let secret = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if secret.len() < SHORTEST {
            let (file, length) = (file.display(), secret.len());
            return Err(format!("{file} holds {length} bytes; a key has at least {SHORTEST}"));
        }
        Ok(Self::of(&secret))
    }

    pub fn of(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Of a request's head as a backend gets it.
    pub fn digest(&self, scope: &[&[u8]], head: &RequestHeader, ctx: &RequestCtx) -> Digest {
        let mut digest = Digest(hmac::Context::with_key(&self.0));
        // Another version of Veil may make other requests of the same.
        digest.add(env!("CARGO_PKG_VERSION").as_bytes());
        scope.iter().for_each(|part| digest.add(part));
        digest.add_whom(ctx);
        digest.add_head(head);
        digest
    }
}

impl Digest {
    /// With its length before it, so that no two ways to part the same bytes are one.
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn add_whom(&mut self, ctx: &RequestCtx) {
        let notes = &ctx.notes;
        let certificate = notes.tls.as_ref().and_then(|tls| tls.client.as_ref());
        let claims = notes.claims.as_deref();
        let claims = claims.and_then(|claims| serde_json::to_string(claims).ok());
        for part in [
            notes.route.as_deref(),
            notes.pool.as_deref(),
            notes.user.as_deref(),
            notes.api_key.as_deref(),
            certificate.map(|certificate| &*certificate.fingerprint),
            claims.as_deref(),
        ] {
            self.add(part.unwrap_or_default().as_bytes());
        }
    }

    fn add_head(&mut self, head: &RequestHeader) {
        self.add(head.method.as_str().as_bytes());
        self.add(head.raw_path());
        let is_form = boundary(head).is_some();
        self.add(if is_form { b"form" } else { b"body" });
        let mut fields: Vec<_> = head
            .headers
            .iter()
            .filter(|(name, _)| !tells_of_the_way(name))
            .collect();
        // Lines of one name stay in their order.
        fields.sort_by_key(|(name, _)| name.as_str());
        self.0.update(&(fields.len() as u64).to_be_bytes());
        for (name, value) in fields {
            self.add(name.as_str().as_bytes());
            let is_drawn = is_form && name == header::CONTENT_TYPE;
            self.add(if is_drawn { b"" } else { value.as_bytes() });
        }
    }

    /// With the body, a piece at a time. None where that cannot be read, or is a form whose parts are not told apart for sure.
    pub async fn with(mut self, body: &Whole, head: &RequestHeader) -> Option<Key> {
        let boundary = boundary(head);
        let mut splitter = boundary.as_ref().map(Splitter::new);
        for piece in body.pieces() {
            let piece = piece.ok()?;
            match &mut splitter {
                Some(splitter) => splitter.take(&piece, |bytes| self.0.update(bytes))?,
                None => self.0.update(&piece),
            }
            tokio::task::yield_now().await;
        }
        if let Some(splitter) = splitter {
            let lengths = splitter.end(|bytes| self.0.update(bytes))?;
            lengths.iter().for_each(|length| self.0.update(&length.to_be_bytes()));
            self.0.update(&(lengths.len() as u64).to_be_bytes());
        }
        Some(self.done())
    }

    /// Of a request without a body.
    pub fn done(self) -> Key {
        Key::of(self.0.sign().as_ref())
    }
}

/// Of a form, if it is one to everybody who reads its head.
fn boundary(head: &RequestHeader) -> Option<Boundary> {
    let mut types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let boundary = Boundary::of(types.next()?)?;
    types.next().is_none().then_some(boundary)
}

impl Key {
    fn of(digest: &[u8]) -> Self {
        let digest = hmac::Key::new(hmac::HMAC_SHA256, digest);
        let secret = hmac::sign(&digest, b"what an answer is sealed with");
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, secret.as_ref()).map(LessSafeKey::new);
        let name = hmac::sign(&digest, b"what an answer is called");
        Self {
            name: hexadecimal(name.as_ref()),
            cipher: cipher.expect("a tag of SHA-256 is as long as a key"),
        }
    }

    /// 64 hexadecimal digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text, sealed together with the name; then the tag, and the nonce.
    pub fn seal(&self, mut text: Vec<u8>) -> Option<Bytes> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let name = Aad::from(self.name.as_bytes());
        let once = Nonce::assume_unique_for_key(nonce);
        self.cipher.seal_in_place_append_tag(once, name, &mut text).ok()?;
        text.extend_from_slice(&nonce);
        Some(text.into())
    }

    /// None for what was not sealed for this request.
    pub fn open(&self, mut sealed: Vec<u8>) -> Option<Bytes> {
        let (_, nonce) = sealed.split_last_chunk()?;
        let once = Nonce::assume_unique_for_key(*nonce);
        sealed.truncate(sealed.len() - NONCE_LEN);
        let name = Aad::from(self.name.as_bytes());
        let length = self.cipher.open_in_place(once, name, &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed.into())
    }
}

/// Whether a field differs between clients though they want the same.
pub fn tells_of_the_way(name: &HeaderName) -> bool {
    const ITS: [HeaderName; 4] = [header::CONTENT_LENGTH, header::DATE, header::USER_AGENT, header::VIA];
    const OTHERS: [&str; 6] = [
        "traceparent",
        "tracestate",
        "x-forwarded-for",
        "x-real-ip",
        "x-request-id",
        "veil-deadline-ms",
    ];
    ITS.contains(name) || OTHERS.contains(&name.as_str())
}

/// Bytes that sealing adds to a text.
pub const SEAL: usize = 16 + NONCE_LEN;
const SHORTEST: usize = 32;
