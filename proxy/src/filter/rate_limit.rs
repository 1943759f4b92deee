//! How often one client may ask. Nginx: `limit_req`, the same leaky bucket, but without a zone to size.
//!
//! The generic cell rate algorithm (ITU-T I.371): a client is one point in time, at which all it has asked for will
//! have been paid off. The points live in a table of fixed size; a full row forgets its least indebted client.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;

use super::by::{By, Who};
use super::refusing::{RefusalLog, RefusingStatus, by_zone, noted};
use super::zones::Zones;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::yaml::units::Rate;

/// `rate_limit: { rate: 10/s, burst: 20 }`: more is answered with 429.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "RateLimitFields")]
#[schemars(with = "RateLimitFields")]
pub struct RateLimit {
    key: By,
    /// From one request to the next, at the allowed rate.
    interval: Duration,
    /// How many may come at once after a pause.
    burst: NonZeroU32,
    at_once: NonZeroU32,
    clients: NonZeroU32,
    status: RefusingStatus,
    zone: Option<String>,
    log: RefusalLog,
    dry_run: bool,
}

impl Settings for RateLimit {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.limiter()))
    }
}

impl RateLimit {
    fn limiter(&self) -> Limiter {
        let rows = self.clients.get().div_ceil(ROW as u32);
        let make = || Table {
            started: Instant::now(),
            hasher: RandomState::new(),
            rows: (0..rows).map(|_| Mutex::default()).collect(),
        };
        Limiter {
            key: self.key.clone(),
            interval: self.interval,
            patience: self.interval * (self.burst.get() - 1),
            at_once: self.interval * (self.at_once.get() - 1),
            table: match &self.zone {
                Some(zone) => ZONES.shared(zone, make),
                None => Arc::new(make()),
            },
            status: self.status,
            zone: self.zone.clone(),
            log: self.log,
            dry_run: self.dry_run,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RateLimitFields {
    rate: Rate,
    /// As many as `rate` counts, unless given. Nginx's `burst` is one less.
    burst: Option<NonZeroU32>,
    /// So many of a burst go on at once; further ones wait for their turn, as long as the rate says. All of them unless
    /// given, which is Nginx's `nodelay`; 1 is what Nginx does without, and one more than its `delay`.
    at_once: Option<NonZeroU32>,
    /// What clients are told apart by.
    #[serde(default)]
    key: By,
    /// How many clients are remembered at a time, at 48 bytes each.
    #[serde(default = "many")]
    clients: NonZeroU32,
    /// Of what one too many is answered with; 429 unless given. Nginx: `limit_req_status`.
    #[serde(default)]
    status: RefusingStatus,
    /// Counts together with all others of this name, of other routes too, and a request once; else each counts alone. Nginx: `zone`.
    zone: Option<String>,
    /// Whether Veil's own log tells of each that is one too many. Nginx: `limit_req_log_level`.
    #[serde(default)]
    log: RefusalLog,
    /// Refuses nobody: who is one too many is only told of in the log. Nginx: `limit_req_dry_run`.
    #[serde(default)]
    dry_run: bool,
}

fn many() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add((1 << 16) - 1)
}

impl TryFrom<RateLimitFields> for RateLimit {
    type Error = String;

    fn try_from(fields: RateLimitFields) -> Result<Self, Self::Error> {
        let count = NonZeroU32::new(fields.rate.count()).ok_or("rate: 0 lets nobody in; write 1/s or more")?;
        let burst = fields.burst.unwrap_or(count);
        let at_once = fields.at_once.unwrap_or(burst);
        if at_once > burst {
            return Err(format!("at_once is {at_once}, of a burst of {burst}; write {burst} at most"));
        }
        Ok(Self {
            key: fields.key,
            interval: fields.rate.per() / count.get(),
            burst,
            at_once,
            clients: fields.clients,
            status: fields.status,
            zone: fields.zone,
            log: fields.log,
            dry_run: fields.dry_run,
        })
    }
}

struct Limiter {
    key: By,
    interval: Duration,
    /// How far ahead of the clock a client's point may be.
    patience: Duration,
    /// How far ahead it may be without that its request waits.
    at_once: Duration,
    table: Arc<Table>,
    status: RefusingStatus,
    zone: Option<String>,
    log: RefusalLog,
    dry_run: bool,
}

/// What is known of clients.
struct Table {
    started: Instant,
    /// Keyed at random, so that nobody can choose whose row to crowd.
    hasher: RandomState,
    /// A request locks one row, for a look at its few clients.
    rows: Box<[Mutex<[Client; ROW]>]>,
}

static ZONES: Zones<Table> = Zones::new();

/// Clients in a row of the table.
const ROW: usize = 8;

#[derive(Clone, Copy, Default)]
struct Client {
    who: Who,
    /// When all it has asked for is paid off, since the start.
    paid_off: Duration,
}

impl Limiter {
    /// Counts a request. How long it has to wait for its turn; or, where it is one too many, until it may come again.
    fn admit(&self, who: Who, now: Duration) -> Result<Duration, Duration> {
        let table = &self.table;
        let place = table.hasher.hash_one(who) % table.rows.len() as u64;
        let mut row = table.rows[place as usize].lock();
        let known = row.iter().position(|client| client.who == who);
        let slot = known
            .or_else(|| (0..ROW).min_by_key(|slot| row[*slot].paid_off))
            .unwrap_or_default();
        let paid_off = known.map_or(now, |slot| row[slot].paid_off.max(now));
        let ahead = paid_off - now;
        if ahead > self.patience {
            return Err(ahead - self.patience);
        }
        row[slot] = Client {
            who,
            paid_off: paid_off + self.interval,
        };
        Ok(ahead.saturating_sub(self.at_once))
    }
}

impl Filter for Limiter {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if !ctx.notes.counts(&self.table) {
            return Verdict::Continue;
        }
        let who = self.key.who(&self.table.hasher, request, ctx);
        match self.admit(who, ctx.received.saturating_duration_since(self.table.started)) {
            Ok(Duration::ZERO) => Verdict::Continue,
            Ok(_) if self.dry_run => Verdict::Continue,
            Ok(wait) => Verdict::Later(Box::pin(async move {
                sleep(wait).await;
                Verdict::Continue
            })),
            Err(wait) => {
                let what = || {
                    let excess = (self.patience + wait).div_duration_f64(self.interval);
                    let (dry, zone) = (noted(self.dry_run), by_zone(self.zone.as_deref()));
                    format!("limiting requests{dry}, excess: {excess:.3}{zone}")
                };
                self.log.tell(what, request, ctx);
                match self.dry_run {
                    true => Verdict::Continue,
                    false => Verdict::Refuse(self.status.of(rate_limited(wait))),
                }
            }
        }
    }
}

fn rate_limited(wait: Duration) -> Problem {
    let seconds = wait.as_secs_f64().ceil() as u32;
    Problem {
        retry_after: Some(seconds.max(1)),
        ..Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "you ask more often than is allowed here",
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn limit(yaml: &str) -> Limiter {
        filter::<RateLimit>(yaml).limiter()
    }

    fn client(number: u32) -> Who {
        Who::at(IpAddr::V4(number.into()))
    }

    fn at(address: &str) -> Who {
        Who::at(address.parse().unwrap())
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_dry_run_counts_and_refuses_nobody() {
        let limit = limit("{ rate: 10/s, burst: 2, at_once: 1, dry_run: true }");
        for _ in 0..5 {
            let verdict = limit.on_request(&mut request("GET", "/", &[]), &mut ctx("192.0.2.1"));
            assert!(matches!(verdict, Verdict::Continue));
        }
        assert!(limit.admit(at("192.0.2.1"), Duration::ZERO).is_err());
    }

    #[test]
    fn lets_a_burst_in_and_then_the_rate() {
        let limit = limit("{ rate: 10/s, burst: 3 }");
        for _ in 0..3 {
            assert_eq!(limit.admit(client(1), millis(0)), Ok(Duration::ZERO));
        }
        assert_eq!(limit.admit(client(1), millis(0)), Err(millis(100)));
        assert_eq!(limit.admit(client(1), millis(99)), Err(millis(1)));
        assert_eq!(limit.admit(client(1), millis(100)), Ok(Duration::ZERO));
        assert_eq!(limit.admit(client(1), millis(100)), Err(millis(100)));
        assert_eq!(
            limit.admit(client(2), millis(100)),
            Ok(Duration::ZERO),
            "another client has its own allowance"
        );
    }

    #[test]
    fn a_household_shares_its_allowance() {
        let limit = limit("{ rate: 1/m }");
        assert!(limit.admit(at("2001:db8::1"), millis(0)).is_ok());
        assert!(limit.admit(at("2001:db8::ffff:2"), millis(0)).is_err());
        assert!(limit.admit(at("2001:db8:0:1::1"), millis(0)).is_ok());
        assert!(limit.admit(at("192.0.2.1"), millis(0)).is_ok());
        assert!(limit.admit(at("::ffff:192.0.2.1"), millis(0)).is_err());
    }

    #[test]
    fn a_full_table_forgets_those_who_owe_least() {
        let limit = limit("{ rate: 1/h, burst: 2, clients: 8 }");
        assert_eq!(limit.table.rows.len(), 1);
        for _ in 0..2 {
            assert!(limit.admit(client(1), millis(0)).is_ok());
        }
        for other in 2..1_000 {
            assert!(limit.admit(client(other), millis(u64::from(other))).is_ok());
        }
        assert!(
            limit.admit(client(1), millis(1_000)).is_err(),
            "a crowd does not wash the greedy one's debt away"
        );
    }

    #[test]
    fn says_when_to_come_back() {
        let limit = limit("{ rate: 2/m, burst: 1 }");
        let (mut first, mut second) = (ctx("192.0.2.1"), ctx("192.0.2.1"));
        // The same request may come by once more, from another route.
        for _ in 0..3 {
            let verdict = limit.on_request(&mut request("GET", "/", &[]), &mut first);
            assert!(matches!(verdict, Verdict::Continue));
        }
        let Verdict::Refuse(problem) = limit.on_request(&mut request("GET", "/", &[]), &mut second) else {
            panic!("the second request is one too many");
        };
        assert_eq!(
            (problem.status.as_u16(), problem.code, problem.retry_after),
            (429, "rate_limited", Some(30))
        );
    }

    #[test]
    fn what_is_not_at_once_waits_for_its_turn() {
        let limit = limit("{ rate: 10/s, burst: 4, at_once: 2 }");
        let waits: Vec<_> = (0..5).map(|_| limit.admit(client(1), millis(0))).collect();
        assert_eq!(waits, [Ok(millis(0)), Ok(millis(0)), Ok(millis(100)), Ok(millis(200)), Err(millis(100))]);
        assert_eq!(limit.admit(client(1), millis(300)), Ok(Duration::ZERO));
        assert!(serde_yaml::from_str::<RateLimit>("{ rate: 1/s, burst: 2, at_once: 3 }").is_err());
    }

    #[test]
    fn each_key_has_its_own_allowance_and_none_is_the_clients() {
        let limit = limit("{ rate: 1/h, key: $header_x_key }");
        let admitted = |key: Option<&str>, client: &str| {
            let fields: Vec<_> = key.map(|key| ("x-key", key)).into_iter().collect();
            let verdict = limit.on_request(&mut request("GET", "/", &fields), &mut ctx(client));
            matches!(verdict, Verdict::Continue)
        };
        assert!(admitted(Some("a"), "192.0.2.1"));
        assert!(!admitted(Some("a"), "192.0.2.2"));
        assert!(admitted(Some("b"), "192.0.2.1"));
        assert!(admitted(None, "192.0.2.1"));
        assert!(!admitted(Some(""), "192.0.2.1"));
    }

    #[test]
    fn refuses_a_rate_that_lets_nobody_in() {
        let error = serde_yaml::from_str::<RateLimit>("{ rate: 0/s }").unwrap_err();
        assert!(error.to_string().contains("lets nobody in"), "{error}");
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(waits in prop::collection::vec(0_u64..300, 1..500), count in 1_u32..20, burst in 1_u32..20) {
            let limit = limit(&format!("{{ rate: {count}/s, burst: {burst} }}"));
            let mut now = Duration::ZERO;
            let mut admitted = 0_u32;
            for wait in waits {
                now += millis(wait);
                admitted += u32::from(limit.admit(client(1), now).is_ok());
                let most = f64::from(burst) + f64::from(count) * now.as_secs_f64();
                prop_assert!(f64::from(admitted) <= most + 1e-6, "{admitted} by {now:?}");
            }
        }
    }
}
