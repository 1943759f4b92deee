//! Filters at work, each through a real socket.

mod answers;
mod clients;
mod limits;
mod reports;
mod results;
mod tokens;

use std::fs;
use std::time::Duration;

use e2e::backend::{Answer, Backend};
use e2e::raw::{Raw, Response};
use e2e::veil::Veil;
use tempfile::TempDir;

/// One listener, and one route for every path with these filters, in YAML, before the backend if there is one.
fn veil(filters: &str, backend: Option<&Backend>) -> Veil {
    let pool = backend.map_or("", |_| "pool: app, ");
    let routes = format!("  - {{ match: {{ path_prefix: / }}, {pool}filters: [{filters}] }}\n");
    veil_with(&routes, backend.map(|backend| ("app", backend)).as_slice())
}

fn veil_with(routes: &str, pools: &[(&str, &Backend)]) -> Veil {
    let pools: String = pools
        .iter()
        .map(|(name, backend)| format!("  {name}: {{ backends: [{{ address: {} }}] }}\n", backend.address))
        .collect();
    let pools = if pools.is_empty() {
        String::new()
    } else {
        format!("pools:\n{pools}")
    };
    Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         access_log: {{ to: stdout }}\nroutes:\n{routes}{pools}"
    ))
}

fn ask(veil: &Veil, head: &str) -> Response {
    Raw::connect(veil.public).send(format!("{head}\r\n\r\n")).response()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn html(status: u16, text: &str) -> Answer {
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: text/html\r\nETag: \"one\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    Answer::Pieces(vec![(Duration::ZERO, [head.as_bytes(), text.as_bytes()].concat())])
}

#[test]
fn backends_are_asked_for_what_rewriting_makes() {
    let backend = Backend::named("app");
    let veil = veil_with(
        "  - { match: { path_prefix: /v2/ }, pool: app, filters: [{ strip_prefix: /v2 }] }\n  \
         - { match: { path_regex: '^/user/(?P<name>[^/]+)$' }, pool: app, filters: [{ rewrite: { to: '/people?name=$capture_name&$query' } }] }\n  \
         - { match: { path_prefix: /img/ }, pool: app, filters: [{ rewrite: { path: '^/img/(.*)$', to: /images/$capture_1 } }] }\n",
        &[("app", &backend)],
    );
    for (sent, got) in [
        ("/v2/users?a=b", "/users?a=b"),
        ("/v2/a%2Fb", "/a%2Fb"),
        ("/img/a/b.png?x", "/images/a/b.png?x"),
        ("/img/%C3%A9 b".split(' ').next().unwrap(), "/images/%C3%A9"),
        ("/user/ada?x=1", "/people?name=ada&x=1"),
        ("/user/a%26b%3Fc", "/people?name=a%26b%3Fc&"),
    ] {
        assert_eq!(
            ask(&veil, &format!("GET {sent} HTTP/1.1\r\nHost: a.test")).status(),
            200,
            "{sent}"
        );
        let received = backend.received();
        assert_eq!(received.last().unwrap().path(), got, "{sent}");
    }
    // What the client asked for stays in the log.
    veil.process
        .stdout
        .wait_for("the line", |line| line.contains("\"path\":\"/v2/users\"").then_some(()));
}

#[test]
fn a_trace_goes_through() {
    let backend = Backend::named("app");
    let veil = veil("{ request_id: { traceparent: true } }", Some(&backend));
    let trace = "0af7651916cd43dd8448eb211c80319c";
    ask(
        &veil,
        &format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01"),
    );
    let received = backend.received();
    let parent = received[0].header("traceparent").unwrap();
    assert!(
        parent.starts_with(&format!("00-{trace}-")) && !parent.contains("b7ad6b7169203331"),
        "{parent}"
    );
    veil.process.stdout.wait_for("the trace", |line| {
        line.contains(&format!("\"trace_id\":\"{trace}\"")).then_some(())
    });
}

#[test]
fn a_filter_whose_file_is_missing_is_told_and_never_runs() {
    let yaml = "version: 1\nlisteners: { public: { address: 127.0.0.1:0 } }\n\
        routes: [{ match: { path_prefix: / }, filters: [{ basic_auth: { file: nowhere } }, { respond: { status: 200 } }] }]\n";
    let folder = folder(&[("veil.yaml", yaml.as_bytes())]);
    let file = folder.path().join("veil.yaml");
    let file = file.to_str().unwrap();
    for (arguments, code) in [(&["check", file][..], 2), (&["run", "-c", file], 1)] {
        let mut process = e2e::process::Process::start("veil", arguments);
        assert_eq!(process.exit(e2e::until::SOON).code(), Some(code), "{arguments:?}");
        let told = process.stderr.all();
        assert!(told.contains("basic_auth") && told.contains("nowhere"), "{told}");
    }
}
