//! A YAML file, and those that it includes, on the way to being configuration: reads them into a type, gathers every
//! mistake on the way, and knows the file, line and column of each.

mod depth;
mod include;
mod interpolate;
mod places;
mod wording;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;

use self::depth::too_deep;
use self::interpolate::{interpolate, is_one_variable};
use self::places::{At, Places};
use self::wording::Mistake;
use crate::yaml::diagnostic::{Diagnostic, is_near};

/// What was written, less the parts that were found to be mistakes.
pub struct Document {
    /// The file itself, then those that it includes.
    files: Vec<File>,
    value: Value,
    /// What comes from the files that are included.
    origins: Vec<Origin>,
    /// Where something was taken out, in the order of the document as it was written.
    removed: Vec<Path>,
    /// What may well be a mistake in how the files come together.
    doubts: Vec<Diagnostic>,
}

struct File {
    name: String,
    places: Places,
}

/// Says that what is at `at` was written in a file that is included, and where in that.
struct Origin {
    at: Path,
    file: usize,
    written_at: Path,
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
    ($($step:expr),* $(,)?) => { [$($crate::yaml::document::Step::from($step)),*] };
}
pub(crate) use steps;

/// Says of a mistake where in the text of its value it is: line and column from 1.
pub fn at_in_text(line: usize, column: usize, what: &str) -> String {
    format!("{IN_TEXT}{line}:{column}:{what}")
}

/// What [`at_in_text`] has put together.
fn in_text(message: &str) -> Option<((usize, usize), &str)> {
    let (line, rest) = message.strip_prefix(IN_TEXT)?.split_once(':')?;
    let (column, what) = rest.split_once(':')?;
    Some(((line.parse().ok()?, column.parse().ok()?), what))
}

/// Says of a mistake that it is further down than where it comes to light.
pub fn below(path: &[Step], message: &str) -> String {
    let path = path.iter().map(|step| match step {
        Step::Key(key) => format!("{key}{BELOW}"),
        Step::Index(index) => format!("#{index}{BELOW}"),
    });
    format!("{BELOW}{}{BELOW}{message}", path.collect::<String>())
}

/// What [`below`] has put together.
fn further(message: &str) -> (Path, &str) {
    let Some((path, message)) = message
        .strip_prefix(BELOW)
        .and_then(|rest| rest.split_once(&format!("{BELOW}{BELOW}")))
    else {
        return (
            Path::new(),
            message.strip_prefix(&format!("{BELOW}{BELOW}")).unwrap_or(message),
        );
    };
    let step = |step: &str| match step.strip_prefix('#').and_then(|index| index.parse().ok()) {
        Some(index) => Step::Index(index),
        None => Step::from(step),
    };
    (path.split(BELOW).map(step).collect(), message)
}

/// The steps of a failure's path.
pub fn steps_of(path: &serde_path_to_error::Path) -> Path {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key.clone())),
        Segment::Unknown => None,
    };
    path.iter().map_while(step).collect()
}

/// No message of anybody else's begins so.
const BELOW: char = '\u{2}';
const IN_TEXT: &str = "\u{1}";

/// After so many mistakes a file is not looked at any further.
const MOST_MISTAKES: usize = 100;

impl Document {
    /// Parses YAML; refuses what is not YAML, and keys that are given twice.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let places = Places::new(text);
        if let Some(place) = too_deep(text) {
            return Err(places.too_deep(file, place));
        }
        match serde_yaml::from_str(text) {
            Ok(value) => Ok(Self {
                files: vec![File {
                    name: file.to_owned(),
                    places,
                }],
                value,
                origins: Vec::new(),
                removed: Vec::new(),
                doubts: Vec::new(),
            }),
            Err(error) => Err(places.not_yaml(file, &error)),
        }
    }

    pub fn root(&self) -> &Value {
        &self.value
    }

    /// All texts with a dollar sign, with their places.
    pub fn texts(&self) -> impl Iterator<Item = (Path, &str)> {
        let text = |path: Path| {
            let text = path.iter().try_fold(&self.value, child)?.as_str()?;
            Some((path, text))
        };
        texts(&self.value).into_iter().filter_map(text)
    }

    pub fn doubts(&self) -> &[Diagnostic] {
        &self.doubts
    }

    /// Fills in the variables of all values. A value that is one variable and nothing else is what its text reads as.
    pub fn interpolate(&mut self, variable: impl Fn(&str) -> Option<String>) -> Vec<Diagnostic> {
        let mut mistakes = Vec::new();
        // From the last to the first, so that what is taken out does not move what is still to come.
        for path in texts(&self.value).into_iter().rev() {
            let Some(Value::String(text)) = self.node_mut(&path) else {
                continue;
            };
            match interpolate(text, &variable) {
                Ok(filled) if filled == *text => {}
                Ok(filled) => {
                    let is_alone = is_one_variable(text) && too_deep(&filled).is_none();
                    let read = is_alone.then(|| serde_yaml::from_str(&filled).ok()).flatten();
                    let value = read.filter(|value| !is_tree(value)).unwrap_or(Value::String(filled));
                    if let Some(node) = self.node_mut(&path) {
                        *node = value;
                    }
                }
                Err(error) => {
                    mistakes.push(self.explain(&path, &error.to_string()));
                    self.remove(&path);
                }
            }
        }
        mistakes
    }

    /// Reads the document as a `T`. Each mistake is noted and taken out, and the rest is read again, until what is left
    /// is a `T` (or nothing is left), so that all mistakes are found at once.
    pub fn read<T: DeserializeOwned>(&mut self) -> (Option<T>, Vec<Diagnostic>) {
        let mut mistakes = self.tagged();
        while mistakes.len() < MOST_MISTAKES {
            let error = match serde_path_to_error::deserialize::<_, T>(&self.value) {
                Ok(read) => return (Some(read), mistakes),
                Err(error) => error,
            };
            let shown = steps_of(error.path());
            let message = error.into_inner().to_string();
            let (further, message) = further(&message);
            let path = self.resolve(&[shown, further].concat());
            if !self.follows_from_removal(&path, message) {
                mistakes.push(self.explain(&path, message));
            }
            if !self.remove(&path) {
                break;
            }
        }
        (None, mistakes)
    }

    /// Texts that begin with `!`, of which YAML takes away the first word.
    fn tagged(&mut self) -> Vec<Diagnostic> {
        let mut mistakes = Vec::new();
        let is_tagged = |value: &Value| matches!(value, Value::Tagged(tagged) if !is_tree(&tagged.value));
        for path in paths(&self.value, &is_tagged).into_iter().rev() {
            let what = "YAML takes what begins with ! for a tag; write it in quotes: '!(…)'";
            mistakes.push(self.explain(&path, what));
            self.remove(&path);
        }
        mistakes
    }

    /// A mistake in, or in the absence of, what is at `path`.
    pub fn mistake(&self, path: &[Step], what: String, help: Option<String>) -> Diagnostic {
        let (file, path) = self.located(&self.as_written(path));
        Diagnostic {
            file: file.name.clone(),
            place: file.places.find(&path, At::Value),
            what,
            help,
        }
    }

    /// Sorts mistakes as a reader finds them: file by file, each from its beginning.
    pub fn rank(&self, mistake: &Diagnostic) -> impl Ord + use<> {
        let file = self.files.iter().position(|file| file.name == mistake.file);
        (file.unwrap_or(self.files.len()), mistake.place)
    }

    /// The folder of the file in which `path` was written.
    pub fn folder(&self, path: &[Step]) -> &std::path::Path {
        let (file, _) = self.located(&self.as_written(path));
        file.folder()
    }

    /// Whether something at or under `path` was found to be a mistake and taken out.
    pub fn lost(&self, path: &[Step]) -> bool {
        let path = self.as_written(path);
        self.removed.iter().any(|removed| removed.starts_with(&path))
    }

    fn explain(&self, path: &[Step], message: &str) -> Diagnostic {
        let node = path.iter().try_fold(&self.value, child);
        let (file, written) = self.located(&self.as_written(path));
        let (within, message) = in_text(message).map_or((None, message), |(place, what)| (Some(place), what));
        let Mistake { owner, at, what, help } = wording::explain(&written, node, message);
        let what = match owner {
            [] => what,
            owner => format!("{}: {what}", Shown(owner)),
        };
        let place = file.places.find(&written, at);
        let inner = place
            .zip(within)
            .map(|(start, within)| file.places.within(start, within));
        Diagnostic {
            file: file.name.clone(),
            place: inner.or(place),
            what,
            help,
        }
    }

    /// The file in which a part of the document as it was written stands, and where in that.
    fn located(&self, path: &[Step]) -> (&File, Path) {
        let (file, path) = located(&self.origins, path);
        (&self.files[file], path)
    }

    /// The steps of a failure's path that exist in the document: serde also names variants, which may have no node.
    fn resolve(&self, path: &[Step]) -> Path {
        let mut resolved = Path::new();
        let mut here = &self.value;
        for step in path {
            let Some(next) = child(here, step) else { continue };
            resolved.push(step.clone());
            here = next;
        }
        resolved
    }

    /// Whether the mistake is only the hole that an earlier one left: a key that is missing since it was misspelt or had
    /// a bad value, or a map that makes no sense without it.
    fn follows_from_removal(&self, path: &[Step], message: &str) -> bool {
        let path = self.as_written(path);
        let mut lost_below = self
            .removed
            .iter()
            .filter_map(|removed| removed.strip_prefix(&*path)?.first());
        match wording::missing_field(message) {
            Some(name) => lost_below.any(|step| matches!(step, Step::Key(lost) if is_near(lost, name))),
            None => lost_below.next().is_some(),
        }
    }

    /// Takes out the node at `path`.
    fn remove(&mut self, path: &[Step]) -> bool {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        self.removed.push(self.as_written(path));
        match (last, self.node_mut(parents)) {
            (Step::Key(key), Some(Value::Mapping(mapping))) => mapping.shift_remove(key).is_some(),
            (Step::Index(index), Some(Value::Sequence(items))) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        }
    }

    /// The path as it was before anything was taken out: items of a list move up when one before them goes.
    fn as_written(&self, path: &[Step]) -> Path {
        let mut written = Path::new();
        for step in path {
            let Step::Index(index) = step else {
                written.push(step.clone());
                continue;
            };
            let mut gone: Vec<usize> = self
                .removed
                .iter()
                .filter_map(|removed| index_in(removed, &written))
                .collect();
            gone.sort_unstable();
            let index = gone
                .into_iter()
                .fold(*index, |index, gone| index + usize::from(gone <= index));
            written.push(Step::Index(index));
        }
        written
    }

    fn node_mut(&mut self, path: &[Step]) -> Option<&mut Value> {
        path.iter().try_fold(&mut self.value, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(*index),
        })
    }
}

impl File {
    fn folder(&self) -> &std::path::Path {
        let path = std::path::Path::new(&self.name);
        path.parent().unwrap_or(std::path::Path::new(""))
    }
}

/// The number of the file in which `path` was written, and where in that.
fn located(origins: &[Origin], path: &[Step]) -> (usize, Path) {
    let origins = origins.iter().filter(|origin| path.starts_with(&origin.at));
    match origins.max_by_key(|origin| origin.at.len()) {
        Some(origin) => (origin.file, [&origin.written_at, &path[origin.at.len()..]].concat()),
        None => (0, path.to_vec()),
    }
}

/// The index that `path` has in the list at `list`, if it leads to one of its items.
fn index_in(path: &[Step], list: &[Step]) -> Option<usize> {
    match path.strip_prefix(list)? {
        [Step::Index(index)] => Some(*index),
        _ => None,
    }
}

fn child<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(*index),
    }
}

/// The paths of all texts with a dollar sign under a node, in the order of the file.
fn texts(value: &Value) -> Vec<Path> {
    paths(value, &|value| value.as_str().is_some_and(|text| text.contains('$')))
}

/// The paths of all nodes of a kind that has none below it, in the order of the file.
fn paths(value: &Value, is_meant: &dyn Fn(&Value) -> bool) -> Vec<Path> {
    let mut found = Vec::new();
    find(value, is_meant, &mut Path::new(), &mut found);
    found
}

fn find(value: &Value, is_meant: &dyn Fn(&Value) -> bool, here: &mut Path, found: &mut Vec<Path>) {
    let mut below = |step: Step, child: &Value| {
        here.push(step);
        find(child, is_meant, here, found);
        here.pop();
    };
    match value {
        value if is_meant(value) => found.push(here.clone()),
        Value::Sequence(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| below(index.into(), item)),
        Value::Mapping(mapping) => mapping
            .iter()
            .filter_map(|(key, item)| Some((key.as_str()?, item)))
            .for_each(|(key, item)| below(key.into(), item)),
        _ => {}
    }
}

fn is_tree(value: &Value) -> bool {
    matches!(value, Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_))
}

/// Shows a path as `pools.blur.backends[0].weight`.
struct Shown<'a>(&'a [Step]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
