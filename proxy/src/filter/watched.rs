//! A file that a filter reads: looked at again while requests come, so that a change needs no reload.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::FilterError;
use crate::stamp::Stamp;

/// What a file says. While it has a mistake, what it said before holds.
pub struct Watched<T> {
    path: PathBuf,
    read: fn(&str) -> Result<T, String>,
    current: ArcSwap<T>,
    /// Held for a look at the file's date, by one request in a second; the others pass by.
    looked: Mutex<(Instant, Option<Stamp>)>,
}

impl<T> Watched<T> {
    /// For how long a file is not looked at again.
    const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

    /// # Errors
    /// The file cannot be read, or `read` finds a mistake in it.
    pub fn open(path: &Path, read: fn(&str) -> Result<T, String>) -> Result<Self, FilterError> {
        let stamp = Stamp::of(path);
        Ok(Self {
            path: path.to_owned(),
            read,
            current: ArcSwap::from_pointee(load(path, read)?),
            looked: Mutex::new((Instant::now(), stamp)),
        })
    }

    pub fn get(&self) -> Arc<T> {
        if let Some(mut looked) = self.looked.try_lock()
            && looked.0.elapsed() >= Self::BETWEEN_LOOKS
        {
            looked.0 = Instant::now();
            // Looked at before it is read: what is written meanwhile is seen the next time.
            let stamp = Stamp::of(&self.path);
            if stamp.is_some() && stamp != looked.1 {
                looked.1 = stamp;
                self.reload();
            }
        }
        self.current.load_full()
    }

    fn reload(&self) {
        match load(&self.path, self.read) {
            Ok(content) => {
                self.current.store(Arc::new(content));
                tracing::info!(file = %self.path.display(), "read anew");
            }
            Err(error) => tracing::warn!("{error}; what it said before holds"),
        }
    }
}

fn load<T>(path: &Path, read: fn(&str) -> Result<T, String>) -> Result<T, FilterError> {
    let wrong = |why: String| FilterError(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    read(&text).map_err(wrong)
}
