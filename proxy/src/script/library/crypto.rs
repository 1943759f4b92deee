//! Digests and what goes with them; the time, for what runs out.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rhai::Engine;
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::outcome::{Outcome, failure};
use crate::request::text::hexadecimal;
use crate::script::bounds::heavy;

pub fn register(engine: &mut Engine) {
    engine
        .register_fn("sha256", |text: &str| {
            heavy();
            hexadecimal(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
        })
        .register_fn("hmac_sha256", |key: &str, text: &str| {
            hexadecimal(signature(key, text).as_ref())
        })
        .register_fn("hmac_sha256_base64", |key: &str, text: &str| {
            URL_SAFE_NO_PAD.encode(signature(key, text))
        })
        .register_fn("base64_encode", |text: &str| STANDARD.encode(text))
        .register_fn("base64_decode", base64_decode)
        .register_fn("same", |one: &str, other: &str| {
            bool::from(one.as_bytes().ct_eq(other.as_bytes()))
        })
        .register_fn("bucket", bucket)
        .register_fn("now", || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs() as i64)
        });
}

fn signature(key: &str, text: &str) -> hmac::Tag {
    heavy();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text.as_bytes())
}

fn base64_decode(text: &str) -> Outcome<String> {
    let alphabet = |text: &str| STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
    let bytes = alphabet(text).map_err(|_| failure("is not Base64"))?;
    String::from_utf8(bytes).map_err(|_| failure("is not text in Base64"))
}

/// The same number from 0 to 99 for the same text, on every host and after every start.
pub fn bucket(text: &str) -> i64 {
    heavy();
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let number = hash
        .as_ref()
        .iter()
        .take(4)
        .fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    number % 100
}
