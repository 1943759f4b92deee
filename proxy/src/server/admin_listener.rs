//! The admin's listening socket, from when it opens until its last client has an answer.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::admin::Admin;
use crate::client::endpoint::Endpoint;
use crate::client::listening::Listening;
use crate::client::stream::Stream;

/// The admin listener while it takes connections. Dropping it lets it answer what it has been asked.
pub struct AdminListener {
    pub configured: Endpoint,
    /// For a successor.
    pub socket: OwnedFd,
    /// True once no further connection is to be accepted.
    closed: watch::Sender<bool>,
    /// Its end is a word to stop.
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl AdminListener {
    /// How long clients may take to get the answers they have asked for.
    const GRACE: Duration = Duration::from_secs(1);

    /// Takes connections; `socket` is the gate's, for a successor.
    pub fn open(configured: Endpoint, admin: Admin, mut gate: Gate, socket: OwnedFd) -> Self {
        let (closed, is_closed) = watch::channel(false);
        gate.closed = is_closed;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            axum::serve(gate, admin.router()).with_graceful_shutdown(stopped).await
        });
        Self {
            configured,
            socket,
            closed,
            stop,
            server,
        }
    }

    /// Takes a Unix socket out of the file system, for which there is no successor.
    pub fn remove(&self) {
        if let Endpoint::Unix(path) = &self.configured {
            // Somebody may have taken it away already, or it is not ours to take.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Returns once those have their answers who had connected.
    pub async fn close(self) {
        self.closed.send_replace(true);
        // Who has been accepted and has yet to ask would be reset.
        sleep(FRESH).await;
        drop(self.stop);
        let _ = timeout(Self::GRACE, self.server).await;
    }
}

/// The socket, until it is closed.
pub struct Gate {
    socket: Listening,
    address: SocketAddr,
    closed: watch::Receiver<bool>,
    /// For connections.
    places: Arc<Semaphore>,
}

/// How long who has connected may take to ask when the listener closes.
const FRESH: Duration = Duration::from_millis(100);

impl Gate {
    pub fn new(socket: Listening, address: SocketAddr) -> Self {
        let (_, closed) = watch::channel(false);
        Self {
            socket,
            address,
            closed,
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// Whoever comes when all places are taken waits in the kernel.
    async fn newcomer(&self) -> (Visit, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            match self.socket.accept().await {
                Ok((stream, ends)) => return (Visit::new(stream, place), ends.client),
                // Descriptors may have run out; they come back.
                Err(_) => sleep(FRESH).await,
            }
        }
    }
}

impl axum::serve::Listener for Gate {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        let mut closed = self.closed.clone();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => {}
            newcomer = self.newcomer() => return newcomer,
        }
        pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection with a place, which it has for as long as it gets answers: the descriptors are those of everybody's.
pub struct Visit {
    stream: Stream,
    /// Until when something has to be written.
    deadline: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Connections at once.
const PLACES: usize = 64;
/// How long one may go without an answer, and without taking one.
const SILENCE: Duration = Duration::from_secs(75);

impl Visit {
    fn new(stream: Stream, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            deadline: Box::pin(sleep(SILENCE)),
            _place: place,
        }
    }

    /// What comes of waiting; an error once that is too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Visit {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => self.wait(cx),
            read if self.deadline.is_elapsed() => read.map(|_| Err(io::ErrorKind::TimedOut.into())),
            read => read,
        }
    }
}

impl AsyncWrite for Visit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.wait(cx),
            written => {
                self.deadline.as_mut().reset(Instant::now() + SILENCE);
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
