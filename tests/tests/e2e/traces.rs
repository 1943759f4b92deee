//! Traces: what a collector of OpenTelemetry is told, of Veil's requests and of the workers' steps.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use std::{fs, thread};

use e2e::backend::{Answer, Backend};
use e2e::client;
use e2e::openssl::{OWN, openssl};
use e2e::picture::ASTRONAUT_PNG;
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// Takes OTLP over HTTP, in JSON.
struct Collector {
    address: SocketAddr,
    received: Receiver<(Vec<String>, Value)>,
}

impl Collector {
    fn start() -> Self {
        Self::over(|mut stream| Some(taken(&mut stream)))
    }

    /// In TLS, by a certificate for otel.test that signs itself and is at `crt`.
    fn secure(crt: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(crt)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap());
        let config = Arc::new(config.unwrap());
        Self::over(move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            // Whoever does not believe it says nothing more.
            stream.conn.complete_io(&mut stream.sock).ok()?;
            (!stream.conn.is_handshaking()).then(|| taken(&mut stream))
        })
    }

    fn over(take: impl Fn(TcpStream) -> Option<(Vec<String>, Value)> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, received) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if take(stream).is_some_and(|taken| send.send(taken).is_err()) {
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
            let (_, told) = self
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

/// The lines of the head, and what is told.
fn taken(stream: &mut (impl Read + Write)) -> (Vec<String>, Value) {
    let mut reader = BufReader::new(&mut *stream);
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        lines.push(line.trim_end().to_owned());
    }
    assert_eq!(lines[0], "POST /v1/traces HTTP/1.1");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        .unwrap();
    stream.flush().unwrap();
    (lines, serde_json::from_slice(&body).unwrap())
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

/// Each attempt has a span of its own, and its backend is told that one.
#[test]
fn attempts_that_failed_are_told_too() {
    let collector = Collector::start();
    let refuses = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broken = Backend::start(|_| Answer::Whole {
        status: 503,
        body: Vec::new(),
    });
    let cut = Backend::start(|_| Answer::ResetAmidHead);
    for (failing, cause, status) in [
        (refuses, "connect", None),
        (broken.address, "status", Some("503")),
        (cut.address, "died", None),
    ] {
        let good = timed();
        let veil = Veil::start(&format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\ntraces: {{ to: 'http://{}' }}\n\
             routes: [{{ match: {{ path_prefix: / }}, name: all, pool: app }}]\n\
             pools: {{ app: {{ backends: [{{ address: {failing}, name: left }}, {{ address: {}, name: right, backup: true }}] }} }}\n",
            collector.address, good.address
        ));
        assert_eq!(ask(&veil, "00"), 200);
        let spans = collector.spans(&["GET all", "detect"]);
        let mut attempts: Vec<&Value> = spans
            .iter()
            .map(|(_, span)| span)
            .filter(|span| span["name"] == "GET app")
            .collect();
        attempts.sort_by_key(|span| span["startTimeUnixNano"].as_str().unwrap().to_owned());
        let [failed, answered] = *attempts else {
            panic!("{cause}: {spans:#?}")
        };
        let request = &spans.iter().find(|(_, span)| span["name"] == "GET all").unwrap().1;
        let step = &spans.iter().find(|(_, span)| span["name"] == "detect").unwrap().1;
        assert_eq!(
            [&failed["parentSpanId"], &answered["parentSpanId"]],
            [&request["spanId"]; 2]
        );
        assert_ne!(failed["spanId"], answered["spanId"]);
        assert_eq!(step["parentSpanId"], answered["spanId"]);
        assert_eq!(
            (&*attribute(failed, "veil.backend"), &*attribute(failed, "error.type")),
            ("left", cause)
        );
        assert_eq!(failed["status"]["code"], 2);
        assert_eq!(
            failed.to_string().contains("response.status_code"),
            status.is_some(),
            "{failed:#}"
        );
        assert_eq!(
            (
                &*attribute(answered, "veil.backend"),
                &*attribute(answered, "http.request.resend_count")
            ),
            ("right", "1")
        );
        let told = good.received()[0].header("traceparent").unwrap().to_owned();
        assert!(told.contains(answered["spanId"].as_str().unwrap()), "{told}");
    }
    for backend in [&broken, &cut] {
        assert_ne!(backend.received()[0].header("traceparent"), None);
    }
}

/// One that is no attempt is the request's child: nobody is told of a client's span by it.
#[test]
fn a_copy_is_a_child_of_the_request() {
    let (collector, app, shadow) = (Collector::start(), timed(), Backend::named("shadow"));
    let veil = Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\ntraces: {{ to: 'http://{}' }}\n\
         routes: [{{ match: {{ path_prefix: / }}, name: all, pool: app, mirror: {{ pool: shadow }} }}]\n\
         pools: {{ app: {{ backends: [{{ address: {} }}] }}, shadow: {{ backends: [{{ address: {} }}] }} }}\n",
        collector.address, app.address, shadow.address
    ));
    assert_eq!(ask(&veil, "00"), 200);
    let spans = collector.spans(&["GET all"]);
    let request = &spans.iter().find(|(_, span)| span["name"] == "GET all").unwrap().1;
    let copy = until("the copy", SOON, || shadow.received().into_iter().next());
    let span = request["spanId"].as_str().unwrap();
    let ours = format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01");
    assert_eq!(copy.header("traceparent"), Some(&*ours));
}

#[test]
fn a_collector_is_reached_by_tls_and_believed_only_if_it_is_the_one() {
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = (folder.path().join("otel.crt"), folder.path().join("otel.key"));
    let of_it = [
        "-subj",
        "/CN=otel.test",
        "-addext",
        "subjectAltName=DNS:otel.test",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    let files = ["-days", "2", "-keyout", "otel.key", "-out", "otel.crt"];
    openssl(folder.path(), &[&OWN[..], &of_it, &files].concat());
    let (collector, backend) = (Collector::secure(&crt, &key), timed());
    let start = |name: &str| {
        Veil::start(&format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
             traces: {{ to: 'https://{}', tls: {{ ca: {}, server_name: {name} }}, headers: {{ X-Key: secret }} }}\n\
             routes: [{{ match: {{ path_prefix: / }}, name: all, pool: app }}]\n\
             pools: {{ app: {{ backends: [{{ address: {} }}] }} }}\n",
            collector.address,
            crt.display(),
            backend.address
        ))
    };
    let other = start("other.test");
    assert_eq!(ask(&other, "00"), 200);
    let told = other.process.stderr.wait_for("why nothing is told", |line| {
        line.contains("the collector takes no spans").then(|| line.to_owned())
    });
    assert!(
        told.contains("https://") && told.contains("certificate") && !told.contains("secret"),
        "{told}"
    );
    let veil = start("otel.test");
    assert_eq!(ask(&veil, "00"), 200);
    let (head, told) = collector.received.recv_timeout(SOON).unwrap();
    assert!(head.contains(&"X-Key: secret".to_owned()), "{head:?}");
    assert!(told.to_string().contains("GET all"), "{told}");
}

/// One that answers a byte at a time is not waited for; nobody who asks Veil notices.
#[test]
fn a_collector_that_dribbles_is_given_up() {
    let collector = Collector::over(|mut stream| {
        let mut beginning = [0; 64];
        stream.read_exact(&mut beginning).ok()?;
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
        None
    });
    let backend = timed();
    let veil = start(&collector, &backend, "100%", "");
    assert_eq!(ask(&veil, "00"), 200);
    veil.process.stderr.wait_for("what was lost", |line| {
        let told = line.contains("the collector takes no spans") && line.contains("has not answered within");
        told.then_some(())
    });
    assert_eq!(ask(&veil, "00"), 200);
}
