//! Traces for OpenTelemetry: a span for a request, one for the attempt that gave its answer, and those of the backend's steps
//! that it tells in `Server-Timing`. So a worker that may open no connection is in the trace all the same.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::collector::Collector;
use super::outlet::{Lost, Outlet, Sink};
use crate::request::random_bits;
use crate::request::trace::Trace;
use crate::yaml::units::Ratio;

/// `traces: { to: http://127.0.0.1:4318, share: 10% }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector, which takes OTLP over HTTP in JSON.
    pub to: Collector,
    /// Of the requests, how many are traced; what a trusted proxy says of its own goes before.
    #[serde(default = "all")]
    pub share: Ratio,
    /// `service.name` of Veil's spans.
    #[serde(default = "veil")]
    pub service: String,
}

fn all() -> Ratio {
    Ratio::from_percent(100)
}

fn veil() -> String {
    "veil".to_owned()
}

/// Spans on their way to a collector.
pub struct Traces {
    config: TracesConfig,
    outlet: Outlet,
}

/// A request that has ended.
pub struct Traced<'a> {
    pub trace: Trace,
    pub began: SystemTime,
    pub duration: Duration,
    pub method: &'a str,
    pub scheme: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub protocol: &'a str,
    pub client: Option<String>,
    pub status: u16,
    pub route: Option<&'a str>,
    pub request_id: &'a str,
    /// What went wrong, in the words of the access log.
    pub error: Option<&'a str>,
    pub attempts: u32,
    pub attempt: Option<Attempt<'a>>,
}

/// The one that the answer is of.
pub struct Attempt<'a> {
    pub pool: &'a str,
    pub backend: &'a str,
    pub address: String,
    pub began: SystemTime,
    /// Until the answer's head.
    pub latency: Duration,
    pub status: u16,
    pub server_timing: Option<&'a str>,
}

impl Traces {
    /// # Errors
    /// There can be no further thread.
    pub fn open(config: &TracesConfig) -> std::io::Result<Self> {
        let sink = Sink::Collector(config.to.clone());
        Ok(Self {
            outlet: Outlet::open(sink, "traces", GATHER)?,
            config: config.clone(),
        })
    }

    /// Goes on with a client's trace, or begins one. Whether it is told of is for a trusted proxy to say, else for the share.
    pub fn begin(&self, parent: Option<&[u8]>, is_believed: bool) -> Trace {
        let trace = Trace::under(parent);
        let is_told = match is_believed && trace.parent().is_some() {
            true => trace.is_sampled(),
            false => self.is_among_share(),
        };
        trace.told(is_told)
    }

    fn is_among_share(&self) -> bool {
        // 53 bits are what a fraction holds.
        let drawn = (random_bits() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < self.config.share.get()
    }

    /// Has the collector told of a request.
    pub fn tell(&self, traced: &Traced<'_>) {
        let of_veil = resource(&self.config.service, spans_of_veil(traced));
        let of_backend = traced.attempt.as_ref().map(|attempt| steps(attempt, traced.trace));
        let of_backend = of_backend.filter(|(_, steps)| !steps.is_empty());
        self.outlet.write(|line| {
            push(line, &of_veil);
            if let Some((pool, steps)) = of_backend {
                push(line, &resource(pool, steps));
            }
        });
    }

    /// Those that did not get out.
    pub fn lost(&self) -> Lost {
        self.outlet.lost()
    }

    pub fn finish(&self) {
        self.outlet.finish(Outlet::FAREWELL);
    }
}

/// How long spans are given to come together.
const GATHER: Duration = Duration::from_secs(1);

fn push(line: &mut Vec<u8>, value: &Value) {
    line.extend_from_slice(value.to_string().as_bytes());
    line.push(b'\n');
}

fn resource(service: &str, spans: Vec<Value>) -> Value {
    json!({
        "resource": { "attributes": [text("service.name", service)] },
        "scopeSpans": [{ "scope": { "name": "veil", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
    })
}

fn spans_of_veil(traced: &Traced<'_>) -> Vec<Value> {
    let trace = traced.trace;
    let route = traced.route.unwrap_or("none");
    let mut request = Span::new(trace, trace.span(), trace.parent(), traced.began, traced.duration);
    request.kind = SERVER;
    request.name = format!("{} {route}", traced.method);
    request.failed = traced.status >= 500;
    request.attributes = vec![
        text("http.request.method", traced.method),
        text("url.scheme", traced.scheme),
        text("url.path", traced.path),
        text("server.address", traced.host),
        text("network.protocol.version", traced.protocol.trim_start_matches("HTTP/")),
        number("http.response.status_code", traced.status.into()),
        text("http.route", route),
        text("veil.request_id", traced.request_id),
        number("veil.attempts", traced.attempts.into()),
    ];
    let client = traced.client.as_deref().map(|client| text("client.address", client));
    request.attributes.extend(client);
    request
        .attributes
        .extend(traced.error.map(|error| text("error.type", error)));
    let mut spans = vec![request.json()];
    if let Some(attempt) = &traced.attempt {
        let mut span = Span::new(
            trace,
            trace.attempt(),
            Some(trace.span()),
            attempt.began,
            attempt.latency,
        );
        span.kind = CLIENT;
        span.name = format!("{} {}", traced.method, attempt.pool);
        span.failed = attempt.status >= 500;
        span.attributes = vec![
            number("http.response.status_code", attempt.status.into()),
            text("server.address", &attempt.address),
            text("veil.pool", attempt.pool),
            text("veil.backend", attempt.backend),
        ];
        spans.push(span.json());
    }
    spans
}

/// The backend's steps one after the other, up to when it began to answer: `Server-Timing` tells how long each took.
fn steps<'a>(attempt: &Attempt<'a>, trace: Trace) -> (&'a str, Vec<Value>) {
    let told: Vec<(&str, Duration)> = attempt.server_timing.map(timings).unwrap_or_default();
    let sum: Duration = told.iter().map(|(_, took)| *took).sum();
    let mut at = attempt.began + attempt.latency.saturating_sub(sum);
    let span = |(name, took): &(&str, Duration)| {
        let mut span = Span::new(trace, random_bits().max(1), Some(trace.attempt()), at, *took);
        span.name = (*name).to_owned();
        span.attributes = vec![text("server.address", &attempt.address)];
        at += *took;
        span.json()
    };
    (attempt.pool, told.iter().map(span).collect())
}

/// `decode;dur=1.20, detect;dur=30` (W3C Server Timing), as far as it can be believed.
fn timings(field: &str) -> Vec<(&str, Duration)> {
    let metric = |metric: &'_ str| -> Option<Duration> {
        let parameters = metric.split(';').skip(1).map(str::trim);
        let milliseconds = parameters
            .filter_map(|parameter| parameter.strip_prefix("dur="))
            .next()?;
        let milliseconds: f64 = milliseconds.trim_matches('"').parse().ok()?;
        (0.0..LONGEST_STEP_MS)
            .contains(&milliseconds)
            .then(|| Duration::from_secs_f64(milliseconds / 1e3))
    };
    let name = |metric: &'_ str| metric.split(';').next().unwrap_or_default().trim().len();
    field
        .split(',')
        .take(MOST_STEPS)
        .filter_map(|one| {
            let one = one.trim();
            Some((&one[..name(one)], metric(one)?)).filter(|(name, _)| !name.is_empty())
        })
        .collect()
}

const MOST_STEPS: usize = 16;
const LONGEST_STEP_MS: f64 = 3_600_000.0;

/// OTLP's numbers for them.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;

struct Span {
    trace: Trace,
    id: u64,
    parent: Option<u64>,
    kind: u8,
    name: String,
    began: SystemTime,
    took: Duration,
    failed: bool,
    attributes: Vec<Value>,
}

impl Span {
    fn new(trace: Trace, id: u64, parent: Option<u64>, began: SystemTime, took: Duration) -> Self {
        Self {
            trace,
            id,
            parent,
            kind: INTERNAL,
            name: String::new(),
            began,
            took,
            failed: false,
            attributes: Vec::new(),
        }
    }

    fn json(&self) -> Value {
        let mut span = json!({
            "traceId": self.trace.id(),
            "spanId": format!("{:016x}", self.id),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": nanoseconds(self.began),
            "endTimeUnixNano": nanoseconds(self.began + self.took),
            "attributes": self.attributes,
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = format!("{parent:016x}").into();
        }
        if self.failed {
            span["status"] = json!({ "code": ERROR });
        }
        span
    }
}

/// OTLP writes numbers of 64 bits as text.
fn nanoseconds(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn traced(server_timing: Option<&str>) -> Traced<'_> {
        Traced {
            trace: Trace::under(Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
            began: UNIX_EPOCH + Duration::from_secs(10),
            duration: Duration::from_secs(2),
            method: "POST",
            scheme: "https",
            host: "it.example",
            path: "/v1/blur",
            protocol: "HTTP/2.0",
            client: None,
            status: 502,
            route: Some("api"),
            request_id: "1",
            error: None,
            attempts: 1,
            attempt: Some(Attempt {
                pool: "blur",
                backend: "left",
                address: "10.0.0.1:5000".to_owned(),
                began: UNIX_EPOCH + Duration::from_secs(11),
                latency: Duration::from_secs(1),
                status: 200,
                server_timing,
            }),
        }
    }

    #[test]
    fn a_request_its_attempt_and_the_steps_are_one_trace() {
        let traced = traced(Some(
            "queue;dur=100, detect;desc=\"x\";dur=250.5, none, odd;dur=-1, far;dur=1e99",
        ));
        let mut spans = spans_of_veil(&traced);
        spans.extend(steps(traced.attempt.as_ref().unwrap(), traced.trace).1);
        let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["POST api", "POST blur", "queue", "detect"]);
        assert!(
            spans
                .iter()
                .all(|span| span["traceId"] == "0af7651916cd43dd8448eb211c80319c")
        );
        let parents: Vec<_> = spans.iter().map(|span| span["parentSpanId"].clone()).collect();
        let ids: Vec<_> = spans.iter().map(|span| span["spanId"].clone()).collect();
        assert_eq!(parents[0], "b7ad6b7169203331");
        assert_eq!(parents[1..], [&ids[0], &ids[1], &ids[1]].map(Clone::clone));
        assert_eq!(spans[0]["status"]["code"], 2);
        assert_eq!(spans[1].get("status"), None);
        assert_eq!(spans[2]["startTimeUnixNano"], "11649500000");
        assert_eq!(spans[3]["endTimeUnixNano"], "12000000000");
    }

    #[test]
    fn no_word_of_timings_means_no_step() {
        for none in [None, Some(""), Some("a, b;desc=c"), Some(";dur=1")] {
            let traced = traced(none);
            assert!(
                steps(traced.attempt.as_ref().unwrap(), traced.trace).1.is_empty(),
                "{none:?}"
            );
        }
    }
}
