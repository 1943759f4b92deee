//! How this process was started, which its successor has to be told again.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use super::ServerError;
use crate::config::Source;
use crate::observe::outlet::Outlet;

/// What Veil runs with, beside what its configuration says.
#[derive(Clone)]
pub struct Launch {
    pub source: Source,
    /// Holds the process's number from when it listens until it ends. Nginx: `pid`.
    pub pid_file: Option<PathBuf>,
    /// Takes Veil's own log in place of stderr. Nginx: `error_log`.
    pub log_file: Option<PathBuf>,
    /// Veil's own log.
    pub log: Arc<Outlet>,
}

impl Launch {
    /// What `veil run` has to be told.
    pub fn arguments(&self) -> Vec<OsString> {
        arguments(&self.source, self.pid_file.as_ref(), self.log_file.as_ref())
    }

    /// Writes the process's number, if there is a file for it.
    pub(super) fn write_pid(&self) -> Result<Option<PidFile>, ServerError> {
        let Some(path) = self.pid_file.clone() else {
            return Ok(None);
        };
        let written = PidFile::write(path.clone());
        written
            .map(Some)
            .map_err(|source| ServerError::PidFile { path, source })
    }
}

/// What `veil run` has to be told of these.
pub fn arguments(source: &Source, pid_file: Option<&PathBuf>, log_file: Option<&PathBuf>) -> Vec<OsString> {
    let mut arguments = match source {
        Source::Local { listen } => listen
            .map(|address| format!("--listen={address}").into())
            .into_iter()
            .collect(),
        Source::File(file) => vec!["-c".into(), file.into()],
        Source::Nginx(origin) => origin.arguments(),
    };
    for (flag, file) in [("--pid-file", pid_file), ("--log-file", log_file)] {
        if let Some(file) = file {
            arguments.extend([flag.into(), file.into()]);
        }
    }
    arguments
}

/// The process's number in a file, which goes with it unless another process has written its own there.
pub struct PidFile(PathBuf);

impl PidFile {
    pub fn write(path: PathBuf) -> io::Result<Self> {
        fs::write(&path, format!("{}\n", process::id()))?;
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let is_ours = fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == process::id().to_string());
        if is_ours && let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, file = %self.0.display(), "the file of the process's number stays");
        }
    }
}
