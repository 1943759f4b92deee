//! Every metric: name, labels, unit. `GET /metrics` writes them as Prometheus reads them.

use std::time::Duration;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use super::AppState;
use crate::pipeline::{SecondLook, Timings};

pub(super) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    pictures: IntCounterVec,
    faces: IntCounter,
    faces_per_picture: Histogram,
    step_seconds: HistogramVec,
    second_looks: IntCounterVec,
    in_flight: IntGauge,
    queue_depth: IntGauge,
    memory_bytes: IntGaugeVec,
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            registered(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels).expect("names and labels are constants"),
            )
        };
        let seconds = |name: &str, help: &str, label: &str| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            registered(
                &registry,
                HistogramVec::new(options, &[label]).expect("names and labels are constants"),
            )
        };
        let gauge =
            |name: &str, help: &str| registered(&registry, IntGauge::new(name, help).expect("names are constants"));
        let build = IntGaugeVec::new(Opts::new("blur_build_info", "What runs here; always 1."), &["version"])
            .expect("names and labels are constants");
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registered(&registry, build);
        Self {
            requests: counters(
                "blur_requests_total",
                "Requests answered.",
                &["route", "status", "code"],
            ),
            request_seconds: seconds(
                "blur_request_duration_seconds",
                "From a request's head to its answer.",
                "route",
            ),
            pictures: counters("blur_pictures_total", "Pictures answered.", &["media_type", "path"]),
            faces: registered(
                &registry,
                IntCounter::new("blur_faces_total", "Faces found.").expect("names are constants"),
            ),
            faces_per_picture: registered(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new("blur_faces_per_picture", "Faces found in a picture.").buckets(FACES.to_vec()),
                )
                .expect("names are constants"),
            ),
            step_seconds: seconds("blur_step_duration_seconds", "Time of each step of a picture.", "step"),
            second_looks: counters(
                "blur_second_look_total",
                "Looks at pictures whose faces were hidden, and what they led to.",
                &["what"],
            ),
            in_flight: gauge("blur_in_flight", "Pictures between their head and their answer."),
            queue_depth: gauge("blur_queue_depth", "Pictures that wait for a thread."),
            memory_bytes: registered(
                &registry,
                IntGaugeVec::new(
                    Opts::new("blur_memory_bytes", "Memory spoken for by pictures."),
                    &["kind"],
                )
                .expect("names and labels are constants"),
            ),
            registry,
        }
    }

    pub fn request(&self, route: &str, status: u16, code: &str, taken: Duration) {
        self.requests
            .with_label_values(&[route, &status.to_string(), code])
            .inc();
        self.request_seconds
            .with_label_values(&[route])
            .observe(taken.as_secs_f64());
    }

    pub fn picture(&self, media_type: &str, path: &str, faces: usize, queue: Duration, timings: &Timings) {
        self.pictures.with_label_values(&[media_type, path]).inc();
        self.faces.inc_by(faces as u64);
        self.faces_per_picture.observe(faces as f64);
        for (step, time) in super::steps(queue, timings) {
            self.step_seconds.with_label_values(&[step]).observe(time.as_secs_f64());
        }
    }

    pub fn second_look(&self, outcome: Option<SecondLook>) {
        let SecondLook { looks, blanked, added } = outcome.unwrap_or_default();
        for (what, count) in [("looks", looks), ("regions_blanked", blanked), ("faces_added", added)] {
            self.second_looks.with_label_values(&[what]).inc_by(u64::from(count));
        }
    }

    /// Pictures answered since the start.
    pub fn processed(&self) -> u64 {
        self.faces_per_picture.get_sample_count()
    }
}

pub(super) async fn metrics(State(service): AppState) -> Response {
    let metrics = &service.metrics;
    metrics.in_flight.set(service.in_flight() as i64);
    metrics.queue_depth.set(service.workers.waiting() as i64);
    metrics
        .memory_bytes
        .with_label_values(&["files"])
        .set(service.admission.files().bytes_taken() as i64);
    metrics
        .memory_bytes
        .with_label_values(&["pictures"])
        .set(service.admission.pictures().bytes_taken() as i64);
    let mut text = String::new();
    // Fails only for metrics without a name or value, which these are not.
    let _ = TextEncoder::new().encode_utf8(&metrics.registry.gather(), &mut text);
    text += &vitals::text();
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()
}

fn registered<M: Collector + Clone + 'static>(registry: &Registry, metric: M) -> M {
    registry
        .register(Box::new(metric.clone()))
        .expect("every name is registered once");
    metric
}

const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const FACES: [f64; 8] = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
