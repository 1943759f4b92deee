//! Traces for OpenTelemetry: a span for a request, one for each attempt at a backend, and those of the backend's steps that it
//! tells in `Server-Timing`. So a worker that may open no connection is in the trace all the same.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::collector::{Collector, CollectorUrl};
use super::outlet::{Lost, Outlet, Sink};
use crate::pool::{TlsConfig, Transport, TransportConfig};
use crate::request::random_bits;
use crate::request::trace::Trace;
use crate::yaml::units::{self, Ratio};

/// `traces: { to: http://127.0.0.1:4318, share: 10% }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector, which takes OTLP over HTTP in JSON.
    pub to: CollectorUrl,
    /// Whom to believe that it is the collector, where it is reached by https; whom the system trusts unless given.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Sent along with what it is told, such as a key of its own for Veil.
    #[serde(default, deserialize_with = "units::headers")]
    pub headers: BTreeMap<String, String>,
    /// Of the requests, how many are traced; what a trusted proxy says of its own goes before.
    #[serde(default = "all")]
    pub share: Ratio,
    /// `service.name` of Veil's spans.
    #[serde(default = "veil")]
    pub service: String,
}

impl TracesConfig {
    pub fn transport(&self) -> TransportConfig {
        TransportConfig {
            tls: self.to.is_secure.then(|| self.tls.clone().unwrap_or_default()),
            ..TransportConfig::default()
        }
    }
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
    transport: Arc<Transport>,
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
    pub pool: Option<&'a str>,
    /// In their order.
    pub attempts: Vec<Attempt<'a>>,
}

/// One at a backend.
pub struct Attempt<'a> {
    pub span: u64,
    pub backend: &'a str,
    pub address: String,
    pub began: SystemTime,
    /// Until the answer's head, or until it failed.
    pub took: Duration,
    pub status: Option<u16>,
    /// Why another one followed, or none could.
    pub failure: Option<&'static str>,
    pub server_timing: Option<&'a str>,
}

impl Traces {
    /// # Errors
    /// There can be no further thread, or a certificate cannot be used.
    pub fn open(config: &TracesConfig) -> io::Result<Self> {
        let transport = Transport::new(config.transport()).map_err(io::Error::other)?;
        let collector = Collector::new(&config.to, Arc::clone(&transport), &config.headers);
        Ok(Self {
            outlet: Outlet::open(Sink::Collector(Arc::new(collector)), "traces", GATHER)?,
            transport,
            config: config.clone(),
        })
    }

    /// Whether those opened with this configuration now would be the same.
    pub fn are_as(&self, config: &TracesConfig) -> bool {
        self.config == *config && self.transport.is_as(&config.transport())
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
        let of_backend = traced.attempts.last().map(|attempt| steps(attempt, traced.trace));
        let of_backend = of_backend.filter(|steps| !steps.is_empty());
        self.outlet.write(|line| {
            push(line, &of_veil);
            if let Some(steps) = of_backend {
                push(line, &resource(traced.pool.unwrap_or_default(), steps));
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
        number_of("http.response.status_code", traced.status.into()),
        text("http.route", route),
        text("veil.request_id", traced.request_id),
        number_of("veil.attempts", traced.attempts.len() as u64),
    ];
    let client = traced.client.as_deref().map(|client| text("client.address", client));
    request.attributes.extend(client);
    request
        .attributes
        .extend(traced.error.map(|error| text("error.type", error)));
    let attempts = traced.attempts.iter().enumerate();
    [request.json()]
        .into_iter()
        .chain(attempts.map(|(number, attempt)| span_of(traced, number, attempt)))
        .collect()
}

fn span_of(traced: &Traced<'_>, number: usize, attempt: &Attempt<'_>) -> Value {
    let (trace, pool) = (traced.trace, traced.pool.unwrap_or_default());
    let mut span = Span::new(trace, attempt.span, Some(trace.span()), attempt.began, attempt.took);
    span.kind = CLIENT;
    span.name = format!("{} {pool}", traced.method);
    span.failed = attempt.failure.is_some() || attempt.status.is_some_and(|status| status >= 500);
    span.attributes = vec![
        text("server.address", &attempt.address),
        text("veil.pool", pool),
        text("veil.backend", attempt.backend),
    ];
    let status = attempt
        .status
        .map(|status| number_of("http.response.status_code", status.into()));
    let again = (number > 0).then(|| number_of("http.request.resend_count", number as u64));
    let failure = attempt.failure.map(|failure| text("error.type", failure));
    span.attributes.extend(status.into_iter().chain(again).chain(failure));
    span.json()
}

/// The backend's steps one after the other, up to when it began to answer: `Server-Timing` tells how long each took.
fn steps(attempt: &Attempt<'_>, trace: Trace) -> Vec<Value> {
    let told: Vec<(&str, Duration)> = attempt.server_timing.map(timings).unwrap_or_default();
    let sum: Duration = told.iter().map(|(_, took)| *took).sum();
    let mut at = attempt.began + attempt.took.saturating_sub(sum);
    let span = |(name, took): &(&str, Duration)| {
        let mut span = Span::new(trace, random_bits().max(1), Some(attempt.span), at, *took);
        span.name = (*name).to_owned();
        span.attributes = vec![text("server.address", &attempt.address)];
        at += *took;
        span.json()
    };
    told.iter().map(span).collect()
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

fn number_of(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn attempt(span: u64, status: Option<u16>, failure: Option<&'static str>) -> Attempt<'static> {
        Attempt {
            span,
            backend: "left",
            address: "10.0.0.1:5000".to_owned(),
            began: UNIX_EPOCH + Duration::from_secs(11),
            took: Duration::from_secs(1),
            status,
            failure,
            server_timing: None,
        }
    }

    fn traced(attempts: Vec<Attempt<'_>>) -> Traced<'_> {
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
            pool: Some("blur"),
            attempts,
        }
    }

    fn timed(server_timing: &str) -> Attempt<'_> {
        Attempt {
            server_timing: Some(server_timing),
            ..attempt(7, Some(200), None)
        }
    }

    #[test]
    fn a_request_its_attempts_and_the_steps_are_one_trace() {
        let timing = "queue;dur=100, detect;desc=\"x\";dur=250.5, none, odd;dur=-1, far;dur=1e99";
        let traced = traced(vec![attempt(5, None, Some("connect")), timed(timing)]);
        let mut spans = spans_of_veil(&traced);
        spans.extend(steps(&traced.attempts[1], traced.trace));
        let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["POST api", "POST blur", "POST blur", "queue", "detect"]);
        assert!(
            spans
                .iter()
                .all(|span| span["traceId"] == "0af7651916cd43dd8448eb211c80319c")
        );
        let parents: Vec<_> = spans.iter().map(|span| span["parentSpanId"].clone()).collect();
        let ids: Vec<_> = spans.iter().map(|span| span["spanId"].clone()).collect();
        assert_eq!(parents[0], "b7ad6b7169203331");
        assert_eq!(parents[1..], [&ids[0], &ids[0], &ids[2], &ids[2]].map(Clone::clone));
        let codes: Vec<_> = spans.iter().map(|span| span["status"]["code"].as_u64()).collect();
        assert_eq!(codes, [Some(2), Some(2), None, None, None]);
        assert_eq!(spans[3]["startTimeUnixNano"], "11649500000");
        assert_eq!(spans[4]["endTimeUnixNano"], "12000000000");
        let told = spans[1].to_string();
        assert!(told.contains("\"connect\"") && !told.contains("status_code"), "{told}");
        assert!(spans[2].to_string().contains("resend_count"), "{}", spans[2]);
    }

    #[test]
    fn no_word_of_timings_means_no_step() {
        for none in ["", "a, b;desc=c", ";dur=1"] {
            let traced = traced(vec![timed(none)]);
            assert!(steps(&traced.attempts[0], traced.trace).is_empty(), "{none:?}");
        }
    }
}
