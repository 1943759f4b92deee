//! Where the body of a request that goes to backends comes from.

use std::sync::Weak;

use bytes::Bytes;
use pingora::Result;
use pingora::protocols::http::ServerSession;

use crate::body::replay::{Replay, Whole};
use crate::body::stream::Upload;

/// Where the request's body comes from.
pub(in crate::body) enum Source {
    /// There is none.
    Nothing,
    /// There is none, but the bytes of another protocol follow if the backend agrees. Its body has no end until then: an
    /// end that a backend's 101 overtakes would be taken for the end of that protocol (pingora#946).
    Upgrade {
        /// An attempt has begun that has yet to ask whether there is a body.
        begins: bool,
    },
    /// Out of memory, as often as needed.
    Replay(Replay),
    /// The same, and the bytes of another protocol follow if the backend agrees: it has no end until then either.
    ReplayToUpgrade(Replay),
    /// From the client, once, while it sends.
    Upload(Upload),
}

impl Source {
    /// The body itself, where it can be given to a further backend from its first byte.
    pub(super) fn whole(&self) -> Option<Weak<Whole>> {
        match self {
            Self::Replay(replay) | Self::ReplayToUpgrade(replay) => Some(replay.whole()),
            Self::Nothing | Self::Upgrade { .. } | Self::Upload(_) => None,
        }
    }

    /// Whether the client still sends it.
    pub(super) fn is_upload(&self) -> bool {
        matches!(self, Self::Upload(_))
    }

    /// Whether a body's pieces come from here, or its end does.
    pub(super) fn has_body(&self) -> bool {
        match self {
            Self::Replay(_) | Self::Upload(_) => true,
            Self::ReplayToUpgrade(replay) => !replay.is_sent(),
            Self::Nothing | Self::Upgrade { .. } => false,
        }
    }

    /// Asked before the request's head is written, which has to tell of a body, and once more when an attempt has begun.
    pub(super) fn is_empty(&mut self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Upgrade { begins } => !std::mem::take(begins),
            Self::Replay(_) | Self::ReplayToUpgrade(_) | Self::Upload(_) => false,
        }
    }

    pub(super) async fn next_piece(&mut self, client: &mut ServerSession) -> Result<Option<Bytes>> {
        match self {
            Self::Nothing | Self::Upgrade { .. } => client.read_request_body().await,
            Self::Replay(replay) | Self::ReplayToUpgrade(replay) => replay.next_piece(),
            Self::Upload(upload) => upload.next_piece(client).await,
        }
    }

    /// Another attempt begins.
    pub(super) fn rewind(&mut self) {
        match self {
            Self::Replay(replay) | Self::ReplayToUpgrade(replay) => replay.rewind(),
            Self::Upgrade { begins } => *begins = true,
            Self::Nothing | Self::Upload(_) => {}
        }
    }

    /// There will be no other attempt.
    pub(super) fn answered(&mut self) {
        if let Self::Replay(replay) | Self::ReplayToUpgrade(replay) = self {
            replay.answered();
        }
    }
}
