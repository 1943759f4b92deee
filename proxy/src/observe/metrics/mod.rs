//! Every metric's name, labels and unit, in one place. Base units, and no label that a client can invent.

mod histograms;
mod pools;
mod present;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::observe::changes::Changes;

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
    /// `veil_copies_total{pool, result}`: of requests for another pool, by whether they were `sent`, `left_out` for want of room, or
    /// for a body that is not kept (`no_body`). What came of those that were sent is among that pool's numbers.
    copies: IntCounterVec,
    /// `veil_result_cache_total{route, result}`: what came of looking a request up: `hit`, `miss`, `error` where the store
    /// failed, `bypass` for a body that cannot be told from others.
    result_cache: IntCounterVec,
    /// `veil_poison_bodies_total`: requests refused because three workers died on them.
    poison_bodies: IntCounter,
    /// `veil_reloads_total{result}`
    reloads: IntCounterVec,
    /// `veil_upgrades_total{result}`
    upgrades: IntCounterVec,
    /// `veil_requests_in_flight`
    in_flight: IntGauge,
    changes: Changes,
    /// `veil_certificate_expiry_timestamp_seconds{listener, certificate, name}`
    expiry: IntGaugeVec,
}

/// A certificate that is shown to clients.
pub struct Shown<'a> {
    pub listener: &'a str,
    /// Its file.
    pub certificate: &'a str,
    /// The first of its names.
    pub name: &'a str,
    pub until: SystemTime,
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
    /// The certificates that are shown at this moment, and no others.
    pub fn certificates<'a>(&self, shown: impl IntoIterator<Item = Shown<'a>>) {
        self.expiry.reset();
        for shown in shown {
            let until = shown.until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let labels = [shown.listener, shown.certificate, shown.name];
            self.expiry.with_label_values(&labels).set(until as i64);
        }
    }

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
            expiry: gauges(
                &registry,
                "veil_certificate_expiry_timestamp_seconds",
                "When a certificate runs out, in seconds since 1970.",
                &["listener", "certificate", "name"],
            )?,
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
            copies: counter(
                &registry,
                "veil_copies_total",
                "Copies of requests for another pool, by what became of them.",
                &["pool", "result"],
            )?,
            result_cache: counter(
                &registry,
                "veil_result_cache_total",
                "Requests looked up among the answers that are kept, by what came of it.",
                &["route", "result"],
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
            changes: Changes::default(),
            registry,
        })
    }

    /// The last reload and upgrade, which are more than a number.
    pub fn changes(&self) -> &Changes {
        &self.changes
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

    pub fn copy(&self, pool: &str, result: &str) {
        self.copies.with_label_values(&[pool, result]).inc();
    }

    pub fn result_cache(&self, route: &str, result: &str) {
        self.result_cache.with_label_values(&[route, result]).inc();
    }

    pub fn poison_body(&self) {
        self.poison_bodies.inc();
    }

    pub fn upgrade<E: ToString>(&self, result: Result<(), &E>) {
        let word = if result.is_ok() { "succeeded" } else { "failed" };
        self.upgrades.with_label_values(&[word]).inc();
        self.changes.upgraded(result);
    }

    pub fn reload<E: ToString>(&self, result: Result<(), &E>) {
        let word = if result.is_ok() { "succeeded" } else { "refused" };
        self.reloads.with_label_values(&[word]).inc();
        self.changes.reloaded(result);
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

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn total(registry: &Registry, name: &str, help: &str, value: u64) -> prometheus::Result<()> {
    registered(registry, IntCounter::new(name, help)?)?.inc_by(value);
    Ok(())
}
