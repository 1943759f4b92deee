//! Users, and the hashes of their passwords.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use subtle::ConstantTimeEq;

use super::des_crypt::des_crypt;
use super::md5_crypt::md5_crypt;

/// Who may come in, and with which password.
pub(super) struct Users(HashMap<String, Hash>);

/// A password's hash as its file has it. Its kinds are those of Nginx, but for what `crypt()` of the system would add.
#[derive(Clone)]
pub(super) enum Hash {
    Bcrypt(Box<str>),
    /// Two letters of salt, and eleven more.
    Des(Box<str>),
    /// `$1$SALT$…` or `$apr1$SALT$…`
    Md5(Box<str>),
    Plain(Box<str>),
    Sha1 { sum: [u8; 20], salt: Box<[u8]>, text: Box<str> },
}

impl Users {
    pub fn read(text: &str) -> Result<Self, String> {
        let mut users = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |why: String| format!("line {number}: {why}");
            let Some((name, hash)) = user(line).map_err(wrong)? else {
                continue;
            };
            if users.insert(name.to_owned(), hash).is_some() {
                return Err(wrong(format!("{name:?} is there twice")));
            }
        }
        Ok(Self(users))
    }

    /// As Nginx reads it: the first of a name is meant, and who cannot be understood does not come in.
    pub fn read_what_can_be(text: &str) -> Result<Self, String> {
        let mut users = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            match user(line) {
                Ok(Some((name, hash))) => drop(users.entry(name.to_owned()).or_insert(hash)),
                Ok(None) => {}
                Err(why) => tracing::warn!("a file of users, line {number}: {why}; whoever is meant stays out"),
            }
        }
        Ok(Self(users))
    }

    pub fn of(&self, name: &str) -> Option<&Hash> {
        self.0.get(name)
    }
}

/// The user of a line; none where it is empty or a comment.
fn user(line: &str) -> Result<Option<(&str, Hash)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, hash) = line.split_once(':').ok_or("write NAME:HASH, as htpasswd -B does")?;
    let hash = Hash::read(hash).map_err(|why| format!("{name:?} {why}"))?;
    Ok(Some((name, hash)))
}

impl Hash {
    fn read(text: &str) -> Result<Self, String> {
        // A comment may follow, which Nginx passes over too.
        let text = text.split(':').next().unwrap_or_default();
        if let Some(password) = text.strip_prefix("{PLAIN}") {
            return Ok(Self::Plain(password.into()));
        }
        for (kind, is_salted) in [("{SHA}", false), ("{SSHA}", true)] {
            if let Some(encoded) = text.strip_prefix(kind) {
                return Self::sha1(text, encoded, is_salted).ok_or_else(|| "has no SHA-1 in base64".to_owned());
            }
        }
        if text.starts_with("$apr1$") || text.starts_with("$1$") {
            return match md5_crypt("", text) {
                Some(_) => Ok(Self::Md5(text.into())),
                None => Err("has no MD5 behind a salt".to_owned()),
            };
        }
        if des_crypt("", text).is_some() {
            return Ok(Self::Des(text.into()));
        }
        let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        match text.parse::<bcrypt::HashParts>() {
            Ok(_) if is_bcrypt => Ok(Self::Bcrypt(text.into())),
            _ => Err("has a hash of another kind; write it anew with htpasswd -B (bcrypt)".to_owned()),
        }
    }

    fn sha1(text: &str, encoded: &str, is_salted: bool) -> Option<Self> {
        let decoded = STANDARD.decode(encoded).ok()?;
        let (sum, salt) = decoded.split_first_chunk()?;
        (salt.is_empty() != is_salted).then(|| Self::Sha1 {
            sum: *sum,
            salt: salt.into(),
            text: text.into(),
        })
    }

    /// Whether it takes no time to find out what it is of.
    pub fn is_quick(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Sha1 { .. })
    }

    pub fn is_of(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Des(hash) => is_made(des_crypt(password, hash), hash),
            Self::Md5(hash) => is_made(md5_crypt(password, hash), hash),
            Self::Plain(plain) => password.as_bytes().ct_eq(plain.as_bytes()).into(),
            Self::Sha1 { sum, salt, .. } => {
                let salted = [password.as_bytes(), salt].concat();
                digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &salted).as_ref().ct_eq(sum).into()
            }
        }
    }

    /// As its file has it.
    pub fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Des(text) | Self::Md5(text) | Self::Plain(text) | Self::Sha1 { text, .. } => text,
        }
    }
}

fn is_made(made: Option<String>, hash: &str) -> bool {
    made.is_some_and(|made| made.as_bytes().ct_eq(hash.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_kind_is_of_its_password_alone() {
        for hash in [
            // By openssl passwd -apr1 and -1, with salts shorter than theirs too.
            "$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.",
            "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
            "$1$abcdefgh$G//4keteveJp0qb8z2DxG/",
            "{PLAIN}password",
            "{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        ] {
            let hash = Hash::read(hash).unwrap();
            assert!(hash.is_of("password"), "{}", hash.text());
            for wrong in ["", "Password", "password ", "passwor", "passwordpassword"] {
                assert!(!hash.is_of(wrong), "{} {wrong}", hash.text());
            }
        }
    }

    #[test]
    fn des_is_that_of_the_systems() {
        // By crypt() of glibc.
        for (password, hash) in [
            ("password", "sa3tHJ3/KuYvI"),
            ("", "abmF1QH4PEr.E"),
            ("x", "./7H4fGCYxIHQ"),
            ("longer than eight", "zZb64kacvY9KA"),
            ("secret", "9AQXQ31yFb2qo"),
            ("\u{e4}\u{f6}", "QetjryL1r1hlY"),
        ] {
            assert!(Hash::read(hash).unwrap().is_of(password), "{password}");
            assert!(!Hash::read(hash).unwrap().is_of("other"), "{password}");
        }
        assert!(Hash::read("zZb64kacvY9K!").is_err());
    }

    const WRONG: [(&str, &str); 10] = [
        ("ada", "line 1: write NAME:HASH"),
        ("ada:$apr1$", "no MD5"),
        ("ada:$1$x", "no MD5"),
        ("ada:$1$x$y", "no MD5"),
        ("ada:plain", "hash of another kind"),
        ("ada:{SHA}x", "no SHA-1"),
        ("ada:{SHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0", "no SHA-1"),
        ("ada:{SSHA}Zm9vCg==", "no SHA-1"),
        ("ada:{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "no SHA-1"),
        (
            "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "line 2: \"ada\" is there twice",
        ),
    ];

    #[test]
    fn tells_of_lines_that_it_cannot_use() {
        for (line, part) in WRONG {
            let error = Users::read(line).err().unwrap();
            assert!(error.contains(part) && !error.contains("5en6G6"), "{error}");
        }
    }

    #[test]
    fn whom_it_cannot_understand_it_does_not_know() {
        for (line, _) in WRONG {
            let users = Users::read_what_can_be(&format!("{line}\nbob:{{PLAIN}}x")).unwrap();
            assert!(users.of("bob").is_some());
            assert_eq!(users.of("ada").is_some(), line.contains('\n'), "{line}");
        }
    }
}
