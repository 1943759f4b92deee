//! Traces: what a collector of OpenTelemetry is told, of Veil's requests and of the workers' steps.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use std::{fs, thread};

use e2e::backend::{Answer, Backend};
use e2e::client;
use e2e::picture::ASTRONAUT_PNG;
use e2e::raw::Raw;
use e2e::until::SOON;
use e2e::veil::Veil;
use serde_json::Value;

/// Takes OTLP over HTTP, in JSON.
struct Collector {
    address: SocketAddr,
    received: Receiver<Value>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, received) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if send.send(taken(stream)).is_err() {
                    return;
                }
            }
        });
        Self { address, received }
    }

    /// The spans of so many names, each with its service.
    fn spans(&self, names: &[&str]) -> Vec<(String, Value)> {
        let mut spans = Vec::new();
        while !names
            .iter()
            .all(|name| spans.iter().any(|(_, span): &(String, Value)| span["name"] == **name))
        {
            let told = self
                .received
                .recv_timeout(SOON)
                .unwrap_or_else(|_| panic!("{names:?} of {spans:#?}"));
            for resource in told["resourceSpans"].as_array().unwrap() {
                let service = &resource["resource"]["attributes"][0]["value"]["stringValue"];
                for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
                    spans.push((service.as_str().unwrap().to_owned(), span.clone()));
                }
            }
        }
        spans
    }
}

fn taken(stream: TcpStream) -> Value {
    let mut reader = BufReader::new(&stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (&stream)
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn attribute(span: &Value, key: &str) -> String {
    let attributes = span["attributes"].as_array().unwrap();
    let value = attributes.iter().find(|one| one["key"] == key).map(|one| &one["value"]);
    let value = value.unwrap_or_else(|| panic!("{key} of {span:#}"));
    let value = value.get("stringValue").or(value.get("intValue")).unwrap();
    value.as_str().unwrap().to_owned()
}

fn start(collector: &Collector, backend: &Backend, share: &str, listener: &str) -> Veil {
    Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0{listener} }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         traces: {{ to: 'http://{}', share: {share} }}\n\
         routes: [{{ match: {{ path_prefix: / }}, name: all, pool: app, filters: [{{ response_headers: {{ remove: [Server-Timing] }} }}] }}]\n\
         pools: {{ app: {{ backends: [{{ address: {}, name: left }}] }} }}\n",
        collector.address, backend.address
    ))
}

fn ask(veil: &Veil, flags: &str) -> u16 {
    let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let request = format!("GET /a?b HTTP/1.1\r\nHost: it.test\r\ntraceparent: {parent}\r\n\r\n");
    Raw::connect(veil.public).send(request).response().status()
}

fn timed() -> Backend {
    Backend::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nServer-Timing: decode;dur=1.5, detect;dur=3\r\nContent-Length: 2\r\n\r\nit";
        Answer::Pieces(vec![(Duration::from_millis(20), head.into())])
    })
}

#[test]
fn a_request_its_attempt_and_the_backends_steps_are_one_trace() {
    let (collector, backend) = (Collector::start(), timed());
    let veil = start(&collector, &backend, "0%", ", trusted_proxies: [127.0.0.1]");
    assert_eq!((ask(&veil, "00"), ask(&veil, "01")), (200, 200));
    let spans = collector.spans(&["GET all", "GET app", "decode", "detect"]);
    assert_eq!(spans.len(), 4, "the trace that is not sampled is not told: {spans:#?}");
    let named = |name: &str| spans.iter().find(|(_, span)| span["name"] == name).unwrap();
    let (service, request) = named("GET all");
    assert_eq!(service, "veil");
    assert_eq!(request["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(
        [
            "http.request.method",
            "url.path",
            "http.response.status_code",
            "http.route",
            "server.address"
        ]
        .map(|key| attribute(request, key)),
        ["GET", "/a", "200", "all", "it.test"]
    );
    let (_, attempt) = named("GET app");
    assert_eq!(
        (&attempt["parentSpanId"], &*attribute(attempt, "veil.backend")),
        (&request["spanId"], "left")
    );
    for step in ["decode", "detect"] {
        let (service, step) = named(step);
        assert_eq!((&step["parentSpanId"], service.as_str()), (&attempt["spanId"], "app"));
    }
    let all_one = spans
        .iter()
        .all(|(_, span)| span["traceId"] == "0af7651916cd43dd8448eb211c80319c");
    assert!(all_one, "{spans:#?}");
    let told: Vec<String> = backend
        .received()
        .iter()
        .map(|request| request.header("traceparent").unwrap().to_owned())
        .collect();
    let ours = format!(
        "00-0af7651916cd43dd8448eb211c80319c-{}-01",
        attempt["spanId"].as_str().unwrap()
    );
    assert!(told[0].ends_with("-00") && told[1] == ours, "{told:?}");
}

#[test]
fn the_share_decides_for_whom_nobody_vouches() {
    let (collector, backend) = (Collector::start(), timed());
    let veil = start(&collector, &backend, "0%", "");
    assert_eq!(ask(&veil, "01"), 200);
    assert!(backend.received()[0].header("traceparent").unwrap().ends_with("-00"));
    let veil = start(&collector, &backend, "100%", "");
    assert_eq!(ask(&veil, "00"), 200);
    assert!(backend.received()[1].header("traceparent").unwrap().ends_with("-01"));
    assert_eq!(
        collector
            .spans(&["GET all"])
            .iter()
            .filter(|(_, span)| span["name"] == "GET all")
            .count(),
        1
    );
}

#[test]
fn a_worker_that_may_open_no_connection_is_in_the_trace() {
    let collector = Collector::start();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/local.yaml");
    let yaml = fs::read_to_string(file).unwrap();
    let yaml = yaml
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0");
    let veil = Veil::start(&format!("{yaml}\ntraces: {{ to: 'http://{}' }}\n", collector.address));
    let answer = client()
        .post(veil.url("/v1/blur"))
        .body(ASTRONAUT_PNG.to_vec())
        .send()
        .unwrap();
    assert_eq!(answer.status(), 200);
    let spans = collector.spans(&["POST api", "POST blur", "decode", "detect", "redact", "encode"]);
    let trace = &spans[0].1["traceId"];
    assert!(spans.iter().all(|(_, span)| span["traceId"] == *trace), "{spans:#?}");
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    let request = &spans.iter().find(|(_, span)| span["name"] == "POST api").unwrap().1;
    for (_, span) in &spans {
        let within = time(span, "startTimeUnixNano") >= time(request, "startTimeUnixNano")
            && time(span, "endTimeUnixNano") <= time(request, "endTimeUnixNano");
        assert!(within, "{span:#} in {request:#}");
    }
}
