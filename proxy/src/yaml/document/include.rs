//! `include: [pools/*.yaml]`: files whose parts become parts of the document. Lists are appended to, maps take in what
//! they do not have; what two files say is a mistake.

use std::fs;
use std::path::{Path as FilePath, PathBuf};

use serde_yaml::Value;

use super::interpolate::interpolate;
use super::places::At;
use super::{Document, File, Origin, Path, Shown, Step, located, steps};
use crate::yaml::diagnostic::Diagnostic;

impl Document {
    /// Takes in the files that the document includes, and those that they include in turn.
    pub fn include(&mut self, variable: impl Fn(&str) -> Option<String>) -> Vec<Diagnostic> {
        let mut including = Including {
            variable: &variable,
            taken: vec![canonical(FilePath::new(&self.files[0].name))],
            mistakes: Vec::new(),
            doubts: Vec::new(),
        };
        including.include(self);
        self.doubts = including.doubts;
        including.mistakes
    }

    /// Makes the other document's parts parts of this one.
    fn join(&mut self, other: Self) -> Vec<Diagnostic> {
        let first_file = self.files.len();
        self.files.extend(other.files);
        let mut joining = Joining {
            document: self,
            first_file,
            origins: other.origins,
            mistakes: Vec::new(),
        };
        match other.value {
            Value::Mapping(parts) => parts.into_iter().for_each(|(key, part)| joining.part(key, part)),
            Value::Null => {}
            _ => joining.mistake(&[], "expected a map of keys to values".to_owned(), None),
        }
        joining.mistakes
    }
}

/// Follows `include` from file to file.
struct Including<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// Files that have been taken in, the first one included.
    taken: Vec<PathBuf>,
    mistakes: Vec<Diagnostic>,
    doubts: Vec<Diagnostic>,
}

impl Including<'_> {
    fn include(&mut self, document: &mut Document) {
        let patterns = document.root().get("include").and_then(Value::as_sequence).cloned();
        for (index, pattern) in patterns.into_iter().flatten().enumerate() {
            // What is no text is told when the document is read.
            let Some(pattern) = pattern.as_str() else { continue };
            for file in self.matches(document, index, pattern) {
                match self.read(&file) {
                    Ok(mut other) => {
                        self.include(&mut other);
                        self.mistakes.extend(document.join(other));
                    }
                    Err(Unread::NotYaml(mistake)) => self.mistakes.push(mistake),
                    Err(Unread::Refused(what)) => self.mistake(document, index, what),
                }
            }
        }
    }

    /// The files that a pattern stands for, in the order of their names. It may stand for none, which is doubtful.
    fn matches(&mut self, document: &Document, index: usize, pattern: &str) -> Vec<PathBuf> {
        // What cannot be filled in is told when all variables are.
        let Ok(pattern) = interpolate(pattern, self.variable) else {
            return Vec::new();
        };
        let full = document.files[0].folder().join(&pattern);
        if !pattern.contains(['*', '?', '[']) {
            return vec![full];
        }
        let paths = match glob::glob(&full.to_string_lossy()) {
            Ok(paths) => paths,
            Err(error) => {
                self.mistake(document, index, format!("{pattern:?} is not a pattern: {error}"));
                return Vec::new();
            }
        };
        let files: Vec<PathBuf> = paths.filter_map(Result::ok).collect();
        if files.is_empty() {
            let what = format!("no file is called {pattern:?}");
            self.doubts
                .push(document.mistake(&steps!["include", index], what, None));
        }
        files
    }

    fn read(&mut self, file: &FilePath) -> Result<Document, Unread> {
        let name = file.display().to_string();
        let path = canonical(file);
        if self.taken.contains(&path) {
            return Err(Unread::Refused(format!(
                "{name} is a part of this configuration already"
            )));
        }
        self.taken.push(path);
        let text = fs::read_to_string(file).map_err(|error| Unread::Refused(format!("cannot read {name}: {error}")))?;
        Document::parse(&name, &text).map_err(Unread::NotYaml)
    }

    fn mistake(&mut self, document: &Document, index: usize, what: String) {
        self.mistakes
            .push(document.mistake(&steps!["include", index], what, None));
    }
}

enum Unread {
    /// A mistake of the file's own.
    NotYaml(Diagnostic),
    /// A mistake of the one that includes it.
    Refused(String),
}

/// Moves one document's parts into another.
struct Joining<'a> {
    document: &'a mut Document,
    /// The number of the other document's first file among all files.
    first_file: usize,
    /// The other document's.
    origins: Vec<Origin>,
    mistakes: Vec<Diagnostic>,
}

impl Joining<'_> {
    fn part(&mut self, key: Value, part: Value) {
        let Value::Mapping(root) = &mut self.document.value else {
            return;
        };
        let name = step(&key);
        match (root.get_mut(&key), part) {
            (None, part) => {
                root.insert(key, part);
                self.moved(vec![name.clone()], &[name]);
            }
            (Some(Value::Sequence(here)), Value::Sequence(there)) => {
                let moved = (here.len()..).zip(0..there.len());
                here.extend(there);
                for (to, from) in moved {
                    self.moved(vec![name.clone(), to.into()], &[name.clone(), from.into()]);
                }
            }
            (Some(Value::Mapping(here)), Value::Mapping(there)) => {
                let (twice, new): (Vec<_>, Vec<_>) = there.into_iter().partition(|(key, _)| here.contains_key(key));
                let path = |(key, _): &(Value, Value)| vec![name.clone(), step(key)];
                let moved: Vec<Path> = new.iter().map(path).collect();
                here.extend(new);
                twice.iter().map(path).for_each(|path| self.twice(&path));
                moved.into_iter().for_each(|path| self.moved(path.clone(), &path));
            }
            (Some(here), part) if *here == part && key == "version" => {}
            (Some(_), _) => self.twice(&[name]),
        }
    }

    /// Notes that what is at `at` now was at `from` in the other document.
    fn moved(&mut self, at: Path, from: &[Step]) {
        let below = self.origins.iter().filter_map(|origin| {
            Some(Origin {
                at: [&at, origin.at.strip_prefix(from)?].concat(),
                file: self.first_file + origin.file,
                written_at: origin.written_at.clone(),
            })
        });
        self.document.origins.extend(below);
        self.document.origins.push(Origin {
            at,
            file: self.first_file,
            written_at: from.to_vec(),
        });
    }

    /// Both documents say what is at `path`.
    fn twice(&mut self, path: &[Step]) {
        let (File { name, places }, path_there) = self.document.located(path);
        let help = match places.find(&path_there, At::Key) {
            Some((line, column)) => format!("keep one; the first is at {name}:{line}:{column}"),
            None => format!("keep one; the first is in {name}"),
        };
        self.mistake(path, format!("{} is given twice", Shown(path)), Some(help));
    }

    /// A mistake in the other document.
    fn mistake(&mut self, path: &[Step], what: String, help: Option<String>) {
        let (file, path) = located(&self.origins, path);
        let File { name, places } = &self.document.files[self.first_file + file];
        self.mistakes.push(Diagnostic {
            file: name.clone(),
            place: places.find(&path, At::Key),
            what,
            help,
        });
    }
}

fn step(key: &Value) -> Step {
    // Any other key is a mistake, told when the document is read.
    Step::Key(key.as_str().unwrap_or_default().to_owned())
}

/// One spelling for each file that exists.
fn canonical(path: &FilePath) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
