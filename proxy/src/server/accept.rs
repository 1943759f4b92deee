//! Accepting connections: as many as there are places for, and one more, which waits for the next one.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use pingora::server::ShutdownWatch;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::client::connection::{Connections, Dispensable};
use crate::client::listener::Listener;
use crate::client::listening::Listening;
use crate::client::places::Place;
use crate::client::proxy_protocol::Ends;
use crate::client::stream::Stream;
use crate::filter::counts_requests_under_way;
use crate::server::proxy::Proxy;
use crate::server::serve::serve;

/// A listener's socket, and who has been accepted and waits for a place.
pub struct Entrance {
    pub socket: Listening,
    newcomer: Option<(Stream, Ends)>,
}

impl Entrance {
    pub fn new(socket: Listening) -> Self {
        Self { socket, newcomer: None }
    }
}

/// One listener's accept loop.
pub struct Acceptor {
    listener: Arc<Listener>,
    connections: Arc<Connections>,
    proxy: Arc<Proxy>,
    /// True once the process drains.
    shutdown: ShutdownWatch,
    /// Connections that may leave in favour of newcomers, as of the last look.
    dispensable: VecDeque<Dispensable>,
    /// When a look last found nobody.
    missed: Option<Instant>,
    /// Who was told to leave last, and when.
    leaving: Option<(Dispensable, Instant)>,
    /// When accepting last failed.
    failed: Option<Instant>,
}

impl Acceptor {
    /// How long to wait after an error that a further attempt would only repeat, such as EMFILE.
    const BACK_OFF: Duration = Duration::from_millis(50);
    /// Errors less than this apart are one trouble, which is logged once.
    const ONE_TROUBLE: Duration = Duration::from_secs(60);
    /// How often those are looked for who could make room, where there are none.
    const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
    /// For one that was told to leave, before the next one is.
    const TO_LEAVE: Duration = Duration::from_millis(500);

    pub fn new(
        listener: &Arc<Listener>,
        connections: &Arc<Connections>,
        proxy: &Arc<Proxy>,
        shutdown: ShutdownWatch,
    ) -> Self {
        Self {
            listener: Arc::clone(listener),
            connections: Arc::clone(connections),
            proxy: Arc::clone(proxy),
            shutdown,
            dispensable: VecDeque::new(),
            missed: None,
            leaving: None,
            failed: None,
        }
    }

    /// Accepts until told to stop. Gives the entrance back, for the listener's next settings; those in the kernel's queue
    /// wait there meanwhile. At a `last` stop it takes them all, who would be reset when the socket closes.
    pub async fn run(mut self, mut entrance: Entrance, mut stop: oneshot::Receiver<Stop>) -> Entrance {
        let stop = loop {
            tokio::select! {
                () = self.admit(&mut entrance) => {}
                // One that is dropped leaves the socket to nobody.
                stop = &mut stop => break stop.unwrap_or(Stop::Last),
            }
        };
        match stop {
            Stop::Continued => {}
            Stop::Relieved => self.admit_newcomer(&mut entrance),
            Stop::Last => self.admit_all(&mut entrance).await,
        }
        entrance
    }

    /// One newcomer, unless it leaves before there is a place, as most of a flood do. At every point where this waits it can
    /// be dropped and nobody is lost.
    async fn admit(&mut self, entrance: &mut Entrance) {
        if entrance.newcomer.is_none() {
            match entrance.socket.accept().await {
                Ok(newcomer) => entrance.newcomer = Some(newcomer),
                Err(error) if concerns_one_connection(&error) => return,
                Err(error) => return self.back_off(&error).await,
            }
        }
        let Some((stream, _)) = &entrance.newcomer else { return };
        let place = tokio::select! {
            biased;
            place = self.place() => Some(place),
            () = stream.left_silently() => None,
        };
        if let (Some(newcomer), Some(place)) = (entrance.newcomer.take(), place) {
            self.spawn(newcomer, place);
            // First come, first served: of those that wake up together, the last one would run first.
            let_others_go_first().await;
        }
    }

    /// Whoever has been accepted, wherever there is place.
    fn admit_newcomer(&self, entrance: &mut Entrance) {
        if let Some(newcomer) = entrance.newcomer.take() {
            self.spawn(newcomer, self.listener.places.take_anyway());
        }
    }

    async fn admit_all(&self, entrance: &mut Entrance) {
        self.admit_newcomer(entrance);
        while let Poll::Ready(Ok(newcomer)) = poll_fn(|cx| Poll::Ready(entrance.socket.poll_accept(cx))).await {
            self.spawn(newcomer, self.listener.places.take_anyway());
        }
    }

    /// Lacks descriptors, most likely, or memory: says so once, and makes room.
    async fn back_off(&mut self, error: &io::Error) {
        let last = self.failed.replace(Instant::now());
        if last.is_none_or(|last| last.elapsed() > Self::ONE_TROUBLE) {
            tracing::error!(listener = self.listener.name, %error, "cannot accept connections");
        }
        self.connections.end_longest_idle();
        sleep(Self::BACK_OFF).await;
    }

    /// A place for one more connection; one that idles makes room.
    async fn place(&mut self) -> Place {
        let places = Arc::clone(&self.listener.places);
        loop {
            if let Some(place) = places.take() {
                return place;
            }
            self.make_room();
            let _ = timeout(Self::BETWEEN_LOOKS, places.freed()).await;
        }
    }

    /// Tells one to leave, if there is one that may and nobody is about to.
    fn make_room(&mut self) {
        let is_leaving = |(told, at): &(Dispensable, Instant)| told.is_leaving() && at.elapsed() < Self::TO_LEAVE;
        if self.leaving.as_ref().is_some_and(is_leaving) {
            return;
        }
        self.leaving = self.told_to_leave();
        if self.leaving.is_some() || self.missed.is_some_and(|missed| missed.elapsed() < Self::BETWEEN_LOOKS) {
            return;
        }
        self.dispensable = self.connections.dispensable(&self.listener.places);
        self.leaving = self.told_to_leave();
        self.missed = self.leaving.is_none().then(Instant::now);
    }

    /// The first of those found that has had no work since.
    fn told_to_leave(&mut self) -> Option<(Dispensable, Instant)> {
        while let Some(next) = self.dispensable.pop_front() {
            if next.leave() {
                return Some((next, Instant::now()));
            }
        }
        None
    }

    fn spawn(&self, (stream, ends): (Stream, Ends), place: Place) {
        let connection = self.connections.enter(&self.listener, ends, place);
        let (proxy, shutdown) = (Arc::clone(&self.proxy), self.shutdown.clone());
        tokio::spawn(async move {
            // Behind what woke up before: a client that has just left makes place for the one that comes.
            let_others_go_first().await;
            stream.set_nodelay();
            serve(stream, connection, &proxy, &shutdown).await;
        });
    }
}

/// Where somebody counts who is served already. It costs a look at all sockets, a fifth of a short connection.
async fn let_others_go_first() {
    if counts_requests_under_way() {
        yield_now().await;
    }
}

/// Why an accept loop is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Another one goes on at the same entrance.
    Continued,
    /// A successor goes on at the same socket.
    Relieved,
    /// The socket closes.
    Last,
}

/// Errors of `accept` that say nothing about the next connection (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock
    )
}
