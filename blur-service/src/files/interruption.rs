//! Hears of TERM and INT: what is under way is ended, and nothing else begun. A second one ends the process at once.

use std::{
    process,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Whether it was heard, and who waits for it.
pub struct Interruption(Arc<(Mutex<bool>, Condvar)>);

impl Interruption {
    /// # Errors
    /// The system's.
    pub fn listen() -> anyhow::Result<Self> {
        let heard = Arc::new((Mutex::new(false), Condvar::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let told = heard.clone();
        let listen = async move {
            let mut next = async || tokio::select! { _ = signals.0.recv() => {}, _ = signals.1.recv() => {} };
            next().await;
            *told.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            told.1.notify_all();
            next().await;
            process::exit(AT_ONCE);
        };
        let thread = thread::Builder::new().name("signals".into());
        thread
            .spawn(move || runtime.block_on(listen))
            .context("cannot listen for signals")?;
        Ok(Self(heard))
    }

    pub fn is_heard(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is heard by the end of the pause.
    pub fn comes_within(&self, pause: Duration) -> bool {
        let (heard, told) = &*self.0;
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = told.wait_timeout_while(heard, pause, |heard| !*heard);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// As a shell tells of a program that INT has ended.
const AT_ONCE: i32 = 130;
