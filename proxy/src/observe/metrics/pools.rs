//! How pools and their backends stand at this moment.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use super::histograms::Histograms;
use super::{counter, gauges, three_digits};
use crate::pool::{BackendStatus, Counts, Latency, Pool, PoolStatus, ProviderStatus, Standing};

/// Tells of all pools; gives back the latencies, which no registry takes.
pub(super) fn tell<'a>(now: &Registry, pools: impl Iterator<Item = &'a Arc<Pool>>) -> prometheus::Result<Histograms> {
    let of_pools = PoolMetrics::new(now)?;
    let of_sources = SourceMetrics::new(now)?;
    let of_backends = BackendMetrics::new(now)?;
    let of_answers = AnswerMetrics::new(now)?;
    let mut latencies = Histograms::new(
        "veil_upstream_answer_seconds",
        "Time from the start of an attempt to the head of its answer.",
    );
    for pool in pools {
        let status = pool.status();
        of_pools.tell(&status);
        for source in &status.discovery {
            of_sources.tell(&status.name, source);
        }
        for backend in &status.backends {
            of_backends.tell(&status.name, backend);
        }
        for backend in pool.backends() {
            let counts = backend.counts();
            of_answers.tell([&status.name, backend.name()], &counts);
            push_latency(&mut latencies, [&status.name, backend.name()], &counts.latency);
        }
    }
    Ok(latencies)
}

fn push_latency(latencies: &mut Histograms, [pool, backend]: [&str; 2], latency: &Latency) {
    latencies.push(&[("pool", pool), ("backend", backend)], latency);
}

const OF_BACKEND: &[&str] = &["pool", "backend"];

struct PoolMetrics {
    eligible: IntGaugeVec,
    degraded: IntGaugeVec,
    queued: IntGaugeVec,
    refused: IntCounterVec,
    panics: IntCounterVec,
}

impl PoolMetrics {
    fn new(now: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help| gauges(now, name, help, &["pool"]);
        Ok(Self {
            eligible: gauge("veil_pool_eligible", "Backends that may be sent requests.")?,
            degraded: gauge("veil_pool_degraded", "Whether a process of its own keeps dying.")?,
            queued: gauge("veil_pool_queued", "Requests that wait for a place.")?,
            refused: counter(
                now,
                "veil_pool_refused_total",
                "Requests turned away: the queue was full, or they waited in vain.",
                &["pool", "reason"],
            )?,
            panics: counter(
                now,
                "veil_pool_panics_total",
                "Requests sent to a doubtful backend.",
                &["pool"],
            )?,
        })
    }

    fn tell(&self, pool: &PoolStatus) {
        let labels = [pool.name.as_str()];
        self.eligible.with_label_values(&labels).set(pool.eligible as i64);
        self.degraded.with_label_values(&labels).set(pool.degraded.into());
        self.queued.with_label_values(&labels).set(pool.queued as i64);
        for (reason, count) in [("full", pool.queue_overflows), ("timeout", pool.queue_timeouts)] {
            self.refused.with_label_values(&[labels[0], reason]).inc_by(count);
        }
        self.panics.with_label_values(&labels).inc_by(pool.panics);
    }
}

struct SourceMetrics {
    stale: IntGaugeVec,
    backends: IntGaugeVec,
    failures: IntCounterVec,
}

impl SourceMetrics {
    fn new(now: &Registry) -> prometheus::Result<Self> {
        let labels = ["pool", "source"];
        Ok(Self {
            stale: gauges(
                now,
                "veil_discovery_stale",
                "Whether a source of backends failed when it was last asked.",
                &labels,
            )?,
            backends: gauges(
                now,
                "veil_discovery_backends",
                "Backends that a source named when it last answered.",
                &labels,
            )?,
            failures: counter(
                now,
                "veil_discovery_failures_total",
                "Times that a source of backends failed, or named nobody.",
                &labels,
            )?,
        })
    }

    fn tell(&self, pool: &str, source: &ProviderStatus) {
        let labels = [pool, source.source.as_str()];
        self.stale
            .with_label_values(&labels)
            .set(source.trouble.is_some().into());
        self.backends.with_label_values(&labels).set(source.backends as i64);
        self.failures.with_label_values(&labels).inc_by(source.failures);
    }
}

struct BackendMetrics {
    up: IntGaugeVec,
    in_flight: IntGaugeVec,
    in_flight_bytes: IntGaugeVec,
    weight: IntGaugeVec,
    requests: IntCounterVec,
    failures: IntCounterVec,
    ejections: IntCounterVec,
    degraded: IntGaugeVec,
    deaths: IntCounterVec,
    out: IntGaugeVec,
}

impl BackendMetrics {
    fn new(now: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help| gauges(now, name, help, OF_BACKEND);
        let counter = |name, help| counter(now, name, help, OF_BACKEND);
        Ok(Self {
            up: gauge("veil_backend_up", "Whether it may be sent requests.")?,
            in_flight: gauge("veil_backend_in_flight", "Requests that it works on.")?,
            in_flight_bytes: gauge("veil_backend_in_flight_bytes", "Bytes of the uploads that it works on.")?,
            weight: gauge("veil_backend_weight", "Its share beside the others'.")?,
            requests: counter("veil_backend_requests_total", "Requests sent to it.")?,
            failures: counter("veil_backend_failures_total", "Attempts that failed.")?,
            ejections: counter("veil_backend_ejections_total", "Times it was taken out.")?,
            degraded: gauge("veil_backend_degraded", "Whether its process keeps dying.")?,
            deaths: counter(
                "veil_backend_deaths_total",
                "Times that a process which Veil spawned died unbidden; 0 for a backend that Veil did not start.",
            )?,
            out: gauges(
                now,
                "veil_backend_out",
                "1 while something has taken it out of rotation, by what did.",
                &["pool", "backend", "cause"],
            )?,
        })
    }

    fn tell(&self, pool: &str, backend: &BackendStatus) {
        let labels = [pool, backend.name.as_str()];
        let fit = matches!(backend.standing, Standing::Eligible | Standing::Full);
        self.up.with_label_values(&labels).set(fit.into());
        self.in_flight.with_label_values(&labels).set(backend.in_flight.into());
        self.in_flight_bytes
            .with_label_values(&labels)
            .set(backend.in_flight_bytes as i64);
        self.weight.with_label_values(&labels).set(backend.weight.into());
        self.requests.with_label_values(&labels).inc_by(backend.requests);
        self.failures.with_label_values(&labels).inc_by(backend.failures);
        self.ejections.with_label_values(&labels).inc_by(backend.ejections);
        self.deaths.with_label_values(&labels).inc_by(backend.deaths);
        self.degraded.with_label_values(&labels).set(backend.degraded.into());
        if let Some(trouble) = &backend.trouble {
            let cause = trouble.cause.label();
            self.out.with_label_values(&[labels[0], labels[1], cause]).set(1);
        }
    }
}

struct AnswerMetrics {
    attempts: IntCounterVec,
    answers: IntCounterVec,
}

impl AnswerMetrics {
    fn new(now: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            attempts: counter(
                now,
                "veil_upstream_attempts_total",
                "Requests sent to a backend, by how that ended; an answer that broke off is reset besides answered.",
                &["pool", "backend", "outcome"],
            )?,
            answers: counter(
                now,
                "veil_upstream_answers_total",
                "Answers of a backend, by status.",
                &["pool", "backend", "status"],
            )?,
        })
    }

    fn tell(&self, [pool, backend]: [&str; 2], counts: &Counts) {
        for (outcome, count) in counts.outcomes.iter().filter(|(_, count)| *count > 0) {
            self.attempts
                .with_label_values(&[pool, backend, outcome])
                .inc_by(*count);
        }
        let mut digits = [0; 3];
        for (status, count) in &counts.statuses {
            let status = three_digits(*status, &mut digits);
            self.answers.with_label_values(&[pool, backend, status]).inc_by(*count);
        }
    }
}
