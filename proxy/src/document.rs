//! A YAML file on its way to being configuration: reads it into a type, gathers every mistake on the way, and knows
//! the line and column of each.

use std::cell::OnceCell;

use marked_yaml::{LoaderOptions, Marker, Node};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;

use crate::diagnostic::{Diagnostic, is_near, suggest};

/// What was written, less the parts that were found to be mistakes.
pub struct Document {
    file: String,
    text: String,
    value: Value,
    /// The same tree with positions, built when there is something to report; none where its parser, which knows no
    /// anchors, refuses what serde_yaml read.
    positions: OnceCell<Option<Node>>,
    /// Where something was taken out, so that its absence is not reported as well.
    removed: Vec<Path>,
}

/// The way from the root to a node.
pub type Path = Vec<Step>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// `steps!["routes", 0, "pool"]`
macro_rules! steps {
    ($($step:expr),* $(,)?) => { [$($crate::document::Step::from($step)),*] };
}
pub(crate) use steps;

/// After so many mistakes a file is not looked at any further.
const MOST_MISTAKES: usize = 100;

impl Document {
    /// Parses YAML; refuses what is not YAML, and keys that are given twice.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let value = serde_yaml::from_str(text).map_err(|error| not_yaml(file, &error))?;
        Ok(Self {
            file: file.to_owned(),
            text: text.to_owned(),
            value,
            positions: OnceCell::new(),
            removed: Vec::new(),
        })
    }

    pub fn root(&self) -> &Value {
        &self.value
    }

    /// Reads the document as a `T`. Each mistake is noted and taken out, and the rest is read again, until what is left
    /// is a `T` (or nothing is left), so that all mistakes are found at once.
    pub fn read<T: DeserializeOwned>(&mut self) -> (Option<T>, Vec<Diagnostic>) {
        let mut mistakes = Vec::new();
        while mistakes.len() < MOST_MISTAKES {
            let error = match serde_path_to_error::deserialize::<_, T>(&self.value) {
                Ok(read) => return (Some(read), mistakes),
                Err(error) => error,
            };
            let path = self.resolve(error.path());
            let message = error.into_inner().to_string();
            if !self.follows_from_removal(&path, &message) {
                mistakes.push(self.explain(&path, &message));
            }
            if !self.remove(&path) {
                break;
            }
        }
        (None, mistakes)
    }

    /// A mistake in, or in the absence of, what is at `path`.
    pub fn mistake(&self, path: &[Step], what: String, help: Option<String>) -> Diagnostic {
        Diagnostic {
            file: self.file.clone(),
            place: self.place(path, At::Value),
            what,
            help,
        }
    }

    /// Whether something at or under `path` was found to be a mistake and taken out.
    pub fn lost(&self, path: &[Step]) -> bool {
        self.removed.iter().any(|removed| removed.starts_with(path))
    }

    fn explain(&self, path: &[Step], message: &str) -> Diagnostic {
        let owner = match path {
            [] => String::new(),
            path => format!("{}: ", shown(path)),
        };
        let (at, what, help) = if let Some((name, expected)) = split_unknown(message, "field") {
            let (owner, place) = match path.split_last() {
                Some((_, [])) | None => (String::new(), "keys"),
                Some((_, parent)) => (format!("{}: ", shown(parent)), "its keys"),
            };
            (
                At::Key,
                format!("{owner}unknown key {name:?}"),
                suggest(place, name, expected),
            )
        } else if let Some((name, expected)) = split_unknown(message, "variant") {
            let help = suggest("known names", name, expected);
            (At::Value, format!("{owner}there is no {name:?}"), help)
        } else if let Some(name) = message.strip_prefix("missing field ").and_then(between_backticks) {
            (At::Value, format!("{owner}{name:?} is missing"), None)
        } else {
            let (what, help) = split_advice(message);
            (At::Value, format!("{owner}{}", in_plain_words(what)), help)
        };
        Diagnostic {
            file: self.file.clone(),
            place: self.place(path, at),
            what,
            help,
        }
    }

    /// The steps of a failure's path that exist in the document: serde also names variants, which may have no node.
    fn resolve(&self, path: &serde_path_to_error::Path) -> Path {
        let mut resolved = Path::new();
        let mut here = &self.value;
        for segment in path {
            let (step, next) = match segment {
                Segment::Seq { index } => (Step::Index(*index), here.get(*index)),
                Segment::Map { key } => (Step::Key(key.clone()), here.get(key)),
                Segment::Enum { variant } => (Step::Key(variant.clone()), here.get(variant)),
                Segment::Unknown => break,
            };
            let Some(next) = next else { continue };
            resolved.push(step);
            here = next;
        }
        resolved
    }

    /// Whether the mistake is only the hole that an earlier one left: a key that is missing since it was misspelt or had
    /// a bad value, or a variant's map that is empty now.
    fn follows_from_removal(&self, path: &[Step], message: &str) -> bool {
        let mut lost_here = self.removed.iter().filter_map(|removed| match removed.split_last() {
            Some((Step::Key(key), parent)) if parent == path => Some(key.as_str()),
            _ => None,
        });
        match message.strip_prefix("missing field ").and_then(between_backticks) {
            Some(name) => lost_here.any(|lost| is_near(lost, name)),
            None => message.contains("expected map with a single key") && lost_here.next().is_some(),
        }
    }

    /// Takes out the node at `path`, from both trees alike: what comes behind it in a list moves up in both.
    fn remove(&mut self, path: &[Step]) -> bool {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        self.positions();
        self.removed.push(path.to_vec());
        if let Some(parent) = parents.iter().try_fold(&mut self.value, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(*index),
        }) {
            match (last, parent) {
                (Step::Key(key), Value::Mapping(mapping)) => drop(mapping.shift_remove(key)),
                (Step::Index(index), Value::Sequence(items)) => drop(items.remove(*index)),
                _ => return false,
            }
        }
        if let Some(Some(node)) = self.positions.get_mut()
            && let Some(parent) = parents.iter().try_fold(node, child_mut)
        {
            match (last, parent) {
                (Step::Key(key), Node::Mapping(mapping)) => drop(mapping.remove(key.as_str())),
                (Step::Index(index), Node::Sequence(items)) => drop(items.remove(*index)),
                _ => return false,
            }
        }
        true
    }

    /// Line and column of what `path` leads to, or of the nearest node above it that exists.
    fn place(&self, path: &[Step], at: At) -> Option<(usize, usize)> {
        let mut here = self.positions()?;
        let mut place = here.span().start();
        for (depth, step) in path.iter().enumerate() {
            let last = depth + 1 == path.len();
            let (key, next) = match (step, here) {
                (Step::Key(key), Node::Mapping(mapping)) => match mapping.iter().find(|(name, _)| name.as_str() == key)
                {
                    Some((name, node)) => (Some(name.span()), node),
                    None => break,
                },
                (Step::Index(index), Node::Sequence(items)) => match items.get(*index) {
                    Some(node) => (None, node),
                    None => break,
                },
                _ => break,
            };
            let by_key = last && matches!(at, At::Key) || is_block(next);
            place = key.filter(|_| by_key).unwrap_or(next.span()).start();
            here = next;
        }
        place.map(|marker: &Marker| (marker.line(), marker.column()))
    }

    fn positions(&self) -> Option<&Node> {
        self.positions
            .get_or_init(|| {
                let options = LoaderOptions::default().error_on_duplicate_keys(false);
                marked_yaml::parse_yaml_with_options(0, &self.text, options).ok()
            })
            .as_ref()
    }
}

#[derive(Clone, Copy)]
enum At {
    Key,
    Value,
}

/// A map or list starts where its first entry does, a line below its key; a person looks for the key.
fn is_block(node: &Node) -> bool {
    !matches!(node, Node::Scalar(_))
}

fn child_mut<'a>(node: &'a mut Node, step: &Step) -> Option<&'a mut Node> {
    match (step, node) {
        (Step::Key(key), Node::Mapping(mapping)) => mapping.get_mut(key.as_str()),
        (Step::Index(index), Node::Sequence(items)) => items.get_mut(*index),
        _ => None,
    }
}

fn not_yaml(file: &str, error: &serde_yaml::Error) -> Diagnostic {
    let place = error.location().map(|location| (location.line(), location.column()));
    let message = error.to_string();
    // The place is told in its own column.
    let what = place.and_then(|(line, column)| message.strip_suffix(&format!(" at line {line} column {column}")));
    Diagnostic {
        file: file.to_owned(),
        place,
        what: what.unwrap_or(&message).to_owned(),
        help: None,
    }
}

/// `pools.blur.backends[0].weight`
fn shown(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Takes apart serde's "unknown field `a`, expected one of `b`, `c`".
fn split_unknown<'a>(message: &'a str, kind: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(kind)?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let name = quoted.next()?;
    Some((name, quoted.collect()))
}

fn between_backticks(text: &str) -> Option<&str> {
    text.strip_prefix('`')?.split('`').next()
}

/// Our own errors end in what to do: `… is not a duration; write a whole number …`.
fn split_advice(message: &str) -> (&str, Option<String>) {
    match message.split_once("; write ") {
        Some((what, advice)) => (what, Some(format!("write {advice}"))),
        None => (message, None),
    }
}

/// Serde's "invalid type: string "x", expected u16" without the Rust in it.
fn in_plain_words(message: &str) -> String {
    let Some(rest) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
    else {
        return message.to_owned();
    };
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        other if other.starts_with("struct ") || other == "a map" => "a map of keys to values",
        other => other,
    };
    format!("expected {expected}, found {}", found.replace('`', ""))
}
