//! Which paths a `location` takes.

use std::borrow::Cow;

use super::syntax::Directive;
use super::texts;
use crate::request::target::escaped;

/// Which paths a location takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    Exact(String),
    Prefix(String),
    Regex(String),
}

/// All paths.
pub fn everything() -> Paths {
    Paths::Prefix("/".to_owned())
}

/// Which paths a location takes, or why that cannot be said.
///
/// # Errors
/// It is none that is known.
pub fn paths(location: &Directive, has_regex: bool) -> Result<Paths, &'static str> {
    if location.texts().any(|word| word.contains(char::is_control)) {
        return Err("a path with a control character in it: such requests are refused");
    }
    match (location.word(0), location.word(1)) {
        ("=", path) => Ok(Paths::Exact(path.to_owned())),
        ("^~", path) if has_regex => Ok(Paths::Regex(format!("^{}", texts::escaped(path)))),
        ("^~", path) => Ok(Paths::Prefix(path.to_owned())),
        ("~", expression) => Ok(Paths::Regex(expression.to_owned())),
        ("~*", expression) => Ok(Paths::Regex(format!("(?i){expression}"))),
        (path, "") if path.starts_with('=') => Ok(Paths::Exact(path[1..].to_owned())),
        (path, "") if path.starts_with('/') => Ok(Paths::Prefix(path.to_owned())),
        // Nobody asks for such a path, and no other route sends a request there but by name.
        (name, "") if name.starts_with('@') => Ok(Paths::Exact(format!("/{name}"))),
        _ => Err("no location that is known"),
    }
}

/// A path as YAML writes it, in which these would mean something else.
pub fn spelt(path: &str) -> Cow<'_, str> {
    match path.contains(['?', '#', '%', '\\']) {
        true => escaped(path),
        false => path.into(),
    }
}
