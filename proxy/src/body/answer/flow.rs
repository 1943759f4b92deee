//! What lies between the backend's side of an answer and the client's: one puts in, the other takes out.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::config::AnswerLimits;
use super::kept::Kept;
use crate::body::budget::{Budget, Share};

/// The bytes of an answer's body that its client has yet to take.
pub(in crate::body) struct Flow {
    /// Contended by the two sides of one answer.
    state: Mutex<State>,
    /// More has come, or the end.
    fed: Notify,
    /// Some was taken, or the client left.
    drained: Notify,
    keeping: Keeping,
}

/// How answers to a client are kept.
#[derive(Clone)]
pub struct Keeping {
    pub limits: AnswerLimits,
    pub budget: Arc<Budget>,
    pub client: IpAddr,
}

struct State {
    kept: Kept,
    /// Bytes that have been put in.
    passed: u64,
    /// Taken once there is enough to be counted.
    share: Option<Share>,
    ending: Option<Ending>,
    /// Nobody takes any more.
    left: bool,
}

/// How an answer ended on the backend's side.
#[derive(Debug)]
pub(in crate::body) enum Ending {
    Whole,
    Trailers(Box<HeaderMap>),
    /// It broke off.
    Broken,
}

/// What there is to take.
pub(super) enum Next {
    Piece {
        bytes: Bytes,
        /// Nothing follows.
        last: bool,
    },
    End(Ending),
    /// Nothing yet.
    Nothing,
}

impl Flow {
    pub fn new(keeping: Keeping) -> Self {
        Self {
            state: Mutex::new(State {
                kept: Kept::default(),
                passed: 0,
                share: None,
                ending: None,
                left: false,
            }),
            fed: Notify::new(),
            drained: Notify::new(),
            keeping,
        }
    }

    pub fn limits(&self) -> &AnswerLimits {
        &self.keeping.limits
    }

    pub fn keeping(self) -> Keeping {
        self.keeping
    }

    pub fn length(&self) -> u64 {
        self.state.lock().kept.length()
    }

    /// Puts a piece in. Says how much has been put in so far, where there is room for more.
    pub fn push(&self, piece: Bytes) -> io::Result<Option<u64>> {
        let mut state = self.state.lock();
        state.passed += piece.len() as u64;
        state.kept.push(piece, self.keeping.budget.spill_above())?;
        let has_room = state.has_room(&self.keeping).then_some(state.passed);
        drop(state);
        self.fed.notify_one();
        Ok(has_room)
    }

    /// Waits until there is room for more. Says whether anybody takes it.
    pub async fn room(&self) -> bool {
        loop {
            {
                let mut state = self.state.lock();
                if state.left || state.has_room(&self.keeping) {
                    return !state.left;
                }
            }
            self.drained.notified().await;
        }
    }

    pub fn end(&self, ending: Ending) {
        self.state.lock().ending.get_or_insert(ending);
        self.fed.notify_one();
    }

    /// The client takes no more.
    pub fn leave(&self) {
        self.state.lock().left = true;
        self.drained.notify_one();
    }

    /// Waits until the client takes no more.
    pub async fn left(&self) {
        while !self.state.lock().left {
            self.drained.notified().await;
        }
    }

    /// Takes the next bytes, `most` of them at most.
    pub(super) fn next(&self, most: usize) -> io::Result<Next> {
        let mut state = self.state.lock();
        let Some(bytes) = state.kept.pop(most)? else {
            return Ok(state.ending.take().map_or(Next::Nothing, Next::End));
        };
        let last = state.kept.length() == 0 && matches!(state.ending, Some(Ending::Whole));
        let memory = state.kept.memory();
        if let Some(share) = state
            .share
            .as_mut()
            .filter(|share| memory + GIVEN_BACK <= share.bytes())
        {
            share.shrink(memory);
        }
        drop(state);
        self.drained.notify_one();
        Ok(Next::Piece { bytes, last })
    }

    /// Waits until there is something to take.
    pub(super) async fn fed(&self) {
        self.fed.notified().await;
    }
}

impl State {
    /// A little is always let in, as for every connection; more only out of the budget.
    fn has_room(&mut self, keeping: &Keeping) -> bool {
        let memory = self.kept.memory();
        if memory <= FLOOR {
            return true;
        }
        let open = || keeping.budget.open_answer(keeping.client);
        memory <= keeping.limits.keep && self.share.get_or_insert_with(open).hold_if_plenty(memory)
    }
}

/// Bytes that are not worth counting.
const FLOOR: u64 = 4 << 10;

/// Memory is given back in such steps, in bytes.
const GIVEN_BACK: u64 = 512 << 10;
