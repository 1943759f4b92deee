//! A file or object that tells of every picture what became of it, a line of JSON each by their names, also after runs that
//! were ended: it is written now and then, and each run goes on with what the one before has told.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anyhow::Context;
use serde::Deserialize;

use super::{
    outcome::{Outcome, What},
    place::{Origin, Place},
};

pub struct Manifest {
    place: Place,
    /// By the picture.
    lines: BTreeMap<String, String>,
    unwritten: usize,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Told {
    path: String,
    status: String,
}

impl Manifest {
    /// What is there already counts, unless all is done `anew`.
    ///
    /// # Errors
    /// The system's, or the store's; what is no manifest.
    pub fn open(place: Place, anew: bool) -> anyhow::Result<Self> {
        let there = place
            .read()
            .with_context(|| format!("cannot read the manifest {place}"))?;
        let text = String::from_utf8(there.filter(|_| !anew).unwrap_or_default())?;
        let lines = text.lines().map(line).collect::<Result<Vec<_>, _>>();
        let lines = lines.with_context(|| format!("{place} is no manifest; it is left as it is"))?;
        Ok(Self {
            place,
            lines: lines.into_iter().flatten().collect(),
            unwritten: 0,
        })
    }

    /// Whether it tells how this picture was blurred.
    pub fn tells_of(&self, source: &Place) -> bool {
        self.lines.contains_key(&source.to_string())
    }

    /// # Errors
    /// The system's, or the store's.
    pub fn add(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        if matches!(outcome.what, What::Skipped { .. }) && self.tells_of(&outcome.path) {
            return Ok(());
        }
        self.lines
            .insert(outcome.path.to_string(), serde_json::to_string(outcome)?);
        self.unwritten += 1;
        // Whatever its length, it is written at most some ten times over.
        if self.unwritten >= OFTEN.max(self.lines.len() / 10) {
            self.write()
        } else {
            Ok(())
        }
    }

    /// # Errors
    /// The system's, or the store's.
    pub fn write(&mut self) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for line in self.lines.values() {
            writeln!(text, "{line}")?;
        }
        let written = self.place.write(text, "application/x-ndjson", &Origin::here(), true);
        written.with_context(|| format!("cannot write the manifest {}", self.place))?;
        self.unwritten = 0;
        Ok(())
    }
}

/// None for a picture that is tried again.
fn line(line: &str) -> io::Result<Option<(String, String)>> {
    let told: Told = serde_json::from_str(line)?;
    Ok(DONE.contains(&&*told.status).then(|| (told.path, line.to_owned())))
}

const OFTEN: usize = 100;
const DONE: [&str; 2] = ["blurred", "skipped"];
