//! Requests that have waited long for a place at a backend, and answers that hold one because their clients take little.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a pool's requests want of its answers.
#[derive(Debug, Default)]
pub struct Demand {
    /// Who asks, the first first. Contended only while requests have waited long.
    asking: Mutex<VecDeque<Arc<()>>>,
    asked: Notify,
}

/// One place is asked for while it lives, until one is given up for it.
pub struct Asking<'a> {
    demand: &'a Demand,
    token: Arc<()>,
}

impl Demand {
    pub fn ask(&self) -> Asking<'_> {
        let token = Arc::default();
        self.asking.lock().push_back(Arc::clone(&token));
        self.asked.notify_waiters();
        Asking { demand: self, token }
    }

    /// Waits until a place is asked for.
    pub(super) async fn asked(&self) {
        let mut asked = std::pin::pin!(self.asked.notified());
        asked.as_mut().enable();
        if self.asking.lock().is_empty() {
            asked.await;
        }
    }

    /// Says whether a place is asked for, which is to be given up then: for each that asks, one.
    pub(super) fn meet(&self) -> bool {
        self.asking.lock().pop_front().is_some()
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.demand
            .asking
            .lock()
            .retain(|other| !Arc::ptr_eq(other, &self.token));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn one_place_is_given_up_for_each_that_asks_and_none_once_it_asks_no_more() {
        let demand = Demand::default();
        let moment = Duration::from_millis(1);
        assert!(timeout(moment, demand.asked()).await.is_err());
        let (first, second) = (demand.ask(), demand.ask());
        assert!(timeout(moment, demand.asked()).await.is_ok());
        assert!(demand.meet());
        drop(first);
        assert!(demand.meet());
        assert!(!demand.meet());
        drop(second);
        drop(demand.ask());
        assert!(!demand.meet());
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_a_place_hears_of_it() {
        let demand = Arc::new(Demand::default());
        let holder = tokio::spawn({
            let demand = Arc::clone(&demand);
            async move {
                demand.asked().await;
                demand.meet()
            }
        });
        tokio::task::yield_now().await;
        let _asking = demand.ask();
        assert!(
            timeout(Duration::from_secs(1), holder)
                .await
                .is_ok_and(|met| met.is_ok_and(|met| met))
        );
    }
}
