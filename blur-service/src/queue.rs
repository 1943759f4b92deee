//! Whose turn it is. Clients share the threads by the work that their pictures make (self-clocked fair queueing, Golestani
//! 1994): a picture's turn comes when its client has had as much work done as the others; what is small comes before what
//! is large, and nothing waits for ever. One thread at least is left to pictures that are not dear.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::client::Client;

/// Contended by threads that are done and pictures that come, for a moment each.
pub struct Queue<T> {
    threads: usize,
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    /// The work, in microseconds of one core, that whoever is served next has had done.
    now: u64,
    /// By when each client will have had its due, where that is later than now.
    due: HashMap<Client, u64>,
    /// By turn, and then by when they came.
    waiting: BTreeMap<(u64, u64), Waiting<T>>,
    came: u64,
    dear_at_work: usize,
    is_closed: bool,
}

struct Waiting<T> {
    item: T,
    is_dear: bool,
}

/// An item whose turn has come; it is at work while this lives.
pub struct Turn<'a, T> {
    pub item: T,
    pub at_work: AtWork<'a, T>,
}

/// That a thread is busy with it.
pub struct AtWork<'a, T> {
    queue: &'a Queue<T>,
    is_dear: bool,
}

impl<T> Queue<T> {
    /// For so many threads.
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            state: Mutex::new(State {
                now: 0,
                due: HashMap::new(),
                waiting: BTreeMap::new(),
                came: 0,
                dear_at_work: 0,
                is_closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    pub fn put(&self, item: T, client: Client, work: Duration) {
        let mut state = self.state();
        let begins = state.due.get(&client).map_or(state.now, |due| (*due).max(state.now));
        let turn = begins.saturating_add(work.as_micros() as u64);
        state.due.insert(client, turn);
        state.came += 1;
        let key = (turn, state.came);
        let is_dear = work >= DEAR;
        state.waiting.insert(key, Waiting { item, is_dear });
        self.filled.notify_one();
    }

    /// Waits for the next one; nothing once the queue is closed and empty.
    pub fn take(&self) -> Option<Turn<'_, T>> {
        let mut state = self.state();
        loop {
            if let Some((item, is_dear)) = state.next(self.threads) {
                let at_work = AtWork { queue: self, is_dear };
                return Some(Turn { item, at_work });
            }
            if state.is_closed && state.waiting.is_empty() {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more comes.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.filled.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn next(&mut self, threads: usize) -> Option<(T, bool)> {
        let dear_may_begin = self.dear_at_work < (threads - 1).max(1);
        let mut fitting = self
            .waiting
            .iter()
            .filter(|(_, waiting)| dear_may_begin || !waiting.is_dear);
        let key = *fitting.next()?.0;
        let Waiting { item, is_dear } = self.waiting.remove(&key)?;
        self.now = self.now.max(key.0);
        let now = self.now;
        self.due.retain(|_, due| *due > now);
        self.dear_at_work += usize::from(is_dear);
        Some((item, is_dear))
    }
}

impl<T> Drop for AtWork<'_, T> {
    fn drop(&mut self) {
        if self.is_dear {
            self.queue.state().dear_at_work -= 1;
            self.queue.filled.notify_all();
        }
    }
}

/// A picture that takes longer than others should have to wait.
const DEAR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::client::Trusted;

    #[test]
    fn clients_share_the_threads_by_work() {
        let queue = Queue::new(1);
        for (name, who, milliseconds) in [
            ("a1", 1, 300),
            ("a2", 1, 300),
            ("a3", 1, 300),
            ("b1", 2, 100),
            ("b2", 2, 100),
            ("c1", 3, 500),
        ] {
            queue.put(name, client(who), Duration::from_millis(milliseconds));
        }
        queue.close();
        assert_eq!(served(&queue), ["b1", "b2", "a1", "c1", "a2", "a3"]);
    }

    #[test]
    fn who_comes_late_does_not_wait_for_all_that_one_client_has_sent() {
        let queue = Queue::new(1);
        for _ in 0..50 {
            queue.put("many", client(1), Duration::from_millis(900));
        }
        assert_eq!(queue.take().unwrap().item, "many");
        queue.put("one", client(2), Duration::from_millis(800));
        assert_eq!(queue.take().unwrap().item, "one");
    }

    #[test]
    fn dear_ones_leave_a_thread() {
        let queue = Queue::new(2);
        queue.put("dear", client(1), Duration::from_secs(3));
        queue.put("dear too", client(2), Duration::from_secs(3));
        queue.put("small", client(3), Duration::from_secs(1) / 2);
        let small = queue.take().unwrap();
        let dear = queue.take().unwrap();
        assert_eq!((small.item, dear.item), ("small", "dear"));
        queue.put("small again", client(1), Duration::from_secs(1) / 2);
        assert_eq!(queue.take().unwrap().item, "small again");
        drop(dear);
        assert_eq!(queue.take().unwrap().item, "dear too");
    }

    fn served<'a>(queue: &Queue<&'a str>) -> Vec<&'a str> {
        std::iter::from_fn(|| queue.take().map(|turn| turn.item)).collect()
    }

    fn client(number: u8) -> Client {
        let nobody: Trusted = "".parse().unwrap();
        Client::of([192, 0, 2, number].into(), &[], &nobody)
    }
}
