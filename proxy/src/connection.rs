//! A client's connection: what it is doing, since when, and the byte stream that Pingora reads and writes.
//!
//! Instead of a timer a read, every connection writes down when its present phase began, and one sweep a tick ends those
//! that overstay: idle connections and clients that do not take their answer.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use pingora::proxy::Session;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

use crate::listener::Listener;
use crate::request::Scheme;
use crate::tls::TlsStream;

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

    /// Notes that the task waits, so that [`Connection::end`] wakes it.
    fn park(&self, cx: &Context<'_>) {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *slot = Some(cx.waker().clone());
        }
        drop(slot);
        if self.ended.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {} of {}", self.id, self.peer)
    }
}

/// A connection's byte stream, as Pingora wants it.
pub struct Downstream {
    transport: Transport,
    connection: Arc<Connection>,
    socket: Arc<SocketDigest>,
    /// Carries the connection to [`Connection::of`].
    proxy: Arc<ProxyDigest>,
    tls: Option<Arc<SslDigest>>,
}

enum Transport {
    Plain(BufWriter<TcpStream>),
    Tls(Box<BufWriter<TlsStream>>),
}

/// Bytes of an answer's head and a small body that leave in one packet.
const WRITE_BUFFER: usize = 4096;

impl Downstream {
    pub fn plain(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self::new(
            stream.as_raw_fd(),
            None,
            connection,
            Transport::Plain(BufWriter::with_capacity(WRITE_BUFFER, stream)),
        )
    }

    pub fn tls(stream: TlsStream, connection: Arc<Connection>) -> Self {
        let (socket, session) = stream.get_ref();
        let name = |name: Option<&'static str>| name.unwrap_or_default();
        let digest = SslDigest::new(
            name(
                session
                    .negotiated_cipher_suite()
                    .and_then(|suite| suite.suite().as_str()),
            ),
            name(session.protocol_version().and_then(|version| version.as_str())),
            None,
            None,
            Vec::new(),
        );
        let transport = |stream| Transport::Tls(Box::new(BufWriter::with_capacity(WRITE_BUFFER, stream)));
        Self::new(
            socket.as_raw_fd(),
            Some(Arc::new(digest)),
            connection,
            transport(stream),
        )
    }

    fn new(fd: i32, tls: Option<Arc<SslDigest>>, connection: Arc<Connection>, transport: Transport) -> Self {
        let socket = SocketDigest::from_raw_fd(fd);
        let _ = socket.peer_addr.set(Some(connection.peer.into()));
        let nothing = ResponseHeader::build_no_case(200, Some(0)).expect("200 is a status");
        let proxy = ProxyDigest::new(Box::new(nothing), Some(Box::new(Arc::clone(&connection))));
        Self {
            transport,
            connection,
            socket: Arc::new(socket),
            proxy: Arc::new(proxy),
            tls,
        }
    }

    /// Whether the client begins with HTTP/2's preface (RFC 9113, 3.4). Waits for as many bytes as it takes to tell, and
    /// consumes none.
    pub async fn speaks_http2(&self) -> io::Result<bool> {
        let stream = match &self.transport {
            Transport::Plain(stream) => stream.get_ref(),
            Transport::Tls(stream) => return Ok(stream.get_ref().get_ref().1.alpn_protocol() == Some(b"h2")),
        };
        let mut seen = [0; PREFACE.len()];
        loop {
            let count = std::future::poll_fn(|cx| self.poll_peek(stream, cx, &mut seen)).await?;
            if count == PREFACE.len() || count == 0 || seen[..count] != PREFACE[..count] {
                return Ok(seen == *PREFACE);
            }
            // A part of the preface stays readable, so there is no event to wait for.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn poll_peek(&self, stream: &TcpStream, cx: &mut Context<'_>, seen: &mut [u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let polled = stream.poll_peek(cx, &mut ReadBuf::new(seen));
        match polled {
            Poll::Pending => self.connection.park(cx),
            Poll::Ready(_) => self.connection.bytes_arrived(),
        }
        polled
    }

    fn check(&self) -> io::Result<()> {
        match self.connection.ended.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }

    /// Keeps the account of how long the client has not taken what we write.
    fn written<T>(&self, polled: Poll<T>, cx: &Context<'_>) -> Poll<T> {
        let connection = &self.connection;
        let blocked = connection.blocked_since.load(Ordering::Relaxed) != NEVER;
        match (&polled, blocked) {
            (Poll::Pending, blocked) => {
                connection.park(cx);
                if !blocked {
                    connection.blocked_since.store(connection.all.now(), Ordering::Relaxed);
                }
            }
            (Poll::Ready(_), true) => connection.blocked_since.store(NEVER, Ordering::Relaxed),
            (Poll::Ready(_), false) => {}
        }
        polled
    }
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Transport {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Downstream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_read(cx, buffer);
        match polled {
            Poll::Pending => this.connection.park(cx),
            Poll::Ready(_) => this.connection.bytes_arrived(),
        }
        polled
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_write(cx, bytes);
        this.written(polled, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_flush(cx);
        this.written(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let polled = this.transport.poll_shutdown(cx);
        this.written(polled, cx)
    }
}

impl fmt::Debug for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

#[async_trait]
impl Shutdown for Downstream {
    async fn shutdown(&mut self) {
        // The client may be gone already, which is what is asked for.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Downstream {
    fn id(&self) -> i32 {
        match &self.transport {
            Transport::Plain(stream) => stream.get_ref().as_raw_fd(),
            Transport::Tls(stream) => stream.get_ref().get_ref().0.as_raw_fd(),
        }
    }
}

impl Ssl for Downstream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match &self.transport {
            Transport::Tls(stream) if stream.get_ref().get_ref().1.alpn_protocol() == Some(b"h2") => Some(ALPN::H2),
            _ => None,
        }
    }
}

impl GetTimingDigest for Downstream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Downstream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.proxy))
    }
}

impl GetSocketDigest for Downstream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket))
    }
}

/// [`Downstream::speaks_http2`] looks ahead before Pingora has the stream.
impl Peek for Downstream {}
