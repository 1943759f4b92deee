//! How often one client may ask. Nginx: `limit_req`, the same leaky bucket, but without a zone to size.
//!
//! The generic cell rate algorithm (ITU-T I.371): a client is one point in time, at which all it has asked for will
//! have been paid off. The points live in a table of fixed size; a full row forgets its least indebted client.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, Settings, Verdict};
use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::yaml::units::Rate;

/// `rate_limit: { rate: 10/s, burst: 20 }`: more is answered with 429. An IPv6 client is its /64 network.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "RateLimitFields")]
#[schemars(with = "RateLimitFields")]
pub struct RateLimit {
    /// From one request to the next, at the allowed rate.
    interval: Duration,
    /// How many may come at once after a pause.
    burst: NonZeroU32,
    clients: NonZeroU32,
}

impl Settings for RateLimit {
    fn build(&self) -> Arc<dyn Filter> {
        Arc::new(self.limiter())
    }
}

impl RateLimit {
    fn limiter(&self) -> Limiter {
        let rows = self.clients.get().div_ceil(ROW as u32);
        Limiter {
            interval: self.interval,
            patience: self.interval * (self.burst.get() - 1),
            started: Instant::now(),
            hasher: RandomState::new(),
            rows: (0..rows).map(|_| Mutex::default()).collect(),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RateLimitFields {
    rate: Rate,
    /// As many as `rate` counts, unless given.
    burst: Option<NonZeroU32>,
    /// How many clients are remembered at a time, at 40 bytes each.
    #[serde(default = "many")]
    clients: NonZeroU32,
}

fn many() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add((1 << 16) - 1)
}

impl TryFrom<RateLimitFields> for RateLimit {
    type Error = &'static str;

    fn try_from(fields: RateLimitFields) -> Result<Self, Self::Error> {
        let count = NonZeroU32::new(fields.rate.count()).ok_or("rate: 0 lets nobody in; write 1/s or more")?;
        Ok(Self {
            interval: fields.rate.per() / count.get(),
            burst: fields.burst.unwrap_or(count),
            clients: fields.clients,
        })
    }
}

struct Limiter {
    interval: Duration,
    /// How far ahead of the clock a client's point may be.
    patience: Duration,
    started: Instant,
    /// Keyed at random, so that nobody can choose whose row to crowd.
    hasher: RandomState,
    /// A request locks one row, for a look at its few clients.
    rows: Box<[Mutex<[Client; ROW]>]>,
}

/// Clients in a row of the table.
const ROW: usize = 8;

#[derive(Clone, Copy)]
struct Client {
    address: IpAddr,
    /// When all it has asked for is paid off, since the start.
    paid_off: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            paid_off: Duration::ZERO,
        }
    }
}

impl Limiter {
    /// Counts a request; how long to wait where it is one too many.
    fn admit(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        let address = household(client);
        let place = self.hasher.hash_one(address) % self.rows.len() as u64;
        let mut row = self.rows[place as usize].lock();
        let known = row.iter().position(|client| client.address == address);
        let slot = known
            .or_else(|| (0..ROW).min_by_key(|slot| row[*slot].paid_off))
            .unwrap_or_default();
        let paid_off = known.map_or(now, |slot| row[slot].paid_off.max(now));
        let ahead = paid_off - now;
        if ahead > self.patience {
            return Err(ahead - self.patience);
        }
        row[slot] = Client {
            address,
            paid_off: paid_off + self.interval,
        };
        Ok(())
    }
}

impl Filter for Limiter {
    fn on_request(&self, _request: &mut RequestHeader, ctx: &RequestCtx) -> Verdict {
        match self.admit(ctx.account(), ctx.received.saturating_duration_since(self.started)) {
            Ok(()) => Verdict::Continue,
            Err(wait) => Verdict::Refuse(rate_limited(wait)),
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
            "your address asks more often than is allowed here",
        )
    }
}

/// Whom an address stands for: a subscriber has a whole IPv6 /64 to choose addresses from.
fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn limit(yaml: &str) -> Limiter {
        filter::<RateLimit>(yaml).limiter()
    }

    fn client(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn lets_a_burst_in_and_then_the_rate() {
        let limit = limit("{ rate: 10/s, burst: 3 }");
        for _ in 0..3 {
            assert_eq!(limit.admit(client(1), millis(0)), Ok(()));
        }
        assert_eq!(limit.admit(client(1), millis(0)), Err(millis(100)));
        assert_eq!(limit.admit(client(1), millis(99)), Err(millis(1)));
        assert_eq!(limit.admit(client(1), millis(100)), Ok(()));
        assert_eq!(limit.admit(client(1), millis(100)), Err(millis(100)));
        assert_eq!(
            limit.admit(client(2), millis(100)),
            Ok(()),
            "another client has its own allowance"
        );
    }

    #[test]
    fn a_household_shares_its_allowance() {
        let limit = limit("{ rate: 1/m }");
        assert!(limit.admit("2001:db8::1".parse().unwrap(), millis(0)).is_ok());
        assert!(limit.admit("2001:db8::ffff:2".parse().unwrap(), millis(0)).is_err());
        assert!(limit.admit("2001:db8:0:1::1".parse().unwrap(), millis(0)).is_ok());
        assert!(limit.admit("192.0.2.1".parse().unwrap(), millis(0)).is_ok());
        assert!(limit.admit("::ffff:192.0.2.1".parse().unwrap(), millis(0)).is_err());
    }

    #[test]
    fn a_full_table_forgets_those_who_owe_least() {
        let limit = limit("{ rate: 1/h, burst: 2, clients: 8 }");
        assert_eq!(limit.rows.len(), 1);
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
        let ctx = ctx("192.0.2.1");
        assert!(matches!(
            limit.on_request(&mut request("GET", "/", &[]), &ctx),
            Verdict::Continue
        ));
        let Verdict::Refuse(problem) = limit.on_request(&mut request("GET", "/", &[]), &ctx) else {
            panic!("the second request is one too many");
        };
        assert_eq!(
            (problem.status.as_u16(), problem.code, problem.retry_after),
            (429, "rate_limited", Some(30))
        );
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
