//! Serde's messages without the Rust in them: what is wrong, and what to do.

use serde_yaml::Value;

use super::Step;
use super::places::At;
use crate::yaml::diagnostic::suggest;

/// A message taken apart.
pub struct Mistake<'a> {
    /// Whose mistake it is.
    pub owner: &'a [Step],
    pub at: At,
    pub what: String,
    pub help: Option<String>,
}

/// Puts the failure to read what is at `path` into words. `node` is what was written there.
pub fn explain<'a>(path: &'a [Step], node: Option<&Value>, message: &str) -> Mistake<'a> {
    let parent = path.split_last().map_or(path, |(_, parent)| parent);
    if let Some((name, expected)) = unknown(message, "field") {
        let keys = if parent.is_empty() { "keys" } else { "its keys" };
        let what = format!("unknown key {name:?}");
        return Mistake {
            owner: parent,
            at: At::Key,
            what,
            help: suggest(keys, name, expected),
        };
    }
    if let Some((name, expected)) = unknown(message, "variant") {
        let is_key = matches!(path.last(), Some(Step::Key(key)) if key == name);
        let (owner, at) = if is_key { (parent, At::Key) } else { (path, At::Value) };
        let what = format!("there is no {name:?}");
        return Mistake {
            owner,
            at,
            what,
            help: suggest("known names", name, expected),
        };
    }
    let (what, help) = match (missing_field(message), node) {
        (Some(name), _) => (format!("{name:?} is missing"), None),
        (None, Some(Value::String(name))) if message.contains("expected newtype variant") => (
            format!("{name:?} alone says too little"),
            Some(format!("write {name}: {{ … }}")),
        ),
        (None, Some(Value::Mapping(_))) if message.contains("map with a single key") => (
            "names more than one thing".to_owned(),
            Some("write one, or each as an entry of its own".to_owned()),
        ),
        _ if message == "invalid socket address syntax" => (
            "expected an address with its port".to_owned(),
            Some("write 127.0.0.1:8080 or [::1]:8080".to_owned()),
        ),
        _ => in_plain_words(message),
    };
    Mistake {
        owner: path,
        at: At::Value,
        what,
        help,
    }
}

/// The name in serde's "missing field `a`".
pub fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// Takes apart serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown<'a>(message: &'a str, kind: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(kind)?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let name = quoted.next()?;
    Some((name, quoted.collect()))
}

fn in_plain_words(message: &str) -> (String, Option<String>) {
    let type_error = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = type_error.and_then(|rest| rest.rsplit_once(", expected ")) {
        return (
            format!("expected {}, found {}", in_yaml(expected), found_in_yaml(found)),
            meant_truth(found)
                .filter(|_| expected == "a boolean")
                .map(|truth| format!("write {truth}")),
        );
    }
    // Our own errors end in what to do: `… is not a duration; write a whole number …`.
    match message.split_once("; write ") {
        Some((what, advice)) => (what.to_owned(), Some(format!("write {advice}"))),
        None => (message.to_owned(), None),
    }
}

/// What YAML 1.1 reads in a word that YAML 1.2 does not.
fn meant_truth(found: &str) -> Option<bool> {
    let word = found.strip_prefix("string \"")?.strip_suffix('"')?;
    match word.to_ascii_lowercase().as_str() {
        "on" | "yes" | "y" | "true" => Some(true),
        "off" | "no" | "n" | "false" => Some(false),
        _ => None,
    }
}

/// What serde calls what it has found.
fn found_in_yaml(found: &str) -> String {
    found.replace('`', "").replace("unit value", "nothing")
}

/// What a Rust type is in YAML.
fn in_yaml(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "a nonzero u8" => "a whole number from 1 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a map of keys to values",
        other if other.starts_with("struct ") => "a map of keys to values",
        other => other,
    }
}
