//! A client's connection: what it is doing, and since when.
//!
//! Instead of a timer a read, every connection writes down when its present phase began, and one sweep a tick ends those
//! that overstay: see [`Phase`] for how long each may last.

mod all;
mod downstream;
mod ended;
mod phase;
mod socket;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use pingora::proxy::Session;

pub use self::all::{Connections, Dispensable, Entered};
pub use self::downstream::Downstream;
pub use self::ended::Cause;
use self::phase::{Ending, Phase};
pub use self::socket::Socket;
use crate::client::listener::Listener;
use crate::client::proxy_protocol::Ends;
use crate::request::Scheme;
use crate::request::connection::{ConnectionCounts, Keeping, OnConnection};
use crate::request::notes::TlsFacts;
use crate::request::spelling::Spelling;

/// One client's connection.
pub struct Connection {
    id: u64,
    /// As the system tells.
    ends: Ends,
    /// As the proxy in front has told.
    told: OnceLock<Ends>,
    pub listener: Arc<Listener>,
    /// Once the handshake is over.
    tls: OnceLock<Arc<TlsFacts>>,
    all: Arc<Connections>,
    /// When it was accepted.
    opened: u64,
    phase: AtomicU8,
    since: AtomicU64,
    /// Milliseconds between an answer and the next request; as the listener says unless given.
    idle: AtomicU64,
    /// When the client ceased to take what we write.
    blocked_since: AtomicU64,
    /// HTTP/2, where requests do not come one after the other.
    multiplexed: AtomicBool,
    /// HTTP/2: those that are being served.
    streams: AtomicU32,
    requests: AtomicU64,
    /// HTTP/1: the present request was there before the one before it had its answer.
    pipelined: AtomicBool,
    /// It is to leave if it idles.
    asked: AtomicBool,
    /// Its listener is gone, or has other settings by now.
    outdated: AtomicBool,
    ended: AtomicBool,
    /// It ends with a reset, see [`Connection::cut`].
    cut: AtomicBool,
    /// Who to wake at the end; contended by the sweep only.
    waker: Mutex<Option<Waker>>,
    /// HTTP/1: of the present request's target. Contended by nobody.
    spelling: Mutex<Option<Spelling>>,
}

/// `Connection::blocked_since` while nothing is blocked, `Connection::idle` where nothing is said.
const NEVER: u64 = u64::MAX;

impl Connection {
    /// The connection that a session runs on; none for a session that no listener of ours has made.
    pub fn of(session: &Session) -> Option<&Arc<Connection>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref::<Arc<Connection>>()
    }

    /// Has it end with a reset: where the connection's end is the answer's, nothing else tells that the answer is not whole.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }

    /// How the next request's target was sent, where it is written otherwise.
    pub fn note_spelling(&self, spelling: Option<Spelling>) {
        *self.spelling.lock() = spelling;
    }

    /// What [`Connection::note_spelling`] has told, once.
    pub fn take_spelling(&self) -> Option<Spelling> {
        self.spelling.lock().take()
    }

    /// Whether its requests end because Veil does.
    pub fn is_stopped(&self) -> bool {
        self.all.is_stopped()
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The other end, with IPv4 written as such: the client's, where a proxy in front has told of it.
    pub fn peer(&self) -> SocketAddr {
        self.ends().client
    }

    /// This end, or that which the client connected to.
    pub fn local(&self) -> SocketAddr {
        self.ends().server
    }

    fn ends(&self) -> &Ends {
        self.told.get().unwrap_or(&self.ends)
    }

    /// Whether a proxy in front tells of the client first.
    pub fn begins_with_word_of_client(&self) -> bool {
        self.listener.config.proxy_protocol && self.listener.trusts(self.ends.client.ip())
    }

    /// A proxy in front has told of the client.
    pub fn is_told(&self, ends: Ends) {
        let _ = self.told.set(ends.canonical());
    }

    pub fn scheme(&self) -> Scheme {
        self.listener.scheme()
    }

    /// A request's head is complete.
    pub fn begin_request(&self) {
        self.all.count_request();
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.is_multiplexed() {
            self.work();
        }
    }

    /// The answer is out; a further request may come, or is there already.
    pub fn await_request(&self, is_pipelined: bool) {
        self.pipelined.store(is_pipelined, Ordering::Relaxed);
        self.since.store(self.all.measured(), Ordering::Relaxed);
        self.phase.store(Phase::Waiting as u8, Ordering::Relaxed);
    }

    /// How long it may wait for a further request, in place of what its listener says.
    pub fn waits_for(&self, idle: Option<Duration>) {
        let idle = idle.map_or(NEVER, |idle| idle.as_millis() as u64);
        self.idle.store(idle, Ordering::Relaxed);
    }

    /// The client speaks HTTP/2.
    pub fn multiplex(&self) {
        self.multiplexed.store(true, Ordering::Relaxed);
    }

    /// A request has come over HTTP/2; until the guard is dropped it is being served.
    pub fn begin_stream(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Ordering::AcqRel);
        self.work();
        Stream(Arc::clone(self))
    }

    /// HTTP/2: whether a request is being served.
    pub fn is_busy(&self) -> bool {
        self.streams.load(Ordering::Acquire) > 0
    }

    /// When the first byte came, if that is how long a head is being waited for.
    pub fn reading_for(&self) -> Duration {
        match self.phase() {
            Phase::Reading => self.age(self.all.measured()),
            _ => Duration::ZERO,
        }
    }

    /// Ready when the connection idles and is to leave.
    pub async fn asked_to_leave(&self) {
        poll_fn(|cx| {
            self.park(cx);
            match self.asked.load(Ordering::Acquire) {
                true if self.is_idle() => Poll::Ready(()),
                true => {
                    self.asked.store(false, Ordering::Release);
                    Poll::Pending
                }
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// What it was let in by does not hold any more: it ends with the requests at hand.
    fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
        self.end(Ending::IfIdle);
    }

    fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    /// Ready when no request is wanted any more but those at hand.
    pub async fn is_to_end(&self) {
        poll_fn(|cx| {
            self.park(cx);
            match self.is_outdated() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Whoever asked it to leave came too late.
    fn work(&self) {
        if self.asked.load(Ordering::Relaxed) {
            self.asked.store(false, Ordering::Release);
        }
        self.enter_phase(Phase::Working);
    }

    /// Says whether it had not been told to end before.
    fn end(&self, ending: Ending) -> bool {
        let flag = match ending {
            Ending::IfIdle => &self.asked,
            // Every further read and write fails.
            Ending::Now => &self.ended,
        };
        let is_news = !flag.swap(true, Ordering::AcqRel);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
        is_news
    }

    fn end_because(&self, cause: Cause, ending: Ending) {
        if self.end(ending) {
            self.all.ended.count(cause);
        }
    }

    /// Its end has come on its own task, for a cause that it found itself.
    pub fn ends_because(&self, cause: Cause) {
        self.end_because(cause, Ending::Now);
    }

    fn overstays(&self, now: u64) -> Option<(Cause, Ending)> {
        let timeouts = &self.listener.config.timeouts;
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked != NEVER && since(blocked, now) > timeouts.send.get() {
            return Some((Cause::Slow, Ending::Now));
        }
        let idle = match self.idle.load(Ordering::Relaxed) {
            NEVER => timeouts.idle.get(),
            idle => Duration::from_millis(idle),
        };
        match self.phase().overstays(self.age(now), timeouts.head.get(), idle)? {
            Ending::Now => Some((Cause::Late, Ending::Now)),
            Ending::IfIdle => self.is_idle().then_some((Cause::Idle, Ending::IfIdle)),
        }
    }

    /// How it would end in favour of a newcomer, and since when it has not been at work.
    fn makes_room(&self, now: u64) -> Option<(u64, Ending)> {
        let ending = self.phase().makes_room(self.age(now))?;
        let dispensable = !self.has_ended() && (ending == Ending::Now || self.is_idle());
        dispensable.then(|| (self.since.load(Ordering::Relaxed), ending))
    }

    /// Between requests, and all that was written is with the client's side.
    fn is_idle(&self) -> bool {
        self.phase() == Phase::Waiting && !self.is_busy() && self.blocked_since.load(Ordering::Relaxed) == NEVER
    }

    fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    /// Time in the present phase.
    fn age(&self, now: u64) -> Duration {
        since(self.since.load(Ordering::Relaxed), now)
    }

    fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Relaxed))
    }

    /// What the handshake has told, to be known before the first request.
    pub fn has_shaken_hands(&self, facts: TlsFacts) {
        let _ = self.tls.set(Arc::new(facts));
    }

    /// None over plain HTTP.
    pub fn tls(&self) -> Option<&Arc<TlsFacts>> {
        self.tls.get()
    }

    /// Whether it has come with plain HTTP where TLS is spoken.
    pub fn speaks_plainly(&self) -> bool {
        self.listener.tls.is_some() && self.tls().is_none()
    }

    fn enter_phase(&self, phase: Phase) {
        self.since.store(self.all.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn bytes_arrived(&self) {
        // Over HTTP/2 bytes may be no part of a request.
        let begins = match self.phase() {
            Phase::Opening => true,
            Phase::Waiting => !self.is_multiplexed(),
            Phase::Reading | Phase::Working | Phase::Closing => false,
        };
        if begins {
            self.since.store(self.all.measured(), Ordering::Relaxed);
            self.phase.store(Phase::Reading as u8, Ordering::Relaxed);
        }
    }

    /// Something is about to be written that is not part of a handshake.
    fn answers(&self) {
        if self.phase() == Phase::Reading && !self.is_multiplexed() {
            self.enter_phase(Phase::Working);
        }
    }

    /// Nothing more will be written.
    fn closes(&self) {
        if self.phase() != Phase::Closing {
            self.enter_phase(Phase::Closing);
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn check(&self) -> io::Result<()> {
        match self.has_ended() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
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

impl OnConnection for Connection {
    fn number(&self) -> u64 {
        self.id + 1
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn open_for(&self) -> Duration {
        since(self.opened, self.all.measured())
    }

    fn is_kept_after(&self, keeping: Option<Keeping>) -> bool {
        let keeping = keeping.unwrap_or_default();
        let is_over = keeping.requests.is_some_and(|most| self.requests() >= most)
            || keeping.time.is_some_and(|most| self.open_for() >= most)
            || keeping.idle.is_some_and(|idle| idle.is_zero());
        !is_over && !self.all.is_draining() && !self.is_outdated()
    }

    fn is_pipelined(&self) -> bool {
        self.pipelined.load(Ordering::Relaxed)
    }

    fn counts(&self) -> ConnectionCounts {
        self.all.counts()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {} of {}", self.id, self.peer())
    }
}

/// A request that is being served over HTTP/2.
pub struct Stream(Arc<Connection>);

impl Drop for Stream {
    fn drop(&mut self) {
        if self.0.streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.await_request(false);
        }
    }
}

/// From one time of the connections' clock to another.
fn since(then: u64, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(then))
}
