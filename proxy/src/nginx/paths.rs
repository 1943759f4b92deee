//! Which paths a `location` takes.

use std::borrow::Cow;

use super::conditions::known;
use super::syntax::Directive;
use super::texts;
use crate::request::target::escaped;

/// Which paths a location takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    Exact(String),
    Prefix(String),
    /// A prefix that goes before regular expressions.
    Firm(String),
    Regex(String),
}

impl Paths {
    /// The key of a route's match and its value. A path is written there with its slashes merged: by one that is not, only an
    /// expression can look.
    pub fn matched(&self) -> (&'static str, Cow<'_, str>) {
        match self {
            Self::Exact(path) if path.contains("//") => ("path_regex", format!("^{}$", texts::escaped(path)).into()),
            Self::Exact(path) => ("path_exact", spelt(path)),
            Self::Prefix(path) if !path.contains("//") => ("path_prefix", spelt(path)),
            Self::Prefix(path) | Self::Firm(path) => ("path_regex", format!("^{}", texts::escaped(path)).into()),
            Self::Regex(expression) => ("path_regex", expression.into()),
        }
    }
}

/// All paths.
pub fn everything() -> Paths {
    Paths::Prefix("/".to_owned())
}

/// Which paths a location takes, or why that cannot be said.
///
/// # Errors
/// It is none that is known.
pub fn paths(location: &Directive, has_regex: bool) -> Result<Paths, String> {
    if location.texts().any(|word| word.contains(char::is_control)) {
        return Err("a path with a control character in it: such requests are refused".to_owned());
    }
    match (location.word(0), location.word(1)) {
        ("=", path) => Ok(Paths::Exact(path.to_owned())),
        ("^~", path) if has_regex => Ok(Paths::Firm(path.to_owned())),
        ("^~", path) => Ok(Paths::Prefix(path.to_owned())),
        ("~", expression) => regex(expression.to_owned()),
        ("~*", expression) => regex(format!("(?i){expression}")),
        (path, "") if path.starts_with('=') => Ok(Paths::Exact(path[1..].to_owned())),
        (path, "") if path.starts_with('/') => Ok(Paths::Prefix(path.to_owned())),
        // Nobody asks for such a path, and no other route sends a request there but by name.
        (name, "") if name.starts_with('@') => Ok(Paths::Exact(format!("/{name}"))),
        _ => Err("no location that is known".to_owned()),
    }
}

fn regex(expression: String) -> Result<Paths, String> {
    let plain = without_lookahead(&expression).unwrap_or(expression);
    let is_known = known(&plain);
    is_known.map_err(|why| format!("{why}; its requests go to the other locations"))?;
    Ok(Paths::Regex(plain))
}

/// What ends with `(?!TEXT)`, and takes whatever follows, without looking ahead: something other than the text comes there, or the end.
fn without_lookahead(expression: &str) -> Option<String> {
    let (before, behind) = expression.split_once("(?!")?;
    let (text, rest) = behind.split_once(')')?;
    let is_end = matches!(rest, "" | ".*" | ".*$") && !before.contains('|');
    let text = text.replace("\\/", "/").replace("\\-", "-");
    // What is escaped stands for itself, unless it is a letter.
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte));
    if !is_end || !is_plain {
        return None;
    }
    let others = text.char_indices().map(|(at, next)| {
        let same = texts::escaped(&text[..at]);
        format!("{same}(?:[^{}]|$)", texts::escaped(&next.to_string()))
    });
    Some(format!("{before}(?:{})", others.collect::<Vec<_>>().join("|")))
}

/// A path as YAML writes it, in which these would mean something else.
pub fn spelt(path: &str) -> Cow<'_, str> {
    match path.contains(['?', '#', '%', '\\']) {
        true => escaped(path),
        false => path.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use regex::Regex;

    use super::*;

    #[test]
    fn what_must_not_follow_is_said_without_looking_ahead() {
        for expression in [
            r"/\.(?!well-known\/)",
            r"/\.(?!well-known).*",
            r"(?i)/\.(?!well-known/).*$",
        ] {
            let plain = Regex::new(&without_lookahead(expression).unwrap()).unwrap();
            for (path, is_taken) in [
                ("/.git", true),
                ("/a/.well", true),
                ("/.", true),
                ("/.well-knowm/", true),
                ("/.well-known/acme", false),
                ("/a", false),
                ("/.well-known/.git", true),
            ] {
                assert_eq!(plain.is_match(path), is_taken, "{expression} {path}");
            }
        }
        for expression in ["a(?!b)c", "a|b(?!c)", r"a(?!\w)", "a(?!b|c)", "a(?!)", "(?=a)", "a(?!b"] {
            assert_eq!(without_lookahead(expression), None, "{expression}");
        }
    }
}
