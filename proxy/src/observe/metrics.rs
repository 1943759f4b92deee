//! Every metric's name, labels and unit, in one place. Base units, and no label that a client can invent.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::body;
use crate::client::connection::ConnectionCounts;
use crate::observe::access_log::AccessLog;
use crate::pool::{Latency, Pool, Standing};

/// What is counted while requests pass.
pub struct Metrics {
    registry: Registry,
    /// `veil_requests_total{route, status}`: answers sent, by exact status; 499 where the client left.
    requests: IntCounterVec,
    /// `veil_request_duration_seconds{route}`: from the complete head to the end of the answer.
    duration: HistogramVec,
    /// `veil_request_body_bytes_total{route}`
    request_bytes: IntCounterVec,
    /// `veil_response_body_bytes_total{route}`
    response_bytes: IntCounterVec,
    /// `veil_retries_total{pool, cause}`: attempts after the first.
    retries: IntCounterVec,
    /// `veil_hedges_total{pool, result}`: second copies sent, by which answer was taken.
    hedges: IntCounterVec,
    /// `veil_poison_bodies_total`: requests refused because three workers died on them.
    poison_bodies: IntCounter,
    /// `veil_reloads_total{result}`
    reloads: IntCounterVec,
    /// `veil_upgrades_total{result}`
    upgrades: IntCounterVec,
    /// `veil_requests_in_flight`
    in_flight: IntGauge,
}

/// A request that has ended.
pub struct Finished<'a> {
    pub route: &'a str,
    pub status: u16,
    pub duration: Duration,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// The `route` of requests that matched none.
pub const NO_ROUTE: &str = "none";

/// From a health page to a large picture on a slow machine.
const DURATION_BUCKETS_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let histogram = HistogramOpts::new(
            "veil_request_duration_seconds",
            "Time from a request's complete head to the end of its answer.",
        )
        .buckets(DURATION_BUCKETS_SECONDS.to_vec());
        let build = IntGaugeVec::new(Opts::new("veil_build_info", "What runs here; always 1."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registered(&registry, build)?;
        Ok(Self {
            requests: counter(
                &registry,
                "veil_requests_total",
                "Answers sent, by status.",
                &["route", "status"],
            )?,
            duration: registered(&registry, HistogramVec::new(histogram, &["route"])?)?,
            request_bytes: counter(
                &registry,
                "veil_request_body_bytes_total",
                "Bytes of requests' bodies received.",
                &["route"],
            )?,
            response_bytes: counter(
                &registry,
                "veil_response_body_bytes_total",
                "Bytes of answers' bodies sent.",
                &["route"],
            )?,
            retries: counter(
                &registry,
                "veil_retries_total",
                "Attempts on a further backend, by what made the one before fail.",
                &["pool", "cause"],
            )?,
            hedges: counter(
                &registry,
                "veil_hedges_total",
                "Second copies sent while the first went unanswered, by whether theirs was the answer.",
                &["pool", "result"],
            )?,
            poison_bodies: registered(
                &registry,
                IntCounter::new(
                    "veil_poison_bodies_total",
                    "Requests refused because three workers died on them, or on the same body before.",
                )?,
            )?,
            reloads: counter(
                &registry,
                "veil_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            )?,
            upgrades: counter(
                &registry,
                "veil_upgrades_total",
                "Upgrades that another program was started for.",
                &["result"],
            )?,
            in_flight: registered(
                &registry,
                IntGauge::new("veil_requests_in_flight", "Requests that are being served.")?,
            )?,
            registry,
        })
    }

    pub fn request_began(&self) {
        self.in_flight.inc();
    }

    pub fn request_left(&self) {
        self.in_flight.dec();
    }

    pub fn finished(&self, request: &Finished<'_>) {
        let mut digits = [0; 3];
        let status = three_digits(request.status, &mut digits);
        self.requests.with_label_values(&[request.route, status]).inc();
        self.duration
            .with_label_values(&[request.route])
            .observe(request.duration.as_secs_f64());
        if request.request_bytes > 0 {
            self.request_bytes
                .with_label_values(&[request.route])
                .inc_by(request.request_bytes);
        }
        if request.response_bytes > 0 {
            self.response_bytes
                .with_label_values(&[request.route])
                .inc_by(request.response_bytes);
        }
    }

    pub fn retry(&self, pool: &str, cause: &str) {
        self.retries.with_label_values(&[pool, cause]).inc();
    }

    pub fn hedge(&self, pool: &str, won: bool) {
        let result = if won { "won" } else { "lost" };
        self.hedges.with_label_values(&[pool, result]).inc();
    }

    pub fn poison_body(&self) {
        self.poison_bodies.inc();
    }

    pub fn upgrade(&self, succeeded: bool) {
        self.upgrades
            .with_label_values(&[if succeeded { "succeeded" } else { "failed" }])
            .inc();
    }

    pub fn reload(&self, succeeded: bool) {
        self.reloads
            .with_label_values(&[if succeeded { "succeeded" } else { "refused" }])
            .inc();
    }
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn three_digits(status: u16, digits: &mut [u8; 3]) -> &str {
    for (digit, place) in digits.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + (status / place % 10) as u8;
    }
    std::str::from_utf8(digits).unwrap_or("000")
}

impl Metrics {
    /// Everything in Prometheus' text format: what was counted, and how connections and pools stand at this moment.
    pub fn render<'a>(
        &self,
        connections: ConnectionCounts,
        pools: impl Iterator<Item = &'a Arc<Pool>>,
        access_log: &AccessLog,
        bodies: &body::Budget,
    ) -> prometheus::Result<String> {
        let now = Registry::new();
        let by_phase = gauges(
            &now,
            "veil_connections",
            "Clients' connections, by what they do.",
            &["phase"],
        )?;
        for (phase, count) in [
            ("reading", connections.reading),
            ("writing", connections.writing),
            ("waiting", connections.waiting),
        ] {
            by_phase.with_label_values(&[phase]).set(count as i64);
        }
        total(
            &now,
            "veil_connections_accepted_total",
            "Connections accepted.",
            connections.accepted,
        )?;
        total(
            &now,
            "veil_refused_heads_total",
            "Requests refused for how they were framed, before a route saw them.",
            connections.refused_heads,
        )?;
        let memory = gauges(
            &now,
            "veil_body_memory_bytes",
            "Memory for requests' bodies, in use and in all.",
            &["of"],
        )?;
        memory.with_label_values(&["in_use"]).set(bodies.in_use() as i64);
        memory.with_label_values(&["total"]).set(bodies.total() as i64);
        total(
            &now,
            "veil_access_log_dropped_total",
            "Lines that nobody read in time.",
            access_log.dropped(),
        )?;
        let latencies = self.render_pools(&now, pools)?;
        let mut text = Vec::new();
        let encoder = TextEncoder::new();
        encoder.encode(&self.registry.gather(), &mut text)?;
        encoder.encode(&now.gather(), &mut text)?;
        encoder.encode(&latencies.family(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn render_pools<'a>(
        &self,
        now: &Registry,
        pools: impl Iterator<Item = &'a Arc<Pool>>,
    ) -> prometheus::Result<Histograms> {
        let of_pool = ["pool"];
        let of_backend = ["pool", "backend"];
        let eligible = gauges(
            now,
            "veil_pool_eligible",
            "Backends that may be sent requests.",
            &of_pool,
        )?;
        let degraded_pool = gauges(
            now,
            "veil_pool_degraded",
            "Whether a process of its own keeps dying.",
            &of_pool,
        )?;
        let queued = gauges(now, "veil_pool_queued", "Requests that wait for a place.", &of_pool)?;
        let refused = counter(
            now,
            "veil_pool_refused_total",
            "Requests turned away: the queue was full, or they waited in vain.",
            &["pool", "reason"],
        )?;
        let panics = counter(
            now,
            "veil_pool_panics_total",
            "Requests sent to a doubtful backend.",
            &of_pool,
        )?;
        let of_source = ["pool", "source"];
        let stale = gauges(
            now,
            "veil_discovery_stale",
            "Whether a source of backends failed when it was last asked.",
            &of_source,
        )?;
        let discovered = gauges(
            now,
            "veil_discovery_backends",
            "Backends that a source named when it last answered.",
            &of_source,
        )?;
        let undiscovered = counter(
            now,
            "veil_discovery_failures_total",
            "Times that a source of backends failed, or named nobody.",
            &of_source,
        )?;
        let up = gauges(now, "veil_backend_up", "Whether it may be sent requests.", &of_backend)?;
        let in_flight = gauges(now, "veil_backend_in_flight", "Requests that it works on.", &of_backend)?;
        let bytes = gauges(
            now,
            "veil_backend_in_flight_bytes",
            "Bytes of the uploads that it works on.",
            &of_backend,
        )?;
        let weight = gauges(now, "veil_backend_weight", "Its share beside the others'.", &of_backend)?;
        let requests = counter(now, "veil_backend_requests_total", "Requests sent to it.", &of_backend)?;
        let failures = counter(now, "veil_backend_failures_total", "Attempts that failed.", &of_backend)?;
        let ejections = counter(
            now,
            "veil_backend_ejections_total",
            "Times it was taken out.",
            &of_backend,
        )?;
        let degraded = gauges(
            now,
            "veil_backend_degraded",
            "Whether its process keeps dying.",
            &of_backend,
        )?;
        let deaths = counter(
            now,
            "veil_backend_deaths_total",
            "Times that a process which Veil spawned died unbidden; 0 for a backend that Veil did not start.",
            &of_backend,
        )?;
        let out = gauges(
            now,
            "veil_backend_out",
            "1 while something has taken it out of rotation, by what did.",
            &["pool", "backend", "cause"],
        )?;
        let attempts = counter(
            now,
            "veil_upstream_attempts_total",
            "Requests sent to a backend, by how that ended.",
            &["pool", "backend", "outcome"],
        )?;
        let answers = counter(
            now,
            "veil_upstream_answers_total",
            "Answers of a backend, by status.",
            &["pool", "backend", "status"],
        )?;
        let mut latencies = Histograms::new(
            "veil_upstream_answer_seconds",
            "Time from the start of an attempt to the head of its answer.",
        );
        for pool in pools {
            let status = pool.status();
            let of_pool = [status.name.as_str()];
            eligible.with_label_values(&of_pool).set(status.eligible as i64);
            degraded_pool.with_label_values(&of_pool).set(status.degraded.into());
            queued.with_label_values(&of_pool).set(status.queued as i64);
            for (reason, count) in [("full", status.queue_overflows), ("timeout", status.queue_timeouts)] {
                refused.with_label_values(&[status.name.as_str(), reason]).inc_by(count);
            }
            panics.with_label_values(&of_pool).inc_by(status.panics);
            for source in &status.discovery {
                let labels = [status.name.as_str(), source.source.as_str()];
                stale.with_label_values(&labels).set(source.trouble.is_some().into());
                discovered.with_label_values(&labels).set(source.backends as i64);
                undiscovered.with_label_values(&labels).inc_by(source.failures);
            }
            for backend in &status.backends {
                let labels = [status.name.as_str(), backend.name.as_str()];
                let fit = matches!(backend.standing, Standing::Eligible | Standing::Full);
                up.with_label_values(&labels).set(fit.into());
                in_flight.with_label_values(&labels).set(backend.in_flight.into());
                bytes.with_label_values(&labels).set(backend.in_flight_bytes as i64);
                weight.with_label_values(&labels).set(backend.weight.into());
                requests.with_label_values(&labels).inc_by(backend.requests);
                failures.with_label_values(&labels).inc_by(backend.failures);
                ejections.with_label_values(&labels).inc_by(backend.ejections);
                deaths.with_label_values(&labels).inc_by(backend.deaths);
                degraded.with_label_values(&labels).set(backend.degraded.into());
                if let Some(trouble) = &backend.trouble {
                    let cause = trouble.cause.label();
                    out.with_label_values(&[labels[0], labels[1], cause]).set(1);
                }
            }
            for backend in pool.backends() {
                let labels = [status.name.as_str(), backend.name()];
                let counts = backend.counts();
                for (outcome, count) in counts.outcomes.iter().filter(|(_, count)| *count > 0) {
                    attempts
                        .with_label_values(&[labels[0], labels[1], outcome])
                        .inc_by(*count);
                }
                let mut digits = [0; 3];
                for (status, count) in &counts.statuses {
                    let status = three_digits(*status, &mut digits);
                    answers
                        .with_label_values(&[labels[0], labels[1], status])
                        .inc_by(*count);
                }
                latencies.push(&[("pool", labels[0]), ("backend", labels[1])], &counts.latency);
            }
        }
        Ok(latencies)
    }
}

/// Histograms that somebody else has counted.
struct Histograms(MetricFamily);

impl Histograms {
    fn new(name: &str, help: &str) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        Self(family)
    }

    fn push(&mut self, labels: &[(&str, &str)], latency: &Latency) {
        let bucket = |(bound, count): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        };
        let label = |(name, value): &(&str, &str)| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value((*value).to_owned());
            label
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(latency.buckets.iter().map(bucket).collect());
        histogram.set_sample_count(latency.count);
        histogram.set_sample_sum(latency.sum_seconds);
        let mut metric = Metric::default();
        metric.set_label(labels.iter().map(label).collect());
        metric.set_histogram(histogram);
        self.0.mut_metric().push(metric);
    }

    /// None where there is nothing to tell, which the format has no form for.
    fn family(self) -> Vec<MetricFamily> {
        let has_any = !self.0.get_metric().is_empty();
        Some(self.0).filter(|_| has_any).into_iter().collect()
    }
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn total(registry: &Registry, name: &str, help: &str, value: u64) -> prometheus::Result<()> {
    registered(registry, IntCounter::new(name, help)?)?.inc_by(value);
    Ok(())
}
