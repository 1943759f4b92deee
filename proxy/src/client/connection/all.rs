//! All connections of all listeners, and the clock they share.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, timeout};

use super::ended::{Cause, Ended};
use super::phase::{Ending, Phase};
use super::{Connection, NEVER};
use crate::client::listener::Listener;
use crate::client::places::{Place, Places};
use crate::client::proxy_protocol::Ends;
use crate::memory;
use crate::request::connection::ConnectionCounts;

pub struct Connections {
    live: Mutex<HashMap<u64, Arc<Connection>>>,
    start: Instant,
    /// Milliseconds since the start, as of the last sweep: cheap to read for every request.
    clock: AtomicU64,
    accepted: AtomicU64,
    requests: AtomicU64,
    /// Counted by the listeners' watches over framing.
    pub refused_heads: Arc<AtomicU64>,
    pub ended: Ended,
    /// All are to leave.
    draining: AtomicBool,
    stopped: AtomicBool,
    /// One has left.
    left: Notify,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            live: Mutex::default(),
            start: Instant::now(),
            clock: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            refused_heads: Arc::default(),
            ended: Ended::default(),
            draining: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            left: Notify::new(),
        }
    }
}

impl Connections {
    /// How often overstaying connections are looked for; the precision of the listeners' timeouts.
    const TICK: Duration = Duration::from_millis(250);

    /// Enters a connection that has just been accepted.
    pub fn enter(self: &Arc<Self>, listener: &Arc<Listener>, ends: Ends, place: Place) -> Entered {
        let id = self.accepted.fetch_add(1, Ordering::Relaxed);
        let opened = self.measured();
        let connection = Arc::new(Connection {
            id,
            ends: ends.canonical(),
            told: OnceLock::new(),
            listener: Arc::clone(listener),
            tls: OnceLock::new(),
            all: Arc::clone(self),
            opened,
            phase: AtomicU8::new(Phase::Opening as u8),
            since: AtomicU64::new(opened),
            idle: AtomicU64::new(NEVER),
            blocked_since: AtomicU64::new(NEVER),
            multiplexed: AtomicBool::new(false),
            streams: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            pipelined: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            outdated: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            waker: Mutex::new(None),
            spelling: Mutex::new(None),
        });
        self.live.lock().insert(id, Arc::clone(&connection));
        Entered {
            connection,
            _place: place,
        }
    }

    pub fn counts(&self) -> ConnectionCounts {
        let mut counts = ConnectionCounts {
            accepted: self.accepted.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            refused_heads: self.refused_heads.load(Ordering::Relaxed),
            ..ConnectionCounts::default()
        };
        for connection in self.live.lock().values() {
            counts.active += 1;
            match connection.phase() {
                Phase::Opening | Phase::Waiting => counts.waiting += 1,
                Phase::Reading => counts.reading += 1,
                Phase::Working | Phase::Closing => counts.writing += 1,
            }
        }
        counts
    }

    /// Ends overstaying connections, for ever, and has the memory given back of those that have left.
    pub async fn sweep(&self) {
        let mut ticks = tokio::time::interval(Self::TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut crowd = Crowd::default();
        loop {
            ticks.tick().await;
            let now = self.measured();
            self.clock.store(now, Ordering::Relaxed);
            let there = self.end_overstaying(now);
            if crowd.has_left(there, now) {
                memory::give_back();
            }
        }
    }

    /// Returns how many connections and requests there are.
    fn end_overstaying(&self, now: u64) -> usize {
        let live = self.live.lock();
        let mut streams = 0;
        for connection in live.values() {
            streams += connection.streams.load(Ordering::Relaxed) as usize;
            if let Some((cause, ending)) = connection.overstays(now) {
                connection.end_because(cause, ending);
            }
        }
        live.len() + streams
    }

    /// Has those end that came by this listener, which is gone or has other settings: with the requests at hand, and at once
    /// where there is none. What it trusted and asked of clients would hold for them for as long as they go on asking.
    pub fn outdate(&self, listener: &Arc<Listener>) {
        let live = self.live.lock();
        let theirs = live
            .values()
            .filter(|connection| Arc::ptr_eq(&connection.listener, listener));
        theirs.for_each(|connection| connection.outdate());
    }

    /// Returns once all have left. Those that wait for a further request are asked to when `patience` is over since their
    /// last one: while there is patience they may send one, and its answer says that it is the last. Those that have yet
    /// to send their first one get [`Connections::FRESH`] since they were accepted: it is probably on its way.
    pub async fn drain(&self, patience: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        let begun = self.measured();
        loop {
            let left = self.left.notified();
            if self.live.lock().is_empty() {
                return;
            }
            self.ask_to_leave(begun, patience);
            // One that has left has been told by then.
            let _ = timeout(Self::FRESH / 20, left).await;
        }
    }

    /// Ends those that are left after their time, and waits for the last lines of their requests.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        for connection in self.live.lock().values() {
            connection.end(Ending::Now);
        }
        let _ = timeout(Self::LAST_LINES, self.drain(Duration::ZERO)).await;
    }

    /// Nobody is waited for any more: what is left to do needs no other side.
    const LAST_LINES: Duration = Duration::from_millis(500);

    /// Connections that were opened less than this ago may still send their first request when Veil drains, and those
    /// that speak HTTP/2 may send what crossed our word that it is the last.
    const FRESH: Duration = Duration::from_secs(1);

    fn ask_to_leave(&self, begun: u64, patience: Duration) {
        let now = self.measured();
        for connection in self.live.lock().values() {
            let age = connection.age(now);
            let drained_for = super::since(begun, now);
            match connection.phase() {
                Phase::Opening if age >= Self::FRESH => drop(connection.end(Ending::Now)),
                Phase::Waiting if connection.is_multiplexed() && drained_for.min(age) < Self::FRESH => {}
                Phase::Waiting if age >= patience => drop(connection.end(Ending::IfIdle)),
                _ => {}
            }
        }
    }

    /// Those of a listener that could leave in favour of newcomers, the ones that have been without work the longest
    /// first; a part of them if there are many.
    pub fn dispensable(&self, places: &Arc<Places>) -> VecDeque<Dispensable> {
        self.dispensable_where(|connection| Arc::ptr_eq(&connection.listener.places, places))
    }

    /// Ends the one of all listeners that has been without work the longest, in favour of all others.
    pub fn end_longest_idle(&self) {
        if let Some(longest) = self.dispensable_where(|_| true).pop_front() {
            longest.leave();
        }
    }

    fn dispensable_where(&self, wanted: impl Fn(&Connection) -> bool) -> VecDeque<Dispensable> {
        let now = self.measured();
        let live = self.live.lock();
        let candidates = live.values().filter(|connection| wanted(connection));
        let mut found: Vec<Dispensable> = candidates
            .filter_map(|connection| {
                let (since, _) = connection.makes_room(now)?;
                let connection = Arc::clone(connection);
                Some(Dispensable { connection, since })
            })
            .collect();
        let at_once = (live.len() / Self::LOOKS).max(Self::AT_ONCE);
        drop(live);
        if found.len() > at_once {
            found.select_nth_unstable_by_key(at_once, Dispensable::order);
            found.truncate(at_once);
        }
        found.sort_unstable_by_key(Dispensable::order);
        found.into()
    }

    /// How many connections one look finds to make room for as many newcomers: so many, or one in so many of all.
    const AT_ONCE: usize = 64;
    const LOOKS: usize = 16;

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// As of the last sweep.
    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Now.
    pub(super) fn measured(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

/// A connection that could leave in favour of a newcomer.
pub struct Dispensable {
    connection: Arc<Connection>,
    since: u64,
}

impl Dispensable {
    /// Of those that became idle in the same moment, who came first goes first: it has had more time to ask for something.
    fn order(&self) -> (u64, u64) {
        (self.since, self.connection.id)
    }

    /// Ends it, unless it has worked since it was found. Says whether it was told to.
    pub fn leave(&self) -> bool {
        let connection = &self.connection;
        match connection.makes_room(connection.all.measured()) {
            Some((since, ending)) if since == self.since => {
                connection.end_because(Cause::Room, ending);
                true
            }
            _ => false,
        }
    }

    /// Whether it was told to leave and has neither left nor got work.
    pub fn is_leaving(&self) -> bool {
        let connection = &self.connection;
        let told = connection.has_ended() || connection.asked.load(Ordering::Acquire);
        told && connection.all.live.lock().contains_key(&connection.id)
    }
}

/// A connection's place among all others, for as long as it is served.
pub struct Entered {
    connection: Arc<Connection>,
    _place: Place,
}

impl Deref for Entered {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let all = &self.connection.all;
        all.live.lock().remove(&self.connection.id);
        all.left.notify_one();
    }
}

/// How many there have been, to tell when many have left.
#[derive(Default)]
struct Crowd {
    most: usize,
    left_at: Option<u64>,
}

impl Crowd {
    /// Whether half of them left not long ago. What they held is free bit by bit.
    fn has_left(&mut self, there: usize, now: u64) -> bool {
        self.most = self.most.max(there);
        if self.most >= A_CROWD && there <= self.most / 2 {
            self.most = there;
            self.left_at = Some(now);
        }
        self.left_at
            .is_some_and(|left_at| now - left_at < GIVING_BACK.as_millis() as u64)
    }
}

/// So few do not matter.
const A_CROWD: usize = 32;

/// How long after a crowd has left the memory is given back that comes free.
const GIVING_BACK: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_left_when_half_of_it_has() {
        let mut crowd = Crowd::default();
        let steps = [
            (10, 0),
            (100, 250),
            (60, 500),
            (50, 750),
            (50, 10_500),
            (50, 11_000),
            (30, 11_250),
            (25, 11_500),
        ];
        let left = steps.map(|(there, now)| crowd.has_left(there, now));
        assert_eq!(left, [false, false, false, true, true, false, false, true]);
    }

    #[test]
    fn a_few_are_no_crowd() {
        let mut crowd = Crowd::default();
        assert!(!crowd.has_left(31, 0) && !crowd.has_left(0, 250));
    }
}
