//! Answers that depend on the request alone, kept for whoever sends the same again: a picture that comes twice is hidden once,
//! by whichever proxy. What is kept is sealed by a key that is made of the request too, so that a store tells nothing to
//! whoever does not have the picture.

mod answer;
mod folder;
mod form;
mod key;
mod memory;
mod redis;
mod shelf;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::Method;
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::answer::{Kept, Writing};
use self::key::{Key, Secret};
use self::shelf::{Shelf, StoreConfig};
use super::{Filter, FilterError, Recall, Recalled, Settings, Transform, Witness, Workshop};
use crate::body::Whole;
use crate::request::RequestCtx;
use crate::request::notes::Held;
use crate::request::variables::Template;
use crate::yaml::units;

/// `result_cache: { store: { memory: { size: 256MiB } }, version: "2026-11" }`. Backends' 200s to GET and POST of a stated length without
/// `Set-Cookie`, whatever their `Cache-Control` says, are given again where all is the same that a backend would get: method,
/// target, every byte of the body, and all fields but those that tell of the way and of the client's program (`User-Agent`,
/// `Date`, `Via`, `X-Forwarded-For`, `X-Real-IP`, the request's id and trace), and where the same route, pool and person asks.
/// A field that makes no difference to the answer is removed by `request_headers`. Of forms, the boundary makes none.
/// `Cache-Status` and `Age` tell who sends what has been sent before that it was; `response_headers` before this filter removes them.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ResultCache {
    store: StoreConfig,
    /// To be changed whenever backends come to answer otherwise: with their program, their model, or their options.
    version: String,
    /// What else tells apart for whom an answer is.
    tenant: Option<Template>,
    /// How long an answer is given again.
    #[serde(default = "an_hour", deserialize_with = "units::some_time")]
    ttl: units::Duration,
    /// Largest answer that is kept.
    #[serde(default = "sixteen_mib")]
    largest: units::ByteSize,
    /// How long the store may take; a backend is asked then.
    #[serde(default = "a_quarter", deserialize_with = "units::some_time")]
    timeout: units::Duration,
}

fn an_hour() -> units::Duration {
    units::Duration::from_secs(3600)
}

fn sixteen_mib() -> units::ByteSize {
    units::ByteSize::from_mib(16)
}

fn a_quarter() -> units::Duration {
    units::Duration::from_millis(250)
}

impl Settings for ResultCache {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        if self.version.is_empty() {
            return Err(FilterError("version is empty; write what tells one state of the backends from another".to_owned()));
        }
        let largest = usize::try_from(self.largest.get()).ok().filter(|largest| *largest <= ROOM);
        let largest = largest.ok_or_else(|| FilterError("largest is more than 128MiB, which all answers share".to_owned()))?;
        let limits = shelf::Limits {
            ttl: self.ttl.get(),
            timeout: self.timeout.get(),
            largest: largest + ENVELOPE,
        };
        Ok(Arc::new(Cache {
            scope: self.version.clone(),
            tenant: self.tenant.clone(),
            secret: Secret::read(self.store.key_file()).map_err(FilterError)?,
            shelf: Arc::new(Shelf::new(&self.store, limits).map_err(FilterError)?),
            room: Room(Arc::new(Semaphore::new(ROOM >> 10))),
            ttl: self.ttl.get(),
            largest,
        }))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        self.store.files()
    }

    fn needs_whole_body(&self) -> bool {
        true
    }

    /// The key may be another one, under the same name.
    fn may_be_kept(&self) -> bool {
        self.store.key_file().is_none()
    }
}

struct Cache {
    scope: String,
    tenant: Option<Template>,
    secret: Secret,
    shelf: Arc<Shelf>,
    room: Room,
    ttl: std::time::Duration,
    /// Bytes.
    largest: usize,
}

impl Filter for Cache {
    fn recall(
        &self,
        body: &Arc<Whole>,
        request: &RequestHeader,
        ctx: &RequestCtx,
        sent: &dyn Fn() -> Option<RequestHeader>,
    ) -> Option<Recall> {
        if !matches!(request.method, Method::GET | Method::POST) {
            return None;
        }
        let head = sent()?;
        // Of what the client sent: what tells tenants apart may be nothing that a backend gets.
        let tenant = self.tenant.as_ref().map(|tenant| tenant.bytes(request, ctx));
        let scope = [self.scope.as_bytes(), tenant.as_deref().unwrap_or_default()];
        let digest = self.secret.digest(&scope, &head, ctx);
        let (shelf, room, body) = (Arc::clone(&self.shelf), self.room.clone(), Arc::clone(body));
        let (ttl, largest) = (self.ttl, self.largest);
        Some(Box::pin(async move {
            let Some(key) = digest.with(&body, &head).await else {
                return Recalled::Passed("bypass");
            };
            drop(body);
            let sealed = match shelf.get(key.name()).await {
                Ok(sealed) => sealed,
                Err(_) => return Recalled::Passed("error"),
            };
            let place = room.take(sealed.as_ref().map_or(0, Vec::len));
            let plain = sealed.and_then(|sealed| key.open(sealed));
            match plain.and_then(|plain| Kept::read(&plain, SystemTime::now(), ttl)).zip(place) {
                Some((kept, place)) => Recalled::Answer(Box::new(kept.into_response()), Held(Box::new(place))),
                None => Recalled::Missed(witness(key, shelf, room, largest)),
            }
        }))
    }
}

/// What keeps the answer that a backend gives instead.
fn witness(key: Key, shelf: Arc<Shelf>, room: Room, largest: usize) -> Witness {
    let key = Arc::new(key);
    Box::new(move |answer: &ResponseHeader| {
        let writing = Writing::begin(answer, SystemTime::now(), largest)?;
        Some(Box::new(Keeper {
            shelf: Arc::clone(&shelf),
            key: Arc::clone(&key),
            place: Some(room.take(writing.capacity())?),
            writing: Some(writing),
        }))
    })
}

/// Keeps an answer as it goes by.
struct Keeper {
    shelf: Arc<Shelf>,
    key: Arc<Key>,
    /// None once it is longer than it said.
    writing: Option<Writing>,
    place: Option<OwnedSemaphorePermit>,
}

impl Transform for Keeper {
    fn next(&mut self, bytes: &[u8], last: bool) -> Bytes {
        self.writing = self.writing.take().and_then(|writing| writing.with(bytes));
        if last && let Some(plain) = self.writing.take().and_then(Writing::whole) {
            let (shelf, key, place) = (Arc::clone(&self.shelf), Arc::clone(&self.key), self.place.take());
            tokio::spawn(async move {
                if let Some(sealed) = key.seal(plain) {
                    // A store that fails has said so.
                    let _ = shelf.put(key.name(), sealed).await;
                }
                drop(place);
            });
        }
        Bytes::new()
    }
}

/// Memory for answers on their way from the store and into it, which no client's share counts.
#[derive(Clone)]
struct Room(Arc<Semaphore>);

impl Room {
    /// A place for so many bytes; none where there is no more.
    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(kib).ok()
    }
}

/// Bytes of all answers of a route that are on such a way at a time; further ones are not kept, or asked of a backend.
const ROOM: usize = 128 << 20;
/// Bytes that a kept answer may have more than its body.
const ENVELOPE: usize = 64 << 10;

#[cfg(test)]
mod tests;
