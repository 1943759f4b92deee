//! What hooks remember between requests, and what the configuration has told them.

use std::time::{Duration, Instant};

use rhai::Engine;

use super::outcome::{Outcome, failure};
use crate::script::store::{Store, StoreError};
use crate::script::view;

/// Stands for the store that is shared.
#[derive(Clone, Copy)]
pub struct Remembered;

pub fn register(engine: &mut Engine) {
    engine
        .register_fn("setting", |name: &str| {
            view::setting(name).ok_or_else(|| failure(format!("there is no setting {name:?}")))
        })
        .register_type_with_name::<Remembered>("Store")
        .register_fn("count", |_: &mut Remembered, key: &str, window: &str| {
            let window = time(window).map_err(failure)?;
            within(|store| store.count(key, window, Instant::now()))
        })
        .register_fn("get", |_: &mut Remembered, key: &str| {
            let found = within(|store| store.get(key, Instant::now()))?;
            Ok::<_, Box<rhai::EvalAltResult>>(found.unwrap_or_default())
        })
        .register_fn("set", |_: &mut Remembered, key: &str, text: &str, ttl: &str| {
            let ttl = time(ttl).map_err(failure)?;
            within(|store| store.set(key, text, ttl, Instant::now()))
        })
        .register_fn("remove", |_: &mut Remembered, key: &str| {
            within(|store| store.remove(key))
        });
}

/// # Errors
/// It is none that something is remembered for.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = quantity::time(text).filter(|time| !time.is_zero() && *time <= LONGEST);
    time.ok_or_else(|| format!("{text:?} is not a time from 1ms to 30d; write \"30s\" or \"1m\""))
}

fn within<T>(with: impl FnOnce(&Store) -> Result<T, StoreError>) -> Outcome<T> {
    let done = view::store(with).ok_or_else(|| failure("a condition remembers nothing"))?;
    done.map_err(|error| failure(error.to_string()))
}

const LONGEST: Duration = Duration::from_secs(30 * 86_400);
