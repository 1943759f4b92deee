//! The signals that Veil obeys: TERM, INT and QUIT drain, HUP reloads, USR1 opens the access log anew, USR2 upgrades.

use std::collections::VecDeque;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Drain, and end.
    Stop,
    Reload,
    ReopenLogs,
    Upgrade,
}

pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    /// Came while only [`Signals::stop`] was waited for.
    missed: VecDeque<Event>,
    /// TERM and INT end at once, without a drain.
    is_hasty: bool,
    /// One of those has come.
    is_over: bool,
}

impl Signals {
    /// `is_hasty`: TERM and INT wait for no request in flight, as with Nginx.
    pub fn listen(is_hasty: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            missed: VecDeque::new(),
            is_hasty,
            is_over: false,
        })
    }

    pub async fn next(&mut self) -> Event {
        match self.missed.pop_front() {
            Some(event) => event,
            None => self.received().await,
        }
    }

    /// Returns when Veil is told to stop, and keeps all else for later.
    pub async fn stop(&mut self) {
        if self.is_over {
            return;
        }
        loop {
            match self.received().await {
                Event::Stop => return,
                event if self.missed.contains(&event) => {}
                event => self.missed.push_back(event),
            }
        }
    }

    async fn received(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => {
                self.is_over = self.is_hasty;
                Event::Stop
            }
            _ = self.interrupt.recv() => {
                self.is_over = self.is_hasty;
                Event::Stop
            }
            _ = self.quit.recv() => Event::Stop,
            _ = self.hangup.recv() => Event::Reload,
            _ = self.user1.recv() => Event::ReopenLogs,
            _ = self.user2.recv() => Event::Upgrade,
        }
    }
}
