//! What to do when a backend fails: pure policy.

mod budget;

use std::fmt;
use std::time::Instant;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};
use serde_json::{Value, json};

pub use self::budget::{Budget, BudgetConfig};
use crate::request::deadline::Clock;

/// `retry: { attempts: 3, retry_on: [timeout, 502, 503, 504] }`, Nginx's `proxy_next_upstream` and its `_tries`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Backends that a request may be sent to, the first one included; 1 turns retries off. A backend that cannot be
    /// connected to does not count: nothing was sent to it.
    pub attempts: u32,
    /// Besides lost connections, what is tried elsewhere.
    pub retry_on: Vec<RetryOn>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        let statuses = [500, 502, 503, 504].map(RetryOn::Status);
        Self {
            attempts: 3,
            retry_on: [RetryOn::Timeout].into_iter().chain(statuses).collect(),
        }
    }
}

impl RetryConfig {
    /// Decides what follows a failure. Takes a retry from the budget where the failure is one that many requests may
    /// share: lost connections are outside it, statuses and timeouts within.
    pub fn decide(&self, failure: Failure, attempt: &Attempt, budget: &Budget, now: Instant) -> Decision {
        let give_up = Decision::GiveUp(failure.ending());
        if attempt.answering {
            return Decision::GiveUp(Ending::Cut);
        }
        match failure {
            Failure::Connect | Failure::ConnectTimedOut => return Decision::Retry,
            // It would lack for the next backend as well.
            Failure::Local => return give_up,
            _ => {}
        }
        let harmless = attempt.idempotent || matches!(failure, Failure::Busy);
        if attempt.sent >= self.attempts || !attempt.replayable || !harmless {
            return give_up;
        }
        let wanted = match failure {
            Failure::Connect | Failure::ConnectTimedOut | Failure::Local | Failure::Died | Failure::Busy => true,
            Failure::TimedOut(clock) => clock.is_of_one_attempt() && self.retry_on.contains(&RetryOn::Timeout),
            // What is wrong with one backend is not so with the next; what is wrong with the request is.
            Failure::Status(500) if attempt.sent > 1 => false,
            Failure::Status(status) => self.retry_on.contains(&RetryOn::Status(status)),
        };
        match failure {
            _ if !wanted => give_up,
            Failure::Died => Decision::Retry,
            _ if budget.withdraw(now) => Decision::Retry,
            _ => give_up,
        }
    }
}

/// One entry of `retry_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value", extend("anyOf" = [
    json!({ "const": "timeout" }),
    json!({ "type": "integer", "minimum": 400, "maximum": 599 }),
]))]
pub enum RetryOn {
    Timeout,
    Status(u16),
}

/// How a backend failed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about; nothing was sent.
    Connect,
    /// As before, within the time that it had.
    ConnectTimedOut,
    /// No connection came about for lack of descriptors or ports on this side.
    Local,
    /// The connection was lost before a whole response head had come.
    Died,
    /// It did nothing for as long as this clock allows, or nobody waits any more.
    TimedOut(Clock),
    /// It said that it has no room, and did nothing.
    Busy,
    /// It answered with a status.
    Status(u16),
}

impl Failure {
    /// How a request ends that is not tried again after this.
    pub fn ending(self) -> Ending {
        match self {
            Self::Connect | Self::Local | Self::Died => Ending::BadGateway,
            Self::ConnectTimedOut | Self::TimedOut(_) => Ending::GatewayTimeout,
            Self::Busy | Self::Status(_) => Ending::Pass,
        }
    }
}

/// What has become of the request so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// Whether sending it twice does no harm, see [`is_idempotent`].
    pub idempotent: bool,
    /// Whether all of it can be sent again: it has no body, or the body was kept.
    pub replayable: bool,
    /// Backends that it was sent to, wholly or in part, the failed one included.
    pub sent: u32,
    /// Whether the client has seen a part of the answer.
    pub answering: bool,
}

/// What a request is suspected of after workers have died on it, unbidden: neither stopped nor drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    None,
    /// Two died. It may be what kills them, so it gets one more worker, which serves nothing else meanwhile.
    Suspect,
    /// That one died too: 422.
    Poison,
}

impl Suspicion {
    pub fn after(deaths: u32) -> Self {
        match deaths {
            0 | 1 => Self::None,
            2 => Self::Suspect,
            _ => Self::Poison,
        }
    }
}

/// Whether a request may be sent twice: its method says so (RFC 9110 section 9.2.2), or its route does.
pub fn is_idempotent(method: &Method, route_says_so: bool) -> bool {
    route_says_so || matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Sends it to a backend that has not been tried.
    Retry,
    GiveUp(Ending),
}

/// How a request ends that is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the backend's own answer.
    Pass,
    /// With 502.
    BadGateway,
    /// With 504.
    GatewayTimeout,
    /// With the connection: the answer had begun.
    Cut,
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = RetryOn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("timeout or a status from 400 to 599")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RetryOn, E> {
                match text {
                    "timeout" => Ok(RetryOn::Timeout),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, status: u64) -> Result<RetryOn, E> {
                match u16::try_from(status) {
                    Ok(status @ 400..=599) => Ok(RetryOn::Status(status)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(status), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for RetryOn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Timeout => serializer.serialize_str("timeout"),
            Self::Status(status) => serializer.serialize_u16(*status),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::yaml::units::{Rate, Ratio};

    fn post() -> Attempt {
        Attempt {
            replayable: true,
            sent: 1,
            ..Attempt::default()
        }
    }

    fn blur() -> Attempt {
        Attempt {
            idempotent: true,
            ..post()
        }
    }

    fn decide(failure: Failure, attempt: &Attempt) -> Decision {
        let now = Instant::now();
        RetryConfig::default().decide(failure, attempt, &Budget::new(&BudgetConfig::default(), now), now)
    }

    #[test]
    fn retries_on_another_backend_after_connect_refused() {
        let unsendable = Attempt {
            replayable: false,
            sent: 0,
            ..post()
        };
        assert_eq!(decide(Failure::Connect, &unsendable), Decision::Retry);
        assert_eq!(
            decide(Failure::Connect, &Attempt { sent: 3, ..blur() }),
            Decision::Retry
        );
    }

    #[test]
    fn sends_a_post_once_unless_its_route_says_that_twice_does_no_harm() {
        for (failure, ending) in [
            (Failure::Died, Ending::BadGateway),
            (Failure::TimedOut(Clock::Read), Ending::GatewayTimeout),
            (Failure::Status(502), Ending::Pass),
        ] {
            assert_eq!(decide(failure, &post()), Decision::GiveUp(ending));
            assert_eq!(decide(failure, &blur()), Decision::Retry);
        }
        assert_eq!(decide(Failure::Busy, &post()), Decision::Retry);
    }

    #[test]
    fn passes_on_a_status_that_is_not_to_be_retried() {
        assert_eq!(decide(Failure::Status(501), &blur()), Decision::GiveUp(Ending::Pass));
        assert_eq!(decide(Failure::Status(422), &blur()), Decision::GiveUp(Ending::Pass));
    }

    #[test]
    fn tries_nobody_else_when_the_time_for_all_attempts_is_over() {
        for clock in [Clock::Total, Clock::Client] {
            let decision = decide(Failure::TimedOut(clock), &blur());
            assert_eq!(decision, Decision::GiveUp(Ending::GatewayTimeout), "{clock:?}");
        }
    }

    #[test]
    fn a_500_is_tried_elsewhere_once() {
        let first = Attempt { sent: 1, ..blur() };
        assert_eq!(decide(Failure::Status(500), &first), Decision::Retry);
        let second = Attempt { sent: 2, ..blur() };
        assert_eq!(decide(Failure::Status(500), &second), Decision::GiveUp(Ending::Pass));
        assert_eq!(decide(Failure::Status(502), &second), Decision::Retry);
    }

    #[test]
    fn does_not_send_again_what_was_not_kept() {
        let streamed = Attempt {
            replayable: false,
            ..blur()
        };
        assert_eq!(decide(Failure::Died, &streamed), Decision::GiveUp(Ending::BadGateway));
    }

    #[test]
    fn cuts_an_answer_that_had_begun() {
        let begun = Attempt {
            answering: true,
            ..blur()
        };
        assert_eq!(decide(Failure::Died, &begun), Decision::GiveUp(Ending::Cut));
    }

    #[test]
    fn a_body_that_kills_runs_once_more_alone_and_is_refused_then() {
        let after: Vec<Suspicion> = (0..4).map(Suspicion::after).collect();
        assert_eq!(
            after,
            [Suspicion::None, Suspicion::None, Suspicion::Suspect, Suspicion::Poison]
        );
    }

    #[test]
    fn deaths_are_outside_the_budget_and_timeouts_within() {
        let now = Instant::now();
        let none = BudgetConfig {
            share: Ratio::from_percent(0),
            floor: Rate::per_second(0),
        };
        let budget = Budget::new(&none, now);
        let config = RetryConfig::default();
        assert_eq!(config.decide(Failure::Died, &blur(), &budget, now), Decision::Retry);
        assert_eq!(config.decide(Failure::Connect, &blur(), &budget, now), Decision::Retry);
        let timed_out = config.decide(Failure::TimedOut(Clock::Read), &blur(), &budget, now);
        assert_eq!(timed_out, Decision::GiveUp(Ending::GatewayTimeout));
    }

    #[test]
    fn reads_what_to_retry_on() {
        let config: RetryConfig = serde_yaml::from_str("retry_on: [timeout, 500]").unwrap();
        assert_eq!(config.retry_on, [RetryOn::Timeout, RetryOn::Status(500)]);
        for text in ["retry_on: [timeouts]", "retry_on: [200]", "retry_on: [70000]"] {
            let error = serde_yaml::from_str::<RetryConfig>(text).unwrap_err().to_string();
            assert!(error.contains("timeout or a status from 400 to 599"), "{error}");
        }
    }

    fn any_failure() -> impl Strategy<Value = Failure> {
        prop_oneof![
            Just(Failure::Connect),
            Just(Failure::Local),
            Just(Failure::Died),
            Just(Failure::TimedOut(Clock::Read)),
            Just(Failure::TimedOut(Clock::Total)),
            Just(Failure::Busy),
            (400_u16..600).prop_map(Failure::Status),
        ]
    }

    proptest! {
        #[test]
        fn a_request_is_sent_a_bounded_number_of_times(
            failures in prop::collection::vec(any_failure(), 100),
            attempts in 1_u32..6,
            idempotent: bool,
            replayable: bool,
        ) {
            let now = Instant::now();
            let config = RetryConfig { attempts, ..RetryConfig::default() };
            let budget = Budget::new(&BudgetConfig::default(), now);
            let mut attempt = Attempt { idempotent, replayable, ..Attempt::default() };
            let mut ended = false;
            for failure in failures {
                attempt.sent += u32::from(failure != Failure::Connect);
                if let Decision::GiveUp(_) = config.decide(failure, &attempt, &budget, now) {
                    ended = true;
                    break;
                }
                let may_be_sent_twice = idempotent || matches!(failure, Failure::Connect | Failure::Busy);
                prop_assert!(may_be_sent_twice, "sent again after {failure:?}");
                prop_assert!(replayable || attempt.sent == 0, "sent again what was not kept");
                prop_assert!(attempt.sent < attempts);
            }
            prop_assert!(ended || attempt.sent == 0);
        }
    }
}
