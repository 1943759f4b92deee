//! That nobody could be connected to, remembered until somebody can be: meanwhile requests are refused at once, and the
//! pool itself knocks at some doors every moment. Else each request would knock at every door of a pool that is dead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::time::{sleep, timeout};

use crate::pool::choose::chooser::Chooser;
use crate::pool::clock::Moment;
use crate::pool::members::backend::Backend;
use crate::pool::transport::Transport;

#[derive(Default)]
pub struct Silence {
    /// Since when; 0 while somebody answers.
    since: AtomicU64,
    /// When a request was refused for it last.
    refused_at: AtomicU64,
}

impl Silence {
    /// Whether a request is refused at once.
    pub fn refuses(&self) -> bool {
        let refuses = self.since() > 0;
        if refuses {
            self.refused_at.store(Moment::now().raw(), Ordering::Relaxed);
        }
        refuses
    }

    /// A request has found nobody: if none of those it tried could be connected to, the next ones need not try until this
    /// has somebody knock, see [`knock`].
    pub fn begin(&self, tried: &[Arc<Backend>]) -> Option<Since> {
        if tried.is_empty() || !tried.iter().all(|backend| backend.is_unreachable()) {
            return None;
        }
        let now = Moment::now().raw();
        self.refused_at.store(now, Ordering::Relaxed);
        let begun = self.since.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        begun.is_ok().then_some(Since(now))
    }

    /// Somebody answers, or is found to be well.
    pub fn end(&self) {
        // Read first: with every answer good, no processor has to take the line from another.
        if self.since() > 0 {
            self.since.store(0, Ordering::Release);
        }
    }

    fn since(&self) -> u64 {
        self.since.load(Ordering::Acquire)
    }

    /// Whether nobody has asked for so long that the next one may find out by itself.
    fn is_forgotten(&self) -> bool {
        Moment::now().since(Moment::from_raw(self.refused_at.load(Ordering::Relaxed))) > MEMORY
    }
}

/// One silence of several.
pub struct Since(u64);

/// Ends this silence once somebody can be connected to, or it is no more.
pub async fn knock(silence: Weak<Silence>, chooser: Arc<Chooser>, transport: Arc<Transport>, since: Since) {
    loop {
        sleep(MOMENT).await;
        // A pool that a reload has replaced is asked no more.
        let Some(silence) = silence.upgrade() else { return };
        if silence.since() != since.0 {
            return;
        }
        let doors = chooser.some_that_may_serve(DOORS);
        if silence.is_forgotten() || is_any_open(&doors, &transport).await {
            return silence.end();
        }
    }
}

async fn is_any_open(doors: &[Arc<Backend>], transport: &Transport) -> bool {
    let opening = |backend| Box::pin(async move { timeout(PATIENCE, transport.open(backend, None)).await? });
    let opened = doors.iter().map(|backend| opening(backend.target()));
    !doors.is_empty() && select_ok(opened).await.is_ok()
}

/// From one knock to the next.
const MOMENT: Duration = Duration::from_millis(100);
/// Backends that are tried at a time.
const DOORS: usize = 8;
/// How long they have to open.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long after the last request the silence is remembered.
const MEMORY: Duration = Duration::from_secs(3);
