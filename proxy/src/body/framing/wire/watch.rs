//! What a listener's streams are held to.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use tokio::time::sleep;

use super::{State, Wire};

/// What a request's head has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes; a longer head is refused with 431. Nginx: `large_client_header_buffers`.
    pub max_size: usize,
    /// From a head's first byte to its last: 408. Nginx: `client_header_timeout`.
    pub deadline: Duration,
    /// Lines may end with LF alone; they are given their CR before anything else is made of them.
    pub lone_line_feeds: bool,
    /// What is behind a Host's name may be no port; it is left out then, before anything else is made of the head.
    pub odd_ports: bool,
}

/// The watch over all HTTP/1 streams of a listener.
pub struct Watch {
    pub(super) limits: HeadLimits,
    pub(super) refused: Arc<AtomicU64>,
}

impl Watch {
    /// `refused` counts the heads that no route got to see.
    pub fn new(limits: HeadLimits, refused: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { limits, refused })
    }

    /// The same stream, with nothing on it but well-framed HTTP/1 requests.
    pub fn over(self: &Arc<Self>, stream: Stream) -> Wire {
        Wire {
            inner: stream,
            state: State::BETWEEN,
            may_be_http2: false,
            asks_upgrade: false,
            pending: BytesMut::new(),
            timer: None,
            tail: Mutex::default(),
            watch: Arc::clone(self),
        }
    }

    /// The same, on a connection that has just been made. HTTP/2 with prior knowledge is told from HTTP/1.
    pub fn over_new(self: &Arc<Self>, stream: Stream) -> Wire {
        Wire {
            may_be_http2: true,
            ..self.over(stream)
        }
    }

    /// The same, after a handshake that took `spent` of the first head's time.
    pub fn over_secured(self: &Arc<Self>, stream: Stream, spent: Duration) -> Wire {
        let left = self.limits.deadline.saturating_sub(spent);
        Wire {
            timer: Some(Box::pin(sleep(left))),
            ..self.over(stream)
        }
    }
}
