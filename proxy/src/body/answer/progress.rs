//! What is known of an answer outside of the session that takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;

use super::demand::Demand;
use crate::request::deadline::Patience;

/// Between the connection that an answer comes from, the session that takes it, and whoever decides about another attempt.
#[derive(Debug, Default)]
pub struct Progress {
    is_held: AtomicBool,
    is_open_ended: AtomicBool,
    /// The client's connection ends with it.
    is_last: AtomicBool,
    /// Bytes to read of it at a time, if they are not too few.
    piece: AtomicUsize,
    /// It goes over HTTP/2, where a connection has many.
    is_one_of_many: bool,
    /// There is no room for more of it.
    is_stalled: AtomicBool,
    /// Of those who wait for the place that it holds. Contended by nobody: it is told before it is asked for.
    demand: Mutex<Option<Arc<Demand>>>,
    /// The fields after its body. Contended by nobody: they are told before they are asked for.
    trailers: Mutex<Option<Box<HeaderMap>>>,
    /// What the client gets in the place of the body of the answer whose head comes next; contended by nobody.
    replacement: Mutex<Option<Bytes>>,
    /// How long the attempts to come are waited for, where that is another time than before; contended by nobody.
    patience: Mutex<Option<Patience>>,
}

impl Progress {
    pub(in crate::body) fn new(is_one_of_many: bool) -> Arc<Self> {
        Arc::new(Self {
            is_one_of_many,
            ..Self::default()
        })
    }

    /// Whether an answer has begun of which the client has seen nothing.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Whether the client knows the answer's end only by the connection's.
    pub fn is_open_ended(&self) -> bool {
        self.is_open_ended.load(Ordering::Relaxed)
    }

    /// The answer holds a place that others may wait for.
    pub fn hold_place(&self, demand: Arc<Demand>) {
        *self.demand.lock() = Some(demand);
    }

    pub(in crate::body) fn demand(&self) -> Option<Arc<Demand>> {
        self.demand.lock().clone()
    }

    pub fn tell_trailers(&self, trailers: Box<HeaderMap>) {
        *self.trailers.lock() = Some(trailers);
    }

    pub(in crate::body) fn replace_body(&self, body: Option<Bytes>) {
        *self.replacement.lock() = body;
    }

    pub(in crate::body) fn take_replacement(&self) -> Option<Bytes> {
        self.replacement.lock().take()
    }

    pub(in crate::body) fn end_connection(&self, is_last: bool) {
        self.is_last.store(is_last, Ordering::Relaxed);
    }

    pub(in crate::body) fn ends_connection(&self) -> bool {
        self.is_last.load(Ordering::Relaxed)
    }

    pub(in crate::body) fn wait_anew(&self, patience: Patience) {
        *self.patience.lock() = Some(patience);
    }

    pub(in crate::body) fn take_patience(&self) -> Option<Patience> {
        self.patience.lock().take()
    }

    /// What came before was not whole.
    pub(in crate::body) fn begin_anew(&self) {
        self.hold(false);
        self.flows(0);
        drop(self.take_trailers());
    }

    pub(in crate::body) fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Bytes to read of it at a time. Some pieces that have been read lie in Pingora's channel, where nobody counts them; so
    /// they are small against what has passed before them, and smaller where nothing passes any more.
    pub fn piece(&self) -> usize {
        match self.is_stalled.load(Ordering::Relaxed) {
            true => STALLED_PIECE,
            false => self
                .piece
                .load(Ordering::Relaxed)
                .max(SMALLEST_PIECE >> u32::from(self.is_one_of_many)),
        }
    }

    /// There is room for more, and so much has passed.
    pub(in crate::body) fn flows(&self, passed: u64) {
        self.is_stalled.store(false, Ordering::Relaxed);
        self.piece.store((passed / PIECES) as usize, Ordering::Relaxed);
    }

    /// There is no room.
    pub(in crate::body) fn stalls(&self) {
        self.is_stalled.store(true, Ordering::Relaxed);
    }

    pub(in crate::body) fn leave_open(&self, is_open_ended: bool) {
        self.is_open_ended.store(is_open_ended, Ordering::Relaxed);
    }

    pub fn take_trailers(&self) -> Option<Box<HeaderMap>> {
        self.trailers.lock().take()
    }
}

const SMALLEST_PIECE: usize = 4 << 10;
const STALLED_PIECE: usize = 1 << 10;

/// What has passed is so many times a piece at least.
const PIECES: u64 = 16;
