//! What the algorithms' tests share: a tier of idle backends, and many picks from it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::bounded::{Bounded, LoadFactor};
use super::select::{Candidates, Select};
use super::settings::HashConfig;
use crate::pool::choose::key::Key;
use crate::pool::clock::Moment;
use crate::pool::members::backend::{Backend, BackendConfig};
use crate::pool::random::mix;

pub const KEYS: u64 = 500;

/// Backends 127.0.0.1:9101, 127.0.0.1:9102, … with these weights: the servers that Nginx chose among where a test says so.
pub fn tier(weights: &[u32]) -> Vec<Arc<Backend>> {
    let backend = |(place, weight): (usize, &u32)| {
        let address = SocketAddr::from(([127, 0, 0, 1], 9101 + place as u16));
        Arc::new(Backend::new(
            &BackendConfig {
                weight: *weight,
                ..BackendConfig::at(address)
            },
            address.into(),
            None,
        ))
    };
    weights.iter().enumerate().map(backend).collect()
}

/// Some client; the same for the same number.
pub fn client(number: u64) -> Key {
    Key::of_client(IpAddr::V4(Ipv4Addr::from(mix(number) as u32)))
}

/// Strict stickiness.
pub fn strict() -> Bounded {
    let config = HashConfig {
        load_factor: LoadFactor::Off,
        ..HashConfig::default()
    };
    config.bounded()
}

fn bounded() -> Bounded {
    HashConfig::default().bounded()
}

pub fn pick(select: &dyn Select, tier: &[Arc<Backend>], key: &Key, offered: impl Fn(usize) -> bool) -> Option<usize> {
    pick_by(tier, offered, |candidates| select.pick(key, candidates))
}

fn pick_by(
    tier: &[Arc<Backend>],
    offered: impl Fn(usize) -> bool,
    pick: impl FnOnce(&Candidates<'_>) -> Option<usize>,
) -> Option<usize> {
    let offers = |backend: &Backend| {
        backend.weight() > 0
            && tier
                .iter()
                .position(|other| std::ptr::eq(&raw const **other, backend))
                .is_some_and(&offered)
    };
    pick(&Candidates {
        backends: tier,
        now: Moment::now(),
        offers: &offers,
    })
}

/// Who gets each of many keys.
pub fn pick_all(
    select: &dyn Select,
    tier: &[Arc<Backend>],
    seed: u64,
    offered: impl Fn(usize) -> bool,
) -> Vec<Option<usize>> {
    (0..KEYS)
        .map(|number| pick(select, tier, &client(seed ^ number), &offered))
        .collect()
}

/// The first backend of a tier is a, the next b, …
pub fn letter(place: usize) -> char {
    char::from(b'a' + place as u8)
}

/// The picks of one client after another, a letter each.
pub fn sequence(select: &dyn Select, tier: &[Arc<Backend>], length: u64, offered: impl Fn(usize) -> bool) -> String {
    (0..length)
        .filter_map(|number| pick(select, tier, &client(number), &offered))
        .map(letter)
        .collect()
}

/// The same of what is no algorithm by itself.
pub fn sequence_of(
    tier: &[Arc<Backend>],
    length: u64,
    offered: impl Fn(usize) -> bool,
    pick: impl Fn(&Candidates<'_>) -> Option<usize>,
) -> String {
    (0..length)
        .filter_map(|_| pick_by(tier, &offered, &pick))
        .map(letter)
        .collect()
}

/// Every key that has another backend after than before was `mover`'s before.
pub fn assert_only_keys_of(mover: usize, before: &[Option<usize>], after: &[Option<usize>]) {
    let foreign = before
        .iter()
        .zip(after)
        .filter(|(b, a)| b != a && **b != Some(mover))
        .count();
    assert_eq!(foreign, 0, "foreign moves");
}

/// When one of five backends dies, its keys move and no others.
pub fn assert_a_death_moves_no_other_keys<S: Select>(strict: impl Fn(&[Arc<Backend>]) -> S, dead: usize, seed: u64) {
    let tier = tier(&[1, 3, 1, 2, 1]);
    let before = pick_all(&strict(&tier), &tier, seed, |_| true);
    let after = pick_all(&strict(&tier), &tier, seed, |place| place != dead);
    assert_only_keys_of(dead, &before, &after);
}

/// Sends requests that never end to backends of these weights, and sees that none has more than the default bound at any
/// time.
pub fn assert_bounded<S: Select>(select: impl Fn(Bounded, &[Arc<Backend>]) -> S, weights: &[u32], seed: u64) {
    let tier = tier(weights);
    let (select, factor) = (select(bounded(), &tier), 1.25);
    let total_weight: f64 = tier.iter().map(|backend| f64::from(backend.weight())).sum();
    let mut held = Vec::new();
    for number in 1..=100 {
        // Three clients only: without the bound they would overload three backends.
        let place = pick(&select, &tier, &client(seed ^ (number % 3)), |_| true).expect("a bound always leaves room");
        held.push(hold(&tier[place], 1));
        let bound = (factor * number as f64 * f64::from(tier[place].weight()) / total_weight).ceil();
        assert!(
            f64::from(tier[place].in_flight()) <= bound,
            "{place} has {} > {bound}",
            tier[place].in_flight()
        );
    }
}

/// Keeps so many requests in flight on a backend.
pub fn hold(backend: &Arc<Backend>, requests: u32) -> Vec<Held> {
    (0..requests).map(|_| Held::new(backend, 0)).collect()
}

/// Keeps an upload of so many bytes in flight on a backend.
pub fn hold_bytes(backend: &Arc<Backend>, bytes: u64) -> Held {
    Held::new(backend, bytes)
}

pub struct Held {
    backend: Arc<Backend>,
    bytes: u64,
}

impl Held {
    fn new(backend: &Arc<Backend>, bytes: u64) -> Self {
        assert!(
            backend.claim(Moment::now(), bytes),
            "the fixture's backends take any number"
        );
        Self {
            backend: Arc::clone(backend),
            bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.backend.release(self.bytes);
    }
}
