//! A file that a filter reads: looked at again while requests come, so that a change needs no reload.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::FilterError;

/// What a file says. While it has a mistake, what it said before holds.
pub struct Watched<T> {
    path: PathBuf,
    read: fn(&str) -> Result<T, String>,
    current: ArcSwap<T>,
    /// Held for a look at the file's date, by one request in a second; the others pass by.
    looked: Mutex<(Instant, Stamp)>,
}

/// By what a changed file is told: when it was written, and its length.
type Stamp = (Option<SystemTime>, u64);

impl<T> Watched<T> {
    /// For how long a file is not looked at again.
    const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

    /// # Errors
    /// The file cannot be read, or `read` finds a mistake in it.
    pub fn open(path: &Path, read: fn(&str) -> Result<T, String>) -> Result<Self, FilterError> {
        let (content, stamp) = load(path, read)?;
        Ok(Self {
            path: path.to_owned(),
            read,
            current: ArcSwap::from_pointee(content),
            looked: Mutex::new((Instant::now(), stamp)),
        })
    }

    pub fn get(&self) -> Arc<T> {
        if let Some(mut looked) = self.looked.try_lock()
            && looked.0.elapsed() >= Self::BETWEEN_LOOKS
        {
            looked.0 = Instant::now();
            if stamp(&self.path).is_some_and(|stamp| stamp != looked.1) {
                self.reload(&mut looked.1);
            }
        }
        self.current.load_full()
    }

    fn reload(&self, known: &mut Stamp) {
        match load(&self.path, self.read) {
            Ok((content, stamp)) => {
                self.current.store(Arc::new(content));
                *known = stamp;
                tracing::info!(file = %self.path.display(), "read anew");
            }
            Err(error) => {
                *known = stamp(&self.path).unwrap_or(*known);
                tracing::warn!("{error}; what it said before holds");
            }
        }
    }
}

fn load<T>(path: &Path, read: fn(&str) -> Result<T, String>) -> Result<(T, Stamp), FilterError> {
    let wrong = |why: String| FilterError(format!("{}: {why}", path.display()));
    let stamp = stamp(path).unwrap_or_default();
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Ok((read(&text).map_err(wrong)?, stamp))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}
