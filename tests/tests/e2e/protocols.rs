//! Every filter does the same over HTTP/1.1 and HTTP/2.

use std::collections::BTreeMap;
use std::fs;

use e2e::backend::{Answer, Backend};
use e2e::http2;
use e2e::process::Process;
use e2e::raw::Raw;
use e2e::until::SOON;
use e2e::veil::{Veil, configuration};
use tempfile::TempDir;

/// What came of a request.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: u16,
    /// Of the answer's fields those that filters make.
    fields: BTreeMap<String, String>,
    /// What the backend got of the request's own fields; nothing where it got no request.
    seen: Option<BTreeMap<String, String>>,
}

/// A route's filter, and requests one after the other: their fields and the status of the answer.
const FILTERS: &[(&str, &[(&str, u16)])] = &[
    ("access: { deny: [127.0.0.0/8] }", &[("", 403)]),
    (
        "any_of: [{ access: { deny: [127.0.0.0/8] } }, { basic_auth: { file: FOLDER/htpasswd } }]",
        &[("", 401), ("Authorization: Basic YWRhOnNlY3JldA==", 200)],
    ),
    (
        "access: { allow: [127.0.0.1] }",
        &[("", 200), ("X-Forwarded-For: 10.0.0.1", 200)],
    ),
    ("https_only: {}", &[("", 308), ("X-Forwarded-Proto: https", 308)]),
    ("https_only: { port: 8443 }", &[("", 308)]),
    (
        "redirect: { to: 'https://$host/there?$scheme&$path&$request_uri&$client_address' }",
        &[("", 308)],
    ),
    ("redirect: { to: '$request_uri/', status: 302 }", &[("", 302)]),
    ("respond: { status: 418, body: short }", &[("", 418)]),
    // Such an answer has no body, whatever is said.
    ("respond: { status: 204, body: gone }", &[("", 204), ("", 204)]),
    ("respond: { status: 205, body: gone }", &[("", 205), ("", 205)]),
    ("respond: { status: 304, body: gone }", &[("", 304), ("", 304)]),
    (
        "request_headers: { set: { X-Host: '$host', X-Uri: '$request_uri' }, remove: [X-Gone] }",
        &[("X-Gone: 1\r\nX-Host: forged\r\nX-Kept: 1", 200)],
    ),
    ("response_headers: { set: { X-Added: '$host$path' } }", &[("", 200)]),
    (
        "cors: { origins: ['https://a.test'] }",
        &[
            ("Origin: https://a.test", 200),
            ("Origin: https://b.test", 200),
            ("", 200),
        ],
    ),
    // A new Veil each: the second of two requests is too much.
    ("rate_limit: { rate: 1/m, burst: 1 }", &[("", 200), ("", 429)]),
    (
        "api_key: { file: FOLDER/keys }",
        &[("", 401), ("X-API-Key: wrong", 401), ("X-API-Key: open sesame", 200)],
    ),
    ("asked_as: { method: GET, fields: [Accept] }", &[("", 200)]),
    ("bandwidth: { rate: 1MiB }", &[("", 200)]),
    (
        "basic_auth: { file: FOLDER/htpasswd }",
        &[("", 401), ("Authorization: Basic YWRhOnNlY3JldA==", 200)],
    ),
    ("cache_control: { max_age: 1h }", &[("", 200)]),
    ("expires: { at: 1h }", &[("", 200)]),
    (
        "result_cache: { store: { memory: {} }, version: a }",
        &[("", 200), ("", 200)],
    ),
    (
        "rewrite_cookies: { path: [{ prefix: /a/, to: / }], domain: [{ is: a.test, to: $host }], attributes: [{ set: [Secure] }] }",
        &[("", 200)],
    ),
    ("rewrite_location: [{ prefix: \"http://app/\", to: / }]", &[("", 200)]),
    (
        "compression: { least_size: 1B }",
        &[("Accept-Encoding: gzip", 200), ("", 200)],
    ),
    // The place of an answer may be taken for a moment after its last byte, but not while another one is had.
    ("concurrency_limit: { most: 2 }", &[("", 200), ("", 200), ("", 200)]),
    (
        "error_page: { status: [418], template: FOLDER/page.html } }, { respond: { status: 418, body: short }",
        &[("Accept: text/html", 418), ("", 418)],
    ),
    (
        "files: { root: FOLDER, fallback: page.html }",
        &[("", 200), ("Range: bytes=1-2", 206)],
    ),
    (
        "forward_auth: { pool: blur, path: /check, set: [X-Kept] }",
        &[("X-Kept: forged", 200)],
    ),
    ("image_guard: {}", &[("", 200)]),
    (
        "jwt: { keys: FOLDER/jwks.json }",
        &[("", 401), ("Authorization: Bearer a.b.c", 401)],
    ),
    ("keep_alive: { requests: 100, told: 9s }", &[("", 200)]),
    (
        "real_ip: { from: [127.0.0.0/8], field: X-Told }",
        &[("X-Told: 192.0.2.1", 200)],
    ),
    ("request_id: { traceparent: true }", &[("", 200)]),
    ("rewrite: { to: '/there?$path&$query' }", &[("", 200)]),
    ("rewrite: { to: '$request_uri/', then: redirect }", &[("", 302)]),
    ("reroute: {}", &[("", 200)]),
    ("note: { set: { a: $host } }", &[("", 200)]),
    (
        "script: { on_error: closed, inline: 'fn on_request(request) { if header(\"x-no\") == \"1\" { return refuse(403); } }' }",
        &[("", 200), ("X-No: 1", 403)],
    ),
    ("strip_prefix: /a", &[("", 200)]),
];

/// What filters read.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let keys = r#"{ "keys": [{ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" }] }"#;
    for (name, text) in [
        (
            "keys",
            "acme 41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb\n",
        ),
        ("htpasswd", "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"),
        ("page.html", "<p>$status</p>"),
        ("jwks.json", keys),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The schema is made of the filters that there are.
#[test]
fn no_filter_is_forgotten() {
    let mut veil = Process::start("veil", &["schema"]);
    assert!(veil.exit(SOON).success());
    let schema: serde_json::Value = serde_json::from_str(&veil.stdout.all()).unwrap();
    let known = schema["definitions"]["FilterConfig"]["anyOf"].as_array().unwrap();
    let names = known
        .iter()
        .flat_map(|kind| kind["properties"].as_object().unwrap().keys())
        .filter(|name| *name != "when");
    let is_forgotten = |name: &&String| {
        !FILTERS
            .iter()
            .any(|(filter, _)| filter.starts_with(&format!("{name}:")))
    };
    assert_eq!(names.filter(is_forgotten).collect::<Vec<_>>(), [""; 0]);
}

/// Sends a request with these fields; the answer's status, and of its fields those that filters make.
type Send = fn(&Veil, &str) -> (u16, BTreeMap<String, String>);

const MADE: [&str; 10] = [
    "location",
    "access-control-allow-origin",
    "vary",
    "x-added",
    "content-type",
    "allow",
    "cache-control",
    "content-encoding",
    "content-range",
    "www-authenticate",
];
const OF_THE_REQUEST: [&str; 6] = ["host", "x-host", "x-uri", "x-gone", "x-kept", "x-forwarded-proto"];

#[test]
fn every_filter_does_the_same_over_both_protocols() {
    let folder = folder();
    for (filter, requests) in FILTERS {
        let filter = &filter.replace("FOLDER", folder.path().to_str().unwrap());
        let over = |send: Send| -> Vec<Outcome> {
            let backend = Backend::start(|_| Answer::ok("ok"));
            let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
            let route = format!("pool: blur, filters: [{{ {filter} }}] }}]");
            let veil = Veil::start(&configuration(&pool).replace("pool: blur }]", &route));
            let outcome = |(fields, status): &(&str, u16)| {
                let before = backend.received().len();
                let (said, answered) = send(&veil, fields);
                assert_eq!(said, *status, "{filter}, {fields:?}");
                let seen = backend.received().get(before).map(|request| {
                    let field = |name: &&str| Some(((*name).to_owned(), request.header(name)?.to_owned()));
                    OF_THE_REQUEST.iter().filter_map(field).collect()
                });
                Outcome {
                    status: said,
                    fields: answered,
                    seen,
                }
            };
            requests.iter().map(outcome).collect()
        };
        let (old, new) = (over(over_http1), over(over_http2));
        assert_eq!(old, new, "{filter}");
    }
}

/// HTTP/1 sees the end of its connection, HTTP/2 of its stream.
#[test]
fn no_answer_is_none_over_every_protocol() {
    let backend = Backend::named("it");
    let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
    let route = "pool: blur, filters: [{ respond: { status: 444 } }] }]";
    let veil = Veil::start(&configuration(&pool).replace("pool: blur }]", route));
    for version in ["1.0", "1.1"] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n");
        assert_eq!(Raw::connect(veil.public).send(head).rest(), b"", "{version}");
    }
    let uri = "http://a/".parse().unwrap();
    assert!(http2::send(veil.public, None, &uri, "", "").is_none());
    for protocol in ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"] {
        let said = format!("\"protocol\":\"{protocol}\",\"status\":444");
        veil.process
            .stderr
            .wait_for(&said, |line| line.contains(&said).then_some(()));
    }
    assert!(backend.received().is_empty());
}

fn over_http1(veil: &Veil, fields: &str) -> (u16, BTreeMap<String, String>) {
    let fields: String = fields.lines().map(|line| format!("{line}\r\n")).collect();
    let head = format!("GET /a//%7Eb?c HTTP/1.1\r\nHost: h.test:81\r\nConnection: close\r\n{fields}\r\n");
    let answer = Raw::connect(veil.public).send(head).response();
    let field = |name: &&str| Some(((*name).to_owned(), answer.header(name)?.to_owned()));
    (answer.status(), MADE.iter().filter_map(field).collect())
}

fn over_http2(veil: &Veil, fields: &str) -> (u16, BTreeMap<String, String>) {
    let uri = "http://h.test:81/a//%7Eb?c".parse().unwrap();
    let (head, _) = http2::send(veil.public, None, &uri, fields, "").unwrap();
    let field = |name: &&str| {
        let value = head.headers.get(*name)?.to_str().unwrap();
        Some(((*name).to_owned(), value.to_owned()))
    };
    (head.status.as_u16(), MADE.iter().filter_map(field).collect())
}
