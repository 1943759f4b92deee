//! Passive health: failed requests take a backend out for a while, as Nginx's `max_fails` and `fail_timeout` do.
//! After `fail_timeout` one request is let through as a trial; its success wipes the slate, its failure ejects again.
//! Source of the rules: `ngx_http_upstream_round_robin.c`, `get_peer` and `free_round_robin_peer`. Beyond Nginx, which has no
//! active checks: failures to connect alone are forgotten as soon as a check has got through.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::pool::clock::Moment;
use crate::yaml::units;

/// `ejection: { consecutive_5xx: 5, slower_than: 10s }`: what else counts against a backend, besides attempts that fail.
/// A backend with `max_fails: 0` is not ejected for these either.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct EjectionConfig {
    /// So many answers of 500 and above in a row eject; 0 never does.
    pub consecutive_5xx: u32,
    /// An answer that takes longer to begin counts as a failed attempt.
    pub slower_than: Option<units::Duration>,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            slower_than: None,
        }
    }
}

/// How many failures within which time eject; `max_fails: 0` never does.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub max_fails: u32,
    pub fail_timeout: Duration,
}

/// One backend's record of failures. Only atomics: it is read for every request.
#[derive(Debug, Default)]
pub struct Ejection {
    failures: AtomicU32,
    failed_at: AtomicU64,
    /// The last failure or trial, whichever was later.
    checked_at: AtomicU64,
    ejections: AtomicU64,
    server_errors_in_a_row: AtomicU32,
    /// Some of the failures came from a backend that was reached.
    was_reached: AtomicBool,
}

impl Ejection {
    /// Whether the backend is out at this moment.
    pub fn excludes(&self, tolerance: Tolerance, now: Moment) -> bool {
        self.spent(tolerance) && !self.trial_due(tolerance, now)
    }

    /// Asks to send a request. Of those that come when a trial is due, one is let through.
    pub fn admit(&self, tolerance: Tolerance, now: Moment) -> bool {
        let checked_at = self.checked_at.load(Ordering::Acquire);
        if now.since(Moment::from_raw(checked_at)) <= tolerance.fail_timeout {
            return !self.spent(tolerance);
        }
        let won = self
            .checked_at
            .compare_exchange(checked_at, now.raw(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        won || !self.spent(tolerance)
    }

    /// Counts a failure; says whether it ejects the backend. `may_eject` is asked only when it would: a pool's last
    /// eligible backend stays, one failure short of ejection.
    pub fn failed(&self, tolerance: Tolerance, now: Moment, may_eject: impl FnOnce() -> bool) -> bool {
        let failures = self.failures.load(Ordering::Acquire);
        if failures.saturating_add(1) >= tolerance.max_fails {
            return self.eject(tolerance, now, may_eject);
        }
        self.failures.fetch_add(1, Ordering::AcqRel);
        self.note_failure(now);
        false
    }

    /// Ejects the backend whatever it was forgiven so far, under the same condition; says whether that is news.
    pub fn eject(&self, tolerance: Tolerance, now: Moment, may_eject: impl FnOnce() -> bool) -> bool {
        self.note_failure(now);
        if tolerance.max_fails == 0 {
            return false;
        }
        if !may_eject() {
            self.failures.store(tolerance.max_fails - 1, Ordering::Release);
            return false;
        }
        let before = self.failures.swap(tolerance.max_fails, Ordering::AcqRel);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        before < tolerance.max_fails
    }

    fn note_failure(&self, now: Moment) {
        self.failed_at.store(now.raw(), Ordering::Release);
        self.checked_at.store(now.raw(), Ordering::Release);
    }

    /// Counts an answer; returns how many of 500 and above there were in a row.
    pub fn answered(&self, status: u16) -> u32 {
        if status >= 500 {
            return self
                .server_errors_in_a_row
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1);
        }
        // Read first: with every answer good, no processor has to take the line from another.
        if self.server_errors_in_a_row.load(Ordering::Relaxed) > 0 {
            self.server_errors_in_a_row.store(0, Ordering::Relaxed);
        }
        0
    }

    /// Counts a success. As in Nginx, it forgives earlier failures only if it began as a trial after them.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Acquire) == 0 {
            return;
        }
        if self.failed_at.load(Ordering::Acquire) < self.checked_at.load(Ordering::Acquire) {
            self.forgive();
        }
    }

    /// What is counted next comes from a backend that was reached.
    pub fn reached(&self) {
        self.was_reached.store(true, Ordering::Release);
    }

    /// Forgets all failures: an active check found the backend well again.
    pub fn forgive(&self) {
        self.failures.store(0, Ordering::Release);
        self.was_reached.store(false, Ordering::Release);
    }

    /// Forgets failures to connect, and those alone: a check that began at this moment has got through. Says whether there
    /// were any.
    pub fn refute(&self, began: Moment) -> bool {
        let refuted = self.failures.load(Ordering::Acquire) > 0
            && !self.was_reached.load(Ordering::Acquire)
            && Moment::from_raw(self.failed_at.load(Ordering::Acquire)) < began;
        if refuted {
            self.forgive();
        }
        refuted
    }

    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How often the backend was ejected, trials that failed included.
    pub fn count(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    fn spent(&self, tolerance: Tolerance) -> bool {
        tolerance.max_fails > 0 && self.failures.load(Ordering::Acquire) >= tolerance.max_fails
    }

    fn trial_due(&self, tolerance: Tolerance, now: Moment) -> bool {
        now.since(Moment::from_raw(self.checked_at.load(Ordering::Acquire))) > tolerance.fail_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWICE_IN_TEN_SECONDS: Tolerance = Tolerance {
        max_fails: 2,
        fail_timeout: Duration::from_secs(10),
    };

    fn fail(ejection: &Ejection) -> bool {
        ejection.failed(TWICE_IN_TEN_SECONDS, Moment::now(), || true)
    }

    fn out(ejection: &Ejection) -> bool {
        ejection.excludes(TWICE_IN_TEN_SECONDS, Moment::now())
    }

    #[tokio::test(start_paused = true)]
    async fn ejects_at_max_fails_for_fail_timeout() {
        let ejection = Ejection::default();
        assert!(!fail(&ejection) && !out(&ejection));
        assert!(fail(&ejection) && out(&ejection));
        tokio::time::advance(Duration::from_millis(10_000)).await;
        assert!(out(&ejection));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!out(&ejection));
        assert_eq!(ejection.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn lets_one_trial_through_and_returns_after_its_success() {
        let ejection = Ejection::default();
        fail(&ejection);
        fail(&ejection);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert!(ejection.admit(TWICE_IN_TEN_SECONDS, Moment::now()));
        assert!(
            !ejection.admit(TWICE_IN_TEN_SECONDS, Moment::now()),
            "a second trial at the same time"
        );
        assert!(out(&ejection));
        ejection.succeeded();
        assert!(!out(&ejection) && ejection.failures() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_trial_ejects_again() {
        let ejection = Ejection::default();
        fail(&ejection);
        fail(&ejection);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert!(ejection.admit(TWICE_IN_TEN_SECONDS, Moment::now()));
        fail(&ejection);
        assert!(out(&ejection));
        assert_eq!(ejection.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_amid_failures_does_not_forgive_them() {
        let ejection = Ejection::default();
        fail(&ejection);
        ejection.succeeded();
        assert!(fail(&ejection), "two failures within fail_timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_refutes_failures_to_connect_and_no_others() {
        let second = Duration::from_secs(1);
        let ejection = Ejection::default();
        let before = Moment::now();
        tokio::time::advance(second).await;
        fail(&ejection);
        fail(&ejection);
        assert!(!ejection.refute(before) && out(&ejection), "the check began before");
        tokio::time::advance(second).await;
        assert!(ejection.refute(Moment::now()) && !out(&ejection));

        fail(&ejection);
        ejection.reached();
        fail(&ejection);
        tokio::time::advance(second).await;
        assert!(
            !ejection.refute(Moment::now()) && out(&ejection),
            "it connects, and serves nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_are_forgiven_by_a_success_between() {
        let ejection = Ejection::default();
        fail(&ejection);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(ejection.admit(TWICE_IN_TEN_SECONDS, Moment::now()));
        ejection.succeeded();
        assert!(!fail(&ejection));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_eligible_backend_stays() {
        let ejection = Ejection::default();
        for _ in 0..5 {
            assert!(!ejection.failed(TWICE_IN_TEN_SECONDS, Moment::now(), || false));
        }
        assert!(!out(&ejection));
        assert!(fail(&ejection), "once another can serve, the next failure ejects");
    }

    #[test]
    fn max_fails_zero_never_ejects() {
        let tolerance = Tolerance {
            max_fails: 0,
            fail_timeout: Duration::from_secs(10),
        };
        let ejection = Ejection::default();
        assert!(!ejection.failed(tolerance, Moment::now(), || true));
        assert!(!ejection.excludes(tolerance, Moment::now()));
    }
}
