//! That nobody could be connected to, remembered for a moment: then requests are refused at once, but for one in a while
//! that asks again. Else each would knock at every door of a pool that is dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::pool::clock::Moment;
use crate::pool::members::backend::Backend;

#[derive(Default)]
pub struct Silence {
    /// Until when; 0 while somebody answers.
    until: AtomicU64,
    /// Whom the last request was sent to that asked again.
    asked: ArcSwapOption<Backend>,
}

impl Silence {
    /// Whether a request is refused at once.
    pub fn refuses(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 {
            return false;
        }
        if self.asked.load().as_ref().is_some_and(|asked| !asked.is_unreachable()) {
            self.end();
            return false;
        }
        let now = Moment::now();
        if now.raw() < until {
            return true;
        }
        // Of those that come now, one asks.
        let won = self
            .until
            .compare_exchange(until, now.after(MOMENT).raw(), Ordering::AcqRel, Ordering::Acquire);
        won.is_err()
    }

    pub fn is_on(&self) -> bool {
        self.until.load(Ordering::Relaxed) > 0
    }

    /// A request is sent to this backend. While nobody answers, it counts as silent until a connection comes about.
    pub fn asks(&self, backend: &Arc<Backend>) {
        if self.is_on() {
            backend.suppose_unreachable();
            self.asked.store(Some(Arc::clone(backend)));
        }
    }

    /// A request has found nobody: if none of those it tried could be connected to, the next ones need not try.
    pub fn begin(&self, tried: &[Arc<Backend>]) {
        if !tried.is_empty() && tried.iter().all(|backend| backend.is_unreachable()) {
            self.asked.store(None);
            self.until.store(Moment::now().after(MOMENT).raw(), Ordering::Release);
        }
    }

    /// Somebody answers, or is found to be well.
    pub fn end(&self) {
        // Read first: with every answer good, no processor has to take the line from another.
        if self.is_on() {
            self.until.store(0, Ordering::Release);
            self.asked.store(None);
        }
    }
}

const MOMENT: Duration = Duration::from_millis(100);
