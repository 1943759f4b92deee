//! A name and a password, by a file of hashes. Nginx: `auth_basic` and `auth_basic_user_file`.
//!
//! bcrypt takes its time on purpose, so that it runs on threads of its own, few at a time; a password that was found good is
//! remembered as a keyed hash, and costs no more than that from then on.

mod des_crypt;
mod hash;
mod md5_crypt;

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
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
use crate::request::variables::Template;

/// `basic_auth: { realm: staff, file: htpasswd }`: names and hashes as `htpasswd -B` writes them: bcrypt, or else MD5
/// (`$apr1$`, `$1$`), `{SHA}`, `{SSHA}`, `{PLAIN}` or the DES of old (`crypt()`). The file is read again when it changes. Backends do not get the password,
/// unless told otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// What browsers show beside their question.
    #[serde(default = "restricted", deserialize_with = "realm")]
    realm: String,
    file: PathBuf,
    /// Where files are whose names depend on requests: `file: $host`. They are read anew each time, and 403 where there is none.
    folder: Option<PathBuf>,
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
            source: self.source()?,
            judge: Arc::new(Judge {
                challenge,
                forward: self.forward,
                good: Good::new(),
            }),
        }))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        match &mut self.folder {
            Some(folder) => vec![("folder", folder)],
            None => vec![("file", &mut self.file)],
        }
    }
}

impl BasicAuth {
    fn source(&self) -> Result<Source, FilterError> {
        let read = if self.tolerant { Users::read_what_can_be } else { Users::read };
        let Some(folder) = &self.folder else {
            return Ok(Source::File(Watched::open(&self.file, read)?));
        };
        let name = self.file.to_str().ok_or_else(|| FilterError("file: it is no text".to_owned()))?;
        Ok(Source::Folder {
            folder: folder.clone(),
            name: Template::parse(name).map_err(FilterError)?,
            read,
        })
    }
}

struct Guard {
    source: Source,
    judge: Arc<Judge>,
}

/// Where users are.
enum Source {
    File(Watched<Users>),
    Folder {
        folder: PathBuf,
        name: Template,
        read: fn(&str) -> Result<Users, String>,
    },
}

/// Whether a name leads to a file in its folder.
fn stays_within(name: &str) -> bool {
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

impl Filter for Guard {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let Some(who) = credentials(request) else {
            return self.judge.refusal();
        };
        let judge = Arc::clone(&self.judge);
        let (folder, name, read) = match &self.source {
            Source::File(users) => return judge.verdict(&users.get(), who),
            Source::Folder { folder, name, read } => (folder, name.bytes(request, ctx), *read),
        };
        let Some(name) = String::from_utf8(name).ok().filter(|name| stays_within(name)) else {
            return Verdict::Refuse(NO_USERS);
        };
        let file = folder.join(name);
        Verdict::Later(Box::pin(async move {
            match spawn_blocking(move || read(&fs::read_to_string(file).ok()?).ok()).await {
                Ok(Some(users)) => judge.verdict(&users, who),
                _ => Verdict::Refuse(NO_USERS),
            }
        }))
    }
}

struct Judge {
    challenge: HeaderValue,
    forward: bool,
    good: Good,
}

impl Judge {
    fn refusal(&self) -> Verdict {
        Verdict::Challenge(UNAUTHORIZED, self.challenge.clone())
    }

    fn verdict(self: Arc<Self>, users: &Users, (name, password): (String, String)) -> Verdict {
        let amend = let_in(&name, self.forward);
        // Whoever is unknown is looked at for as long as anybody else.
        let hash = users.of(&name).cloned().unwrap_or_else(|| Hash::Bcrypt(NOBODY.into()));
        if self.good.knows(&name, &password, &hash) || hash.is_quick() && hash.is_of(&password) {
            return amend;
        }
        if hash.is_quick() {
            return self.refusal();
        }
        Verdict::Later(Box::pin(async move {
            match self.good.learn(name, password, hash).await {
                Some(true) => amend,
                Some(false) => self.refusal(),
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

const NO_USERS: Problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", "nobody may come in here");

/// A hash of no password that anybody would say, of the cost that `htpasswd -B` and others use.
const NOBODY: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

/// RFC 7617. A name has no colon, a password may. Of two fields, who comes after might take the other one.
fn credentials(request: &RequestHeader) -> Option<(String, String)> {
    let mut fields = request.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let value = value.to_str().ok()?;
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
            Settled::Refuse(problem, besides) => {
                let (_, challenge) = besides.field.unwrap();
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

    #[tokio::test]
    async fn a_file_may_depend_on_the_request() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/a"), "ada:{PLAIN}a").unwrap();
        fs::write(folder.path().join("b"), "ada:{PLAIN}b").unwrap();
        let guard = built::<BasicAuth>(&format!("{{ folder: {}/in, file: $query_f }}", folder.path().display()));
        for (query, password, status) in [
            ("?f=a", "a", 200),
            ("?f=a", "b", 401),
            ("?f=../b", "b", 403),
            ("?f=../in/a", "a", 403),
            ("?f=x/../a", "a", 403),
            ("?f=/etc/passwd", "a", 403),
            ("?f=b", "b", 403),
            ("?f=.", "a", 403),
            ("?f=", "a", 403),
            ("", "a", 403),
        ] {
            let value = format!("Basic {}", STANDARD.encode(format!("ada:{password}")));
            let mut request = request("GET", &format!("/{query}"), &[("authorization", &value)]);
            let said = match guard.on_request(&mut request, &mut ctx("192.0.2.1")).settled().await {
                Settled::Amend(_) => 200,
                Settled::Refuse(problem, _) => problem.status.as_u16(),
                _ => 0,
            };
            assert_eq!(said, status, "{query} {password}");
        }
    }
}
