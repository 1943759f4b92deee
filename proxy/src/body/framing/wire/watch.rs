//! What a listener's streams are held to.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;

use crate::request::problem::Problem;

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

/// A head that no request could be made of.
#[derive(Debug)]
pub struct RefusedHead {
    /// Its bytes, as far as they came.
    pub bytes: Bytes,
    pub problem: Problem,
    /// The answer that the client gets, head and body.
    pub words: Bytes,
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
}
