//! One memory budget for the bodies of all requests. A request gets its share before it sends a byte of its body, waits
//! in line while there is none, and gives it back when it ends, however it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::config::BodyConfig;

/// Memory for bodies, counted in pages. Bodies in memory-backed files count as the others do.
pub struct Budget {
    free: Arc<Semaphore>,
    pages: u32,
    wait: Duration,
    spill_above: u64,
}

impl Budget {
    /// A reload that leaves the amounts as they are keeps `previous`, and with it what requests in flight hold.
    pub fn new(config: &BodyConfig, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let pages = pages(config.memory.get());
        let (wait, spill_above) = (config.memory_wait.get(), config.spill_above.get());
        match previous {
            Some(same) if (same.pages, same.wait, same.spill_above) == (pages, wait, spill_above) => same.clone(),
            _ => Arc::new(Self {
                free: Arc::new(Semaphore::new(pages as usize)),
                pages,
                wait,
                spill_above,
            }),
        }
    }

    /// Bytes of memory that a body could ever get.
    pub fn total(&self) -> u64 {
        u64::from(self.pages) * PAGE
    }

    /// Bytes of memory set aside for bodies at this moment.
    pub fn in_use(&self) -> u64 {
        self.total() - self.free.available_permits() as u64 * PAGE
    }

    /// Bodies above this many bytes are kept in memory-backed files.
    pub(super) fn spill_above(&self) -> u64 {
        self.spill_above
    }

    /// Sets `bytes` aside, in the order of asking, waiting for `memory_wait` at the longest.
    pub(super) async fn share(&self, bytes: u64) -> Result<Share, BudgetError> {
        let pages = pages(bytes);
        if pages > self.pages {
            return Err(BudgetError::NeverFits {
                wanted: bytes,
                total: self.total(),
            });
        }
        let permit = timeout(self.wait, self.free.clone().acquire_many_owned(pages))
            .await
            .map_err(|_| BudgetError::Full {
                wanted: bytes,
                total: self.total(),
            })?
            .expect("the semaphore is never closed");
        Ok(Share(permit))
    }
}

/// A request's part of the budget, until it is dropped.
pub(super) struct Share(OwnedSemaphorePermit);

impl Share {
    pub fn bytes(&self) -> u64 {
        self.0.num_permits() as u64 * PAGE
    }

    pub fn add(&mut self, other: Share) {
        self.0.merge(other.0);
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BudgetError {
    #[error("{wanted} bytes for a body are more than all memory for bodies, {total} bytes")]
    NeverFits { wanted: u64, total: u64 },
    #[error("no {wanted} bytes for a body became free, of {total}")]
    Full { wanted: u64, total: u64 },
}

fn pages(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX)
}

/// What a memory-backed file is made of, so that its last page is not forgotten.
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::yaml::units::ByteSize;

    fn budget(kib: u64) -> Arc<Budget> {
        Budget::new(
            &BodyConfig {
                memory: ByteSize::from_kib(kib),
                ..BodyConfig::default()
            },
            None,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_share_and_then_gives_up() {
        let budget = budget(64);
        let first = budget.share(40 << 10).await.unwrap();
        assert!(matches!(budget.share(40 << 10).await, Err(BudgetError::Full { .. })));

        let (second, ()) = tokio::join!(budget.share(40 << 10), async { drop(first) });
        assert_eq!(second.unwrap().bytes(), 40 << 10);
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test]
    async fn refuses_at_once_what_can_never_fit() {
        assert!(matches!(
            budget(64).share(65 << 10).await,
            Err(BudgetError::NeverFits { .. })
        ));
    }

    #[tokio::test]
    async fn counts_the_page_that_is_begun() {
        let budget = budget(64);
        let mut share = budget.share(1).await.unwrap();
        assert_eq!(budget.in_use(), PAGE);
        share.add(budget.share(PAGE + 1).await.unwrap());
        assert_eq!(budget.in_use(), 3 * PAGE);
    }

    #[test]
    fn survives_a_reload_that_leaves_it_alone() {
        let (before, config) = (
            budget(64),
            BodyConfig {
                memory: ByteSize::from_kib(64),
                ..BodyConfig::default()
            },
        );
        assert!(Arc::ptr_eq(&before, &Budget::new(&config, Some(&before))));
        assert!(!Arc::ptr_eq(
            &before,
            &Budget::new(&BodyConfig::default(), Some(&before))
        ));
    }
}
