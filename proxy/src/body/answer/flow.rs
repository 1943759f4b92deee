//! What lies between the backend's side of an answer and the client's: one puts in, the other takes out.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::config::AnswerLimits;
use super::demand::Demand;
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
    /// Since its client has lagged behind.
    lag: Option<Lag>,
    /// Nobody takes any more.
    left: bool,
}

/// How far an answer's client lags behind.
struct Lag {
    since: Instant,
    /// Bytes that had been put in by then.
    passed: u64,
    /// Bytes of memory that it kept then.
    memory: u64,
}

/// What came of the wait for room.
#[derive(Debug, PartialEq)]
pub(in crate::body) enum Room {
    There,
    /// The client takes no more.
    Left,
    /// The client takes little, and others want the place that its answer holds.
    Wanted,
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
                lag: None,
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

    /// Waits until there is room for more, unless others want the place that the answer holds.
    pub async fn room(&self, demand: Option<&Demand>) -> Room {
        tokio::select! {
            biased;
            room = self.has_drained() => room,
            () = self.gives_way(demand) => Room::Wanted,
        }
    }

    async fn has_drained(&self) -> Room {
        loop {
            {
                let mut state = self.state.lock();
                if state.left {
                    return Room::Left;
                }
                if state.has_room(&self.keeping) {
                    return Room::There;
                }
            }
            self.drained.notified().await;
        }
    }

    /// Waits until the client takes less than it has to where its answer holds a place that others want.
    async fn gives_way(&self, demand: Option<&Demand>) {
        let Some(demand) = demand else {
            return std::future::pending().await;
        };
        loop {
            demand.asked().await;
            if self.is_taken_slowly() && demand.meet() {
                return;
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    fn is_taken_slowly(&self) -> bool {
        let state = self.state.lock();
        let Some(lag) = &state.lag else { return false };
        let (passed, time) = (state.passed - lag.passed, lag.since.elapsed());
        time >= SHORTEST_LAG && (passed as f64) < self.keeping.limits.crowded_rate as f64 * time.as_secs_f64()
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
        state.lag.take_if(|lag| memory < lag.memory / 2);
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
        let has_room = memory <= keeping.limits.keep && self.share.get_or_insert_with(open).hold_if_plenty(memory);
        if !has_room {
            let passed = self.passed;
            self.lag.get_or_insert_with(|| Lag {
                since: Instant::now(),
                passed,
                memory,
            });
        }
        has_room
    }
}

/// Bytes that are not worth counting.
const FLOOR: u64 = 4 << 10;

/// A client that has lagged behind for less is not told from one that is quick.
const SHORTEST_LAG: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Memory is given back in such steps, in bytes.
const GIVEN_BACK: u64 = 512 << 10;
