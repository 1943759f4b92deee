//! Bodies on which workers have died, remembered for a while: whoever sends one again is refused before it kills more.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::time::Instant;

use crate::body::Whole;

/// Digests of bodies, keyed by a secret of this process, so that they tell nothing of a picture to whoever has it too.
pub struct PoisonMemory {
    key: hmac::Key,
    /// Contended only by requests that are poison, and by uploads while any is remembered.
    known: Mutex<VecDeque<Known>>,
    /// So that nothing is locked or digested while none is.
    count: AtomicUsize,
}

struct Known {
    bytes: u64,
    digest: hmac::Tag,
    until: Instant,
}

/// How long one is remembered.
const MEMORY: Duration = Duration::from_secs(600);
/// The oldest is forgotten for a further one.
const MOST: usize = 1024;

impl Default for PoisonMemory {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            key: key.expect("the system has randomness to give"),
            known: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }
}

impl PoisonMemory {
    pub fn remember(&self, body: &Whole) -> io::Result<()> {
        let known = Known {
            bytes: body.length(),
            digest: self.digest(body)?,
            until: Instant::now() + MEMORY,
        };
        let mut all = self.known.lock();
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(known);
        self.count.store(all.len(), Ordering::Release);
        Ok(())
    }

    /// Whether workers have died on this body lately. Reads it only if one of its length is remembered.
    pub fn knows(&self, body: &Whole) -> bool {
        if self.count.load(Ordering::Acquire) == 0 || !self.knows_length(body.length()) {
            return false;
        }
        let Ok(digest) = self.digest(body) else { return false };
        let known = self.known.lock();
        known.iter().any(|known| known.digest.as_ref() == digest.as_ref())
    }

    fn knows_length(&self, bytes: u64) -> bool {
        let mut known = self.known.lock();
        let now = Instant::now();
        known.retain(|known| known.until > now);
        self.count.store(known.len(), Ordering::Release);
        known.iter().any(|known| known.bytes == bytes)
    }

    fn digest(&self, body: &Whole) -> io::Result<hmac::Tag> {
        let mut digest = hmac::Context::with_key(&self.key);
        for piece in body.pieces() {
            digest.update(&piece?);
        }
        Ok(digest.sign())
    }
}
