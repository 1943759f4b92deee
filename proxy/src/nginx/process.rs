//! How Nginx would run as a process, which is for the command line: Veil's YAML says nothing of it.

use std::path::PathBuf;

use super::files::{self, ReadError};
use super::origin::Origin;
use super::report::Report;
use super::scope::Scope;

/// What the directives outside of any block say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// None where the file says nothing.
    pub pid: Option<PathBuf>,
    /// None where the file says nothing; an empty path is stderr.
    pub error_log: Option<PathBuf>,
    pub daemon: bool,
    /// Each file of the configuration as it is.
    pub files: Vec<(PathBuf, String)>,
}

/// Reads it from a configuration.
///
/// # Errors
/// A file that cannot be read, or that Nginx would not take.
pub fn process(origin: &Origin) -> Result<Process, ReadError> {
    let read = files::read(origin, &mut Report::default())?;
    let main = Scope::of(&read.directives);
    let named = |name| Some(main.one(name)?.word(0).to_owned());
    Ok(Process {
        pid: named("pid").map(PathBuf::from),
        error_log: named("error_log").map(|file| if file == "stderr" { PathBuf::new() } else { file.into() }),
        daemon: named("daemon").as_deref() != Some("off"),
        files: read.files,
    })
}
