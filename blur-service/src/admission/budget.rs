//! A bound on memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// A bound on memory, counted in KiB.
pub struct Budget {
    total: u32,
    left: Arc<Semaphore>,
}

/// Memory that is spoken for as long as this lives.
pub struct Hold(OwnedSemaphorePermit);

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        Self {
            total,
            left: Arc::new(Semaphore::new(total as usize)),
        }
    }

    /// Takes `bytes` now.
    ///
    /// # Errors
    /// [`Error::Busy`] when so much is not left.
    pub fn take(&self, bytes: u64) -> Result<Hold, Error> {
        let permit = self.left.clone().try_acquire_many_owned(self.kibibytes(bytes)?);
        permit.map(Hold).map_err(|_| Error::Busy)
    }

    /// Takes `bytes` as soon as those who asked before have had theirs.
    ///
    /// # Errors
    /// [`Error::TooMuchMemory`] when so much will never be left.
    pub async fn wait_for(&self, bytes: u64) -> Result<Hold, Error> {
        let permit = self.left.clone().acquire_many_owned(self.kibibytes(bytes)?).await;
        permit.map(Hold).map_err(Error::internal)
    }

    pub fn bytes_taken(&self) -> u64 {
        (u64::from(self.total) - self.left.available_permits() as u64) * KIB
    }

    fn kibibytes(&self, bytes: u64) -> Result<u32, Error> {
        let too_much = Error::TooMuchMemory {
            needed: bytes,
            limit: u64::from(self.total) * KIB,
        };
        u32::try_from(bytes.div_ceil(KIB))
            .ok()
            .filter(|wanted| *wanted <= self.total)
            .ok_or(too_much)
    }
}

impl Hold {
    /// Both as one.
    pub fn join(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

const KIB: u64 = 1024;
