//! What became of each picture, as a line of JSON and for people, and of all of them.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use serde::Serialize;

use super::place::{Place, Trouble};
use crate::{detect::Face, error::Error, geometry::Rect, keep::Field, pipeline::Blurred};

#[derive(Serialize)]
pub struct Outcome {
    pub path: Place,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum What {
    Blurred {
        output: Option<Place>,
        faces: Vec<Scored>,
        spared: Vec<Scored>,
        regions: Vec<Rect>,
        kept: Vec<Field>,
        /// The way that it took, as `X-Veil-Path`.
        road: &'static str,
    },
    /// Looked at, and not written.
    Seen { faces: Vec<Scored> },
    /// It was done before.
    Skipped { output: Place },
    /// It is no picture that can be done; nothing was written.
    Refused { code: &'static str, detail: String },
    /// Nothing was written.
    Failed {
        detail: String,
        /// Whether the next run may do better, though nobody mends anything.
        #[serde(skip)]
        may_pass: bool,
    },
}

#[derive(Serialize)]
pub struct Scored {
    #[serde(flatten)]
    pub rect: Rect,
    pub score: f32,
}

impl Scored {
    pub fn all(faces: &[Face]) -> Vec<Self> {
        let scored = |face: &Face| Self {
            rect: face.rect,
            score: face.score,
        };
        faces.iter().map(scored).collect()
    }
}

impl Outcome {
    /// What a person should hear of at once.
    pub fn why(&self) -> Option<String> {
        match &self.what {
            What::Refused { detail, .. } | What::Failed { detail, .. } => Some(format!("{}: {detail}", self.path)),
            _ => None,
        }
    }
}

impl What {
    pub fn blurred(blurred: &Blurred, output: Option<Place>) -> Self {
        Self::Blurred {
            output,
            faces: Scored::all(&blurred.faces),
            spared: Scored::all(&blurred.spared),
            regions: blurred.regions.clone(),
            kept: blurred.kept.clone(),
            road: blurred.road.name,
        }
    }

    pub fn failed(error: impl ToString) -> Box<Self> {
        Box::new(Self::Failed {
            detail: error.to_string(),
            may_pass: false,
        })
    }
}

impl From<Trouble> for Box<What> {
    fn from(trouble: Trouble) -> Self {
        Self::new(What::Failed {
            detail: trouble.to_string(),
            may_pass: trouble.may_pass(),
        })
    }
}

impl From<Error> for Box<What> {
    fn from(error: Error) -> Self {
        if error.status() >= 500 {
            let cause = error.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
            return What::failed(format!("{error}{cause}"));
        }
        Self::new(What::Refused {
            code: error.code(),
            detail: error.to_string(),
        })
    }
}

/// # Errors
/// The system's.
pub fn print(outcome: &Outcome) -> io::Result<()> {
    let mut line = serde_json::to_string(outcome)?;
    line.push('\n');
    io::stdout().write_all(line.as_bytes())
}

#[derive(Default)]
pub struct Tally {
    blurred: usize,
    seen: usize,
    skipped: usize,
    faces: usize,
    without_face: Vec<Place>,
    with_face: Vec<Place>,
    refused: Vec<Place>,
    failed: Vec<Place>,
    may_pass: bool,
}

impl Tally {
    pub fn add(&mut self, outcome: &Outcome) {
        let path = || outcome.path.clone();
        match &outcome.what {
            What::Blurred { faces, regions, .. } => {
                self.blurred += 1;
                self.count(faces.len(), regions.is_empty(), path());
            }
            What::Seen { faces } => {
                self.seen += 1;
                self.count(faces.len(), true, path());
            }
            What::Skipped { .. } => self.skipped += 1,
            What::Refused { .. } => self.refused.push(path()),
            What::Failed { may_pass, .. } => {
                self.may_pass |= may_pass;
                self.failed.push(path());
            }
        }
    }

    fn count(&mut self, faces: usize, is_bare: bool, path: Place) {
        self.faces += faces;
        if faces > 0 {
            self.with_face.push(path);
        } else if is_bare {
            self.without_face.push(path);
        }
    }

    /// Whether all is as it should be; where pictures are checked, none shows a face.
    pub fn is_good(&self, no_face: bool) -> bool {
        self.refused.is_empty() && self.failed.is_empty() && (!no_face || self.with_face.is_empty())
    }

    /// Whether something failed that the next run may do.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }

    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (count, what) in [
            (self.blurred, "blurred"),
            (self.seen, "looked at"),
            (self.skipped, "done before"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "{count} {what}");
            }
        }
        let _ = writeln!(text, "{} faces", self.faces);
        let seen = if self.seen > 0 { &self.with_face[..] } else { &[] };
        for (paths, what) in [
            (seen, "with a face"),
            (&self.without_face, "without a face: look yourself"),
            (&self.refused, "refused"),
            (&self.failed, "failed"),
        ] {
            if !paths.is_empty() {
                let _ = writeln!(text, "{} {what}", paths.len());
            }
            for path in paths {
                let _ = writeln!(text, "  {}", path);
            }
        }
        text
    }
}
