//! What scripts remember from one request to the next: a bounded store of short texts and counts, each with its time to live.
//! All scripts of a configuration share it, and it outlives reloads.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Many small stores, so that requests on several threads seldom wait for one another.
pub struct Store {
    keys: RandomState,
    /// Each contended by the requests whose keys fall to it, for the time of one look-up.
    shards: [Mutex<Shard>; SHARDS],
}

const SHARDS: usize = 64;

#[derive(Default)]
struct Shard {
    entries: HashMap<Box<str>, Entry>,
    bytes: usize,
}

struct Entry {
    value: Value,
    until: Instant,
}

enum Value {
    Text(Box<str>),
    Count(i64),
}

/// Why something is not remembered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("a key of {0} bytes is longer than {LONGEST_KEY}")]
    Key(usize),
    #[error("a value of {0} bytes is longer than {LONGEST_VALUE}")]
    Value(usize),
}

impl Store {
    /// Bytes of all that is remembered.
    pub const MOST_BYTES: usize = 16 << 20;

    /// One more under this key, whose count begins anew when `window` has passed since its first.
    pub fn count(&self, key: &str, window: Duration, now: Instant) -> Result<i64, StoreError> {
        let mut shard = self.shard(key)?;
        if let Some(Entry {
            value: Value::Count(count),
            ..
        }) = shard.living(key, now)
        {
            *count = count.saturating_add(1);
            return Ok(*count);
        }
        shard.put(key, Value::Count(1), now + window, now);
        Ok(1)
    }

    /// What was set under this key, or how far it was counted.
    pub fn get(&self, key: &str, now: Instant) -> Result<Option<String>, StoreError> {
        let mut shard = self.shard(key)?;
        Ok(shard.living(key, now).map(|entry| match &entry.value {
            Value::Text(text) => text.to_string(),
            Value::Count(count) => count.to_string(),
        }))
    }

    pub fn set(&self, key: &str, text: &str, ttl: Duration, now: Instant) -> Result<(), StoreError> {
        if text.len() > LONGEST_VALUE {
            return Err(StoreError::Value(text.len()));
        }
        self.shard(key)?.put(key, Value::Text(text.into()), now + ttl, now);
        Ok(())
    }

    pub fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.shard(key)?.remove(key);
        Ok(())
    }

    fn shard(&self, key: &str) -> Result<parking_lot::MutexGuard<'_, Shard>, StoreError> {
        if key.len() > LONGEST_KEY {
            return Err(StoreError::Key(key.len()));
        }
        Ok(self.shards[self.keys.hash_one(key) as usize % SHARDS].lock())
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            keys: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Shard {
    fn living(&mut self, key: &str, now: Instant) -> Option<&mut Entry> {
        self.entries.get_mut(key).filter(|entry| entry.until > now)
    }

    fn put(&mut self, key: &str, value: Value, until: Instant, now: Instant) {
        self.remove(key);
        let bytes = size(key, &value);
        self.make_room(bytes, now);
        self.bytes += bytes;
        self.entries.insert(key.into(), Entry { value, until });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= size(key, &entry.value);
        }
    }

    /// What has run out goes first; then, of a few, what would run out soonest.
    fn make_room(&mut self, bytes: usize, now: Instant) {
        let most = Store::MOST_BYTES / SHARDS;
        if self.bytes + bytes <= most {
            return;
        }
        let few = self.entries.iter().take(FEW);
        let gone: Vec<Box<str>> = few
            .clone()
            .filter(|(_, entry)| entry.until <= now)
            .map(|(key, _)| key.clone())
            .collect();
        let soonest = few.min_by_key(|(_, entry)| entry.until).map(|(key, _)| key.clone());
        gone.iter().chain(&soonest).for_each(|key| self.remove(key));
        if !self.entries.is_empty() {
            self.make_room(bytes, now);
        }
    }
}

fn size(key: &str, value: &Value) -> usize {
    const OVERHEAD: usize = 96;
    let text = match value {
        Value::Text(text) => text.len(),
        Value::Count(_) => 0,
    };
    OVERHEAD + key.len() + text
}

/// Bytes.
const LONGEST_KEY: usize = 256;
const LONGEST_VALUE: usize = 1024;
/// How many entries are looked at for one to let go of.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn counts_within_a_window_and_remembers_for_a_while() {
        let (store, now) = (Store::default(), Instant::now());
        let later = now + MINUTE;
        assert_eq!([1, 2, 3].map(|_| store.count("a", MINUTE, now).unwrap()), [1, 2, 3]);
        assert_eq!(store.get("a", now).unwrap().as_deref(), Some("3"));
        assert_eq!(store.count("a", MINUTE, later).unwrap(), 1);
        store.set("b", "text", MINUTE, now).unwrap();
        assert_eq!(store.get("b", now).unwrap().as_deref(), Some("text"));
        assert_eq!(store.get("b", later).unwrap(), None);
        store.remove("b").unwrap();
        assert_eq!(store.get("b", now).unwrap(), None);
    }

    #[test]
    fn nobody_fills_more_than_there_is() {
        let (store, now) = (Store::default(), Instant::now());
        let long = "x".repeat(LONGEST_VALUE);
        for number in 0..60_000 {
            store.set(&number.to_string(), &long, MINUTE, now).unwrap();
        }
        let bytes: usize = store.shards.iter().map(|shard| shard.lock().bytes).sum();
        assert!(bytes <= Store::MOST_BYTES, "{bytes}");
        assert!(bytes > Store::MOST_BYTES / 2, "{bytes}");
        assert_eq!(
            store.set("a", &format!("{long}x"), MINUTE, now),
            Err(StoreError::Value(1025))
        );
        assert_eq!(store.get(&"k".repeat(257), now), Err(StoreError::Key(257)));
    }
}
