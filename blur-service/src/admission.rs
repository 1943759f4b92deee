//! Who may come in: a bounded number of pictures at a time, and two bounds on memory, one for the files as they were
//! sent and one for what they unfold to. Files are refused when theirs is spent; decoded pictures wait for theirs, and
//! since whoever waits holds nothing of it, somebody always goes on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

pub struct Admission {
    places: usize,
    taken: Arc<AtomicUsize>,
    files: Budget,
    pictures: Budget,
}

/// One picture's leave to be here, from its head to its answer.
pub struct Place {
    taken: Arc<AtomicUsize>,
}

impl Admission {
    /// `places` pictures at a time in `memory` bytes, a quarter of them for files.
    pub fn new(places: usize, memory: u64) -> Self {
        Self {
            places,
            taken: Arc::default(),
            files: Budget::new(memory / 4),
            pictures: Budget::new(memory - memory / 4),
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Error::Busy`] when there is none.
    pub fn enter(&self) -> Result<Place, Error> {
        let more = |taken| (taken < self.places).then_some(taken + 1);
        match self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Place {
                taken: self.taken.clone(),
            }),
            Err(_) => Err(Error::Busy),
        }
    }

    pub fn in_flight(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Memory for files as they were sent.
    pub fn files(&self) -> &Budget {
        &self.files
    }

    /// Memory for pictures as they are worked on.
    pub fn pictures(&self) -> &Budget {
        &self.pictures
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A bound on memory, counted in KiB.
pub struct Budget {
    total: u32,
    left: Arc<Semaphore>,
}

/// Memory that is spoken for as long as this lives.
pub struct Hold(OwnedSemaphorePermit);

impl Budget {
    fn new(bytes: u64) -> Self {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_picture_is_gone() {
        let admission = Admission::new(1, 1 << 20);
        let place = admission.enter().unwrap();
        assert!(matches!(admission.enter(), Err(Error::Busy)));
        drop(place);
        assert!(admission.enter().is_ok());
        assert_eq!(admission.in_flight(), 0);
    }

    #[test]
    fn files_beyond_the_budget_are_refused() {
        let admission = Admission::new(9, 4 << 20);
        let hold = admission.files().take(900 << 10).unwrap();
        assert!(matches!(admission.files().take(200 << 10), Err(Error::Busy)));
        assert_eq!(admission.files().bytes_taken(), 900 << 10);
        drop(hold);
        assert!(admission.files().take(200 << 10).is_ok());
    }

    #[tokio::test]
    async fn a_picture_that_could_never_fit_is_refused_and_does_not_wait() {
        let admission = Admission::new(9, 4 << 20);
        assert!(matches!(
            admission.pictures().wait_for(4 << 20).await,
            Err(Error::TooMuchMemory { .. })
        ));
    }

    #[tokio::test]
    async fn a_picture_waits_until_memory_is_free() {
        let admission = Arc::new(Admission::new(9, 4 << 20));
        let hold = admission.pictures().wait_for(2 << 20).await.unwrap();
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.pictures().wait_for(2 << 20).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(hold);
        assert!(waiting.await.unwrap());
    }
}
