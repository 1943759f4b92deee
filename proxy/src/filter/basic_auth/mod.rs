//! A name and a password, by a file of hashes. Nginx: `auth_basic` and `auth_basic_user_file`.
//!
//! bcrypt takes its time on purpose, so that it runs on threads of its own, few at a time; a password that was found good is
//! remembered as a keyed hash, and costs no more than that from then on.

mod hash;
mod md5_crypt;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use ring::rand::SystemRandom;
use ring::hmac;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::hash::{Hash, Users};
use super::watched::Watched;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::{self, Problem};

/// `basic_auth: { realm: staff, file: htpasswd }`: names and hashes as `htpasswd -B` writes them: bcrypt, or else MD5
/// (`$apr1$`, `$1$`), `{SHA}`, `{SSHA}` or `{PLAIN}`. The file is read again when it changes. Backends do not get the password,
/// unless told otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// What browsers show beside their question.
    #[serde(default = "restricted", deserialize_with = "realm")]
    realm: String,
    file: PathBuf,
    /// Lets `Authorization` go on to backends.
    #[serde(default)]
    forward: bool,
    /// Lines that cannot be used keep their users out, and are told of in the log; otherwise they are mistakes.
    #[serde(default)]
    tolerant: bool,
}

fn restricted() -> String {
    "restricted".to_owned()
}

fn realm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    match is_plain {
        true => Ok(text),
        false => Err(de::Error::custom(format!(
            "{text:?} cannot be a realm; write letters, digits, spaces and signs other than \" and \\"
        ))),
    }
}

impl Settings for BasicAuth {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm);
        let challenge = HeaderValue::try_from(challenge).map_err(|error| FilterError(error.to_string()))?;
        Ok(Arc::new(Guard {
            challenge,
            forward: self.forward,
            users: Watched::open(&self.file, if self.tolerant { Users::read_what_can_be } else { Users::read })?,
            good: Arc::new(Good::new()),
        }))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        vec![("file", &mut self.file)]
    }
}

struct Guard {
    challenge: HeaderValue,
    forward: bool,
    users: Watched<Users>,
    good: Arc<Good>,
}

impl Filter for Guard {
    fn on_request(&self, request: &mut RequestHeader, _: &mut RequestCtx) -> Verdict {
        let challenge = self.challenge.clone();
        let Some((name, password)) = credentials(request) else {
            return Verdict::Challenge(UNAUTHORIZED, challenge);
        };
        let (users, good) = (self.users.get(), Arc::clone(&self.good));
        let amend = let_in(&name, self.forward);
        // Whoever is unknown is looked at for as long as anybody else.
        let hash = users.of(&name).cloned().unwrap_or_else(|| Hash::Bcrypt(NOBODY.into()));
        if good.knows(&name, &password, &hash) {
            return amend;
        }
        if hash.is_quick() {
            return match hash.is_of(&password) {
                true => amend,
                false => Verdict::Challenge(UNAUTHORIZED, challenge),
            };
        }
        Verdict::Later(Box::pin(async move {
            match good.learn(name, password, hash).await {
                Some(true) => amend,
                Some(false) => Verdict::Challenge(UNAUTHORIZED, challenge),
                None => Verdict::Refuse(problem::INTERNAL),
            }
        }))
    }
}

fn let_in(name: &str, forward: bool) -> Verdict {
    let name: Box<str> = name.into();
    Verdict::Amend(Box::new(move |request, ctx| {
        ctx.notes.user = Some(name);
        if !forward {
            request.remove_header(&header::AUTHORIZATION);
        }
    }))
}

const UNAUTHORIZED: Problem = Problem::new(
    StatusCode::UNAUTHORIZED,
    "unauthorized",
    "this is served to those who say who they are",
);

/// A hash of no password that anybody would say, of the cost that `htpasswd -B` and others use.
const NOBODY: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

/// RFC 7617. A name has no colon, a password may.
fn credentials(request: &RequestHeader) -> Option<(String, String)> {
    let value = request.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    (password.len() <= LONGEST_PASSWORD).then(|| (name.to_owned(), password.to_owned()))
}

/// Bytes.
const LONGEST_PASSWORD: usize = 1024;

/// Passwords that were found good.
struct Good {
    /// Of this process alone.
    key: hmac::Key,
    /// By name: a keyed hash of the last password that was right, and of the hash that it was right for.
    known: Mutex<HashMap<String, hmac::Tag>>,
}

impl Good {
    fn new() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .expect("the system has randomness to give"),
            known: Mutex::default(),
        }
    }

    fn knows(&self, name: &str, password: &str, hash: &Hash) -> bool {
        let known = self.known.lock().get(name).copied();
        known.is_some_and(|known| {
            hmac::verify(&self.key, &said(password, hash), known.as_ref()).is_ok()
        })
    }

    /// Whether the password is right. None where nobody can tell.
    async fn learn(&self, name: String, password: String, hash: Hash) -> Option<bool> {
        static THREADS: OnceLock<Semaphore> = OnceLock::new();
        let threads = THREADS.get_or_init(|| Semaphore::new(available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))));
        let _one = threads.acquire().await.ok()?;
        let tag = hmac::sign(&self.key, &said(&password, &hash));
        let is_right = spawn_blocking(move || hash.is_of(&password)).await.ok()?;
        if is_right {
            self.known.lock().insert(name, tag);
        }
        Some(is_right)
    }
}

fn said(password: &str, hash: &Hash) -> Vec<u8> {
    [password.as_bytes(), b"\0", hash.text().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Settled;
    use super::*;
    use crate::filter::testing::{built, ctx, request};

    // "secret", by htpasswd -nbB -C 4 and -nbs.
    const FILE: &str = "# staff\n\nada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nbob:$2y$04$HASH\n";

    async fn user(guard: &Arc<dyn Filter>, said: &str) -> Option<String> {
        let value = format!("Basic {}", STANDARD.encode(said));
        let (mut request, mut ctx) = (request("GET", "/", &[("authorization", &value)]), ctx("192.0.2.1"));
        match guard.on_request(&mut request, &mut ctx).settled().await {
            Settled::Amend(amend) => amend(&mut request, &mut ctx),
            Settled::Refuse(problem, Some(challenge)) => {
                assert_eq!((problem.status.as_u16(), challenge.to_str().unwrap().starts_with("Basic realm=\"staff\"")), (401, true));
            }
            _ => panic!("neither in nor out"),
        }
        assert_eq!(request.headers.contains_key("authorization"), ctx.notes.user.is_none());
        ctx.notes.user.map(Into::into)
    }

    #[tokio::test]
    async fn lets_in_who_knows_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("htpasswd");
        let hash = bcrypt::hash("secret", 4).unwrap();
        std::fs::write(&file, FILE.replace("$2y$04$HASH", &hash)).unwrap();
        let guard = built::<BasicAuth>(&format!("{{ realm: staff, file: {} }}", file.display()));
        for (said, name) in [
            ("ada:secret", Some("ada")),
            ("bob:secret", Some("bob")),
            ("bob:secret", Some("bob")),
            ("bob:Secret", None),
            ("bob:", None),
            ("ada:secret ", None),
            ("eve:secret", None),
            ("ada", None),
        ] {
            assert_eq!(user(&guard, said).await.as_deref(), name, "{said}");
        }
    }
}
