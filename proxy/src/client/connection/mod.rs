//! Clients' connections: what each is doing, and since when.
//!
//! Instead of a timer a read, every connection writes down when its present phase began, and one sweep a tick ends those
//! that overstay: idle connections and clients that do not take their answer.

mod downstream;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use pingora::proxy::Session;
use tokio::time::MissedTickBehavior;

pub use self::downstream::Downstream;
use crate::client::listener::Listener;
use crate::request::Scheme;

/// All connections of all listeners, and the clock they share.
#[derive(Default)]
pub struct Connections {
    live: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Milliseconds since the start, as of the last sweep: cheap to read for every request.
    clock: AtomicU64,
    accepted: AtomicU64,
    requests: AtomicU64,
    /// Counted by the listeners' watches over framing.
    pub refused_heads: Arc<AtomicU64>,
}

/// Nginx's `stub_status`, as numbers, and what it has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    pub active: u64,
    pub accepted: u64,
    pub requests: u64,
    pub reading: u64,
    pub writing: u64,
    pub waiting: u64,
    pub refused_heads: u64,
}

impl Connections {
    /// How often overstaying connections are looked for; the precision of the listeners' timeouts.
    const TICK: Duration = Duration::from_millis(250);

    /// Enters a connection that has just been accepted.
    pub fn enter(self: &Arc<Self>, listener: &Arc<Listener>, peer: SocketAddr) -> Entered {
        let id = self.accepted.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            id,
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            listener: Arc::clone(listener),
            all: Arc::clone(self),
            phase: AtomicU8::new(Phase::Waiting as u8),
            since: AtomicU64::new(self.now()),
            blocked_since: AtomicU64::new(NEVER),
            requests: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        self.live.lock().insert(id, Arc::clone(&connection));
        Entered(connection)
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
                Phase::Waiting => counts.waiting += 1,
                Phase::Reading => counts.reading += 1,
                Phase::Working | Phase::Multiplexed => counts.writing += 1,
            }
        }
        counts
    }

    pub fn is_empty(&self) -> bool {
        self.live.lock().is_empty()
    }

    /// Ends overstaying connections, for ever.
    pub async fn sweep(&self) {
        let mut ticks = tokio::time::interval(Self::TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let start = ticks.tick().await;
        loop {
            let now = ticks.tick().await.duration_since(start).as_millis() as u64;
            self.clock.store(now, Ordering::Relaxed);
            for connection in self.live.lock().values().filter(|connection| connection.overstays(now)) {
                connection.end();
            }
        }
    }

    /// Ends the connections that wait for a further request. Those that have yet to send their first one get `grace`
    /// since they were accepted: their request is probably on its way.
    pub fn end_waiting(&self, grace: Duration) {
        let now = self.now();
        for connection in self.live.lock().values() {
            let fresh = connection.requests.load(Ordering::Relaxed) == 0 && connection.age(now) < grace;
            if connection.phase() == Phase::Waiting && !fresh {
                connection.end();
            }
        }
    }

    /// Makes room: ends the connection that has waited longest for a further request.
    pub fn end_longest_waiting(&self) {
        let live = self.live.lock();
        let waiting = live.values().filter(|connection| connection.phase() == Phase::Waiting);
        if let Some(longest) = waiting.min_by_key(|connection| connection.since.load(Ordering::Relaxed)) {
            longest.end();
        }
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

/// A connection's place among all others, for as long as it is served.
pub struct Entered(Arc<Connection>);

impl Deref for Entered {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.all.live.lock().remove(&self.0.id);
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// For the first byte of a request.
    Waiting,
    /// A head has begun and is not complete.
    Reading,
    /// A request is being served.
    Working,
    /// HTTP/2: many requests at once, with timeouts of its own.
    Multiplexed,
}

/// One client's connection.
pub struct Connection {
    id: u64,
    /// The other end, with IPv4 written as such.
    pub peer: SocketAddr,
    pub listener: Arc<Listener>,
    all: Arc<Connections>,
    phase: AtomicU8,
    since: AtomicU64,
    /// When the client ceased to take what we write.
    blocked_since: AtomicU64,
    requests: AtomicU32,
    ended: AtomicBool,
    /// Who to wake at the end; contended by the sweep only.
    waker: Mutex<Option<Waker>>,
}

/// `Connection::blocked_since` while nothing is blocked.
const NEVER: u64 = u64::MAX;

impl Connection {
    /// The connection that a session runs on; none for a session that no listener of ours has made.
    pub fn of(session: &Session) -> Option<&Arc<Connection>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref::<Arc<Connection>>()
    }

    pub fn scheme(&self) -> Scheme {
        self.listener.scheme()
    }

    /// A request's head is complete.
    pub fn begin_request(&self) {
        self.all.requests.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.phase() != Phase::Multiplexed {
            self.enter_phase(Phase::Working);
        }
    }

    /// The answer is out; a further request may come.
    pub fn await_request(&self) {
        self.enter_phase(Phase::Waiting);
    }

    /// The client speaks HTTP/2.
    pub fn multiplex(&self) {
        self.enter_phase(Phase::Multiplexed);
    }

    /// Makes every further read and write fail.
    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    fn overstays(&self, now: u64) -> bool {
        let timeouts = &self.listener.config.timeouts;
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked != NEVER && Duration::from_millis(now.saturating_sub(blocked)) > timeouts.send.get() {
            return true;
        }
        match self.phase() {
            Phase::Waiting if self.requests.load(Ordering::Relaxed) == 0 => self.age(now) > timeouts.head.get(),
            Phase::Waiting => self.age(now) > timeouts.idle.get(),
            // A head that has begun has a deadline of its own, and HTTP/2 has timeouts of its own.
            Phase::Reading | Phase::Working | Phase::Multiplexed => false,
        }
    }

    /// Time in the present phase.
    fn age(&self, now: u64) -> Duration {
        Duration::from_millis(now.saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Waiting,
            1 => Phase::Reading,
            2 => Phase::Working,
            _ => Phase::Multiplexed,
        }
    }

    fn enter_phase(&self, phase: Phase) {
        self.since.store(self.all.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn bytes_arrived(&self) {
        if self.phase() == Phase::Waiting {
            self.enter_phase(Phase::Reading);
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Keeps the account of how long the client has not taken what we write.
    fn note_write(&self, took: bool) {
        let blocked = self.blocked_since.load(Ordering::Relaxed) != NEVER;
        match (took, blocked) {
            (false, false) => self.blocked_since.store(self.all.now(), Ordering::Relaxed),
            (true, true) => self.blocked_since.store(NEVER, Ordering::Relaxed),
            (false, true) | (true, false) => {}
        }
    }

    /// Notes that the task waits, so that [`Connection::end`] wakes it.
    fn park(&self, cx: &Context<'_>) {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *slot = Some(cx.waker().clone());
        }
        drop(slot);
        if self.has_ended() {
            cx.waker().wake_by_ref();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {} of {}", self.id, self.peer)
    }
}
