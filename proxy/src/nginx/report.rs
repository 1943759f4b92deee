//! What became of each directive: carried over, changed, harmless or missing.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::Serialize;

use super::syntax::{Directive, Place};
use super::texts::Words;

/// What became of a directive, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It changes nothing that a client or a backend could see.
    Harmless,
    /// Veil does what it says.
    Carried,
    /// Veil does something near it; the notes say what.
    Changed,
    /// Veil does not do it; the notes say what to do.
    Missing,
}

/// All directives of a configuration.
#[derive(Debug, Default)]
pub struct Report {
    /// There may be hundreds of thousands, of which each is looked up several times.
    entries: HashMap<(Place, String), Entry>,
    /// The variables that the configuration makes itself.
    pub(super) words: Words,
}

#[derive(Debug)]
struct Entry {
    fate: Fate,
    notes: BTreeSet<String>,
}

/// One line of a report.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    pub file: &'a str,
    pub line: usize,
    pub directive: &'a str,
    pub fate: Fate,
    pub notes: Vec<&'a str>,
}

impl Report {
    pub fn harmless(&mut self, directive: &Directive, note: impl Into<String>) {
        self.note(directive, Fate::Harmless, note.into());
    }

    pub fn carried(&mut self, directive: &Directive) {
        self.note(directive, Fate::Carried, String::new());
    }

    pub fn changed(&mut self, directive: &Directive, note: impl Into<String>) {
        self.note(directive, Fate::Changed, note.into());
    }

    pub fn missing(&mut self, directive: &Directive, note: impl Into<String>) {
        self.note(directive, Fate::Missing, note.into());
    }

    /// One that many places inherit has the worst of what became of it in each.
    fn note(&mut self, directive: &Directive, fate: Fate, note: String) {
        let entry = self.entries.entry(key(directive)).or_insert(Entry {
            fate,
            notes: BTreeSet::new(),
        });
        if fate > entry.fate {
            entry.fate = fate;
            entry.notes.clear();
        }
        if fate == entry.fate && !note.is_empty() {
            entry.notes.insert(note);
        }
    }

    /// Whether something has been said of it.
    pub fn knows(&self, directive: &Directive) -> bool {
        self.entries.contains_key(&key(directive))
    }

    /// Whether it is carried over at all.
    pub fn is_carried(&self, directive: &Directive) -> bool {
        let fate = self.entries.get(&key(directive)).map(|entry| entry.fate);
        matches!(fate, Some(Fate::Carried | Fate::Changed))
    }

    pub fn has_missing(&self) -> bool {
        self.count(Fate::Missing) > 0
    }

    /// In the order of their places.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.into_iter().map(|((place, directive), entry)| Line {
            file: &place.file,
            line: place.line,
            directive,
            fate: entry.fate,
            notes: entry.notes.iter().map(String::as_str).collect(),
        })
    }

    /// `41 carried, 5 changed, 9 harmless, 2 missing`
    pub fn summary(&self) -> String {
        let count = |fate| self.count(fate);
        format!(
            "{} carried, {} changed, {} harmless, {} missing",
            count(Fate::Carried),
            count(Fate::Changed),
            count(Fate::Harmless),
            count(Fate::Missing)
        )
    }

    fn count(&self, fate: Fate) -> usize {
        self.entries.values().filter(|entry| entry.fate == fate).count()
    }
}

fn key(directive: &Directive) -> (Place, String) {
    (directive.place.clone(), directive.to_string())
}

/// The directive as it was written, without its block.
impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for word in &self.words {
            let needs_quotes = word.text.is_empty() || word.text.contains([' ', ';', '{', '}', '\t', '\n']);
            if needs_quotes {
                write!(f, " {:?}", word.text)?;
            } else {
                write!(f, " {}", word.text)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fate, name) in [(Fate::Changed, "changed"), (Fate::Missing, "missing")] {
            for line in self.lines().filter(|line| line.fate == fate) {
                writeln!(f, "{}:{}: {name}: {}", line.file, line.line, line.directive)?;
                line.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
            }
        }
        writeln!(f, "{}", self.summary())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    #[test]
    fn the_worst_counts() {
        let directives = parse("x", "a b;\nc 'd e';").unwrap();
        let mut report = Report::default();
        report.changed(&directives[0], "a little");
        report.carried(&directives[0]);
        report.carried(&directives[1]);
        report.missing(&directives[1], "do this");
        report.missing(&directives[1], "do this");
        let shown = "x:1: changed: a b\n  a little\nx:2: missing: c \"d e\"\n  do this\n\
                     0 carried, 1 changed, 0 harmless, 1 missing\n";
        assert_eq!(report.to_string(), shown);
    }
}
