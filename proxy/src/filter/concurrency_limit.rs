//! How many requests of one client are served at a time. Nginx: `limit_conn`, which counts requests too.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::by::{By, Who};
use super::refusing::{RefusalLog, RefusingStatus, by_zone, noted};
use super::zones::Zones;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::notes::Held;
use crate::request::problem::Problem;

/// `concurrency_limit: { most: 20 }`: further ones are answered with 429.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencyLimit {
    /// Requests at a time, until the end of their answers.
    most: NonZeroU32,
    /// What clients are told apart by.
    #[serde(default)]
    key: By,
    /// Of what one too many is answered with; 429 unless given. Nginx: `limit_conn_status`.
    #[serde(default)]
    status: RefusingStatus,
    /// Counts together with all others of this name, of other routes too, and a request once; else each counts alone. Nginx: the zone.
    zone: Option<String>,
    /// Whether Veil's own log tells of each that is one too many. Nginx: `limit_conn_log_level`.
    #[serde(default)]
    log: RefusalLog,
    /// Refuses nobody: who is one too many is only told of in the log. Nginx: `limit_conn_dry_run`.
    #[serde(default)]
    dry_run: bool,
}

/// Whether there has been one in this process: only then does it matter which of several connections is served first.
pub fn counts_requests_under_way() -> bool {
    IS_USED.load(Ordering::Relaxed)
}

static IS_USED: AtomicBool = AtomicBool::new(false);

impl Settings for ConcurrencyLimit {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        IS_USED.store(true, Ordering::Relaxed);
        let make = || Counts {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        };
        Ok(Arc::new(Limiter {
            most: self.most.get(),
            key: self.key.clone(),
            status: self.status,
            zone: self.zone.clone(),
            log: self.log,
            dry_run: self.dry_run,
            counts: match &self.zone {
                Some(zone) => ZONES.shared(zone, make),
                None => Arc::new(make()),
            },
        }))
    }
}

struct Limiter {
    most: u32,
    key: By,
    status: RefusingStatus,
    zone: Option<String>,
    log: RefusalLog,
    dry_run: bool,
    counts: Arc<Counts>,
}

/// Who has requests in flight, and how many. Only those are remembered.
struct Counts {
    hasher: RandomState,
    /// A request locks one of them twice.
    shards: [Mutex<HashMap<Who, u32>>; SHARDS],
}

const SHARDS: usize = 64;

static ZONES: Zones<Counts> = Zones::new();

impl Counts {
    fn shard(&self, who: Who) -> &Mutex<HashMap<Who, u32>> {
        &self.shards[self.hasher.hash_one(who) as usize % SHARDS]
    }

    /// One more, unless there are `most` already.
    fn enter(self: &Arc<Self>, who: Who, most: u32) -> Option<Place> {
        let mut shard = self.shard(who).lock();
        let count = shard.entry(who).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place {
            counts: Arc::clone(self),
            who,
        })
    }
}

/// A request that counts. Dropping it ends that.
struct Place {
    counts: Arc<Counts>,
    who: Who,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = self.counts.shard(self.who).lock();
        if let Some(count) = shard.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.who);
            }
        }
    }
}

impl Filter for Limiter {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if !ctx.notes.counts(&self.counts) {
            return Verdict::Continue;
        }
        let who = self.key.who(&self.counts.hasher, request, ctx);
        match self.counts.enter(who, self.most) {
            Some(place) => {
                ctx.notes.held.push(Held(Box::new(place)));
                Verdict::Continue
            }
            None => {
                let what = || format!("limiting connections{}{}", noted(self.dry_run), by_zone(self.zone.as_deref()));
                self.log.tell(what, request, ctx);
                match self.dry_run {
                    true => Verdict::Continue,
                    false => Verdict::Refuse(self.status.of(TOO_MANY)),
                }
            }
        }
    }
}

const TOO_MANY: Problem = Problem {
    retry_after: Some(1),
    ..Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_at_once",
        "you have more requests under way than is allowed here",
    )
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::{built, ctx, request};

    #[test]
    fn a_zone_counts_together() {
        let [one, other] = ["{ most: 1, zone: both }", "{ most: 2, zone: both, status: 503 }"].map(built::<ConcurrencyLimit>);
        let [mut first, mut second, mut third, mut fourth] = std::array::from_fn(|_| ctx("192.0.2.1"));
        let mut head = request("GET", "/", &[]);
        assert!(matches!(one.on_request(&mut head, &mut first), Verdict::Continue));
        assert!(matches!(one.on_request(&mut head, &mut second), Verdict::Refuse(problem) if problem.status == 429));
        assert!(matches!(other.on_request(&mut head, &mut third), Verdict::Continue));
        assert!(matches!(other.on_request(&mut head, &mut fourth), Verdict::Refuse(problem) if problem.status == 503));
        // One that has its place needs no other, whichever route it goes on to.
        assert!(matches!(one.on_request(&mut head, &mut third), Verdict::Continue));
        assert_eq!(third.notes.held.len(), 1);
    }

    #[test]
    fn a_dry_run_counts_and_refuses_nobody() {
        let [dry, wet] = ["{ most: 1, zone: dry, dry_run: true }", "{ most: 1, zone: dry }"].map(built::<ConcurrencyLimit>);
        let [mut first, mut second, mut third] = std::array::from_fn(|_| ctx("192.0.2.1"));
        let mut head = request("GET", "/", &[]);
        assert!(matches!(dry.on_request(&mut head, &mut first), Verdict::Continue));
        assert!(matches!(dry.on_request(&mut head, &mut second), Verdict::Continue));
        assert!(matches!(wet.on_request(&mut head, &mut third), Verdict::Refuse(_)));
    }

    #[test]
    fn a_place_is_free_when_its_request_has_ended() {
        let limit = built::<ConcurrencyLimit>("{ most: 2 }");
        let enter = |client: &str| {
            let mut ctx = ctx(client);
            let verdict = limit.on_request(&mut request("GET", "/", &[]), &mut ctx);
            matches!(verdict, Verdict::Continue).then_some(ctx)
        };
        let (first, second) = (enter("192.0.2.1"), enter("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        drop(second);
    }
}
