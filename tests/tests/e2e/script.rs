//! Conditions and scripts at work, through a real socket.

use std::fs;

use e2e::backend::{Answer, Backend, Part};
use e2e::client;
use e2e::raw::{Raw, Response};
use e2e::veil::Veil;

fn configuration(routes: &str, log: &str, backends: &[(&str, &Backend)]) -> String {
    let pools: String = backends
        .iter()
        .map(|(name, backend)| format!("  {name}: {{ backends: [{{ address: {} }}] }}\n", backend.address))
        .collect();
    format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         access_log: {{ to: stdout{log} }}\nroutes:\n{routes}pools:\n{pools}"
    )
}

fn ask(veil: &Veil, head: &str) -> Response {
    Raw::connect(veil.public)
        .send(format!("{head}\r\nHost: a.test\r\n\r\n"))
        .response()
}

/// The pool `app` for every path, behind this script.
fn scripted(script: &str, more: &str, backend: &Backend) -> Veil {
    let script: String = script.lines().map(|line| format!("            {line}\n")).collect();
    let routes = format!(
        "  - match: {{ path_prefix: / }}\n    pool: app\n    filters:\n      - script:\n{more}          inline: |\n{script}"
    );
    Veil::start(&configuration(&routes, "", &[("app", backend)]))
}

/// The first line of the access log that holds this.
fn logged(veil: &Veil, part: &str) -> String {
    let holds = |line: &str| line.contains(part).then(|| line.to_owned());
    veil.process.stdout.wait_for(part, holds)
}

const CLOSED: &str = "          on_error: closed\n";
const OPEN: &str = "          on_error: open\n";

#[test]
fn conditions_choose_routes_filters_and_log_lines() {
    let (gold, all) = (Backend::named("gold"), Backend::named("all"));
    let routes = r#"  - { name: gold, match: { path_prefix: / }, when: 'header("x-tier") == "gold" && client in cidr("127.0.0.0/8")', pool: gold }
  - name: all
    match: { path_prefix: / }
    pool: all
    filters:
      - when: path.starts_with("/closed")
        respond: { status: 410 }
      - response_headers: { set: { X-Late: "1" } }
        when: query("late") == "1"
      - response_headers: { set: { X-Fails: "1" } }
        when: path == "/fails" && parse_int(header("x")) > 5
"#;
    let veil = Veil::start(&configuration(
        routes,
        ", when: 'status >= 400'",
        &[("gold", &gold), ("all", &all)],
    ));
    let text = |head: &str| String::from_utf8_lossy(&ask(&veil, head).body).into_owned();
    assert_eq!(text("GET / HTTP/1.1\r\nX-Tier: gold"), "gold");
    assert_eq!(text("GET / HTTP/1.1"), "all");
    assert_eq!(ask(&veil, "GET /closed/a HTTP/1.1").status(), 410);
    assert_eq!(ask(&veil, "GET /?late=1 HTTP/1.1").header("x-late"), Some("1"));
    assert_eq!(ask(&veil, "GET / HTTP/1.1").header("x-late"), None);
    let failed = ask(&veil, "GET /fails HTTP/1.1");
    assert_eq!(failed.status(), 500);
    assert!(String::from_utf8_lossy(&failed.body).contains("script_failed"));
    logged(&veil, "\"code\":\"script_failed\"");
    let first = logged(&veil, "\"status\":");
    assert!(
        first.contains("\"status\":410"),
        "the first line that there is: {first}"
    );
}

#[test]
fn a_script_changes_decides_and_notes() {
    let backend = Backend::named("app");
    let script = r#"fn on_request(request) {
  if request.path == "/no" { return refuse(403, "not you"); }
  if request.path == "/go" { return redirect(307, "https://b.test/"); }
  if request.path == "/say" { return answer(200, "said", #{ "x-kind": "own" }); }
  request.set_header("X-Seen", request.client + " " + request.method);
  request.remove_header("X-Gone");
  request.set_path("/v2" + request.path);
  request.note("tenant", "acme");
}
fn on_response(response, request) { response.set_header("X-Answer", response.status.to_string() + request.path); }
"#;
    let veil = scripted(script, CLOSED, &backend);
    let answer = ask(&veil, "GET /a?b=c HTTP/1.1\r\nX-Gone: 1");
    assert_eq!((answer.status(), answer.header("x-answer")), (200, Some("200/a")));
    let received = backend.received();
    let got = received.last().unwrap();
    assert_eq!(got.path(), "/v2/a?b=c");
    assert_eq!(
        (got.header("x-seen"), got.header("x-gone")),
        (Some("127.0.0.1 GET"), None)
    );
    logged(&veil, "\"note_tenant\":\"acme\"");
    let refused = ask(&veil, "GET /no HTTP/1.1");
    assert_eq!((refused.status(), refused.header("x-answer")), (403, Some("403/no")));
    assert!(String::from_utf8_lossy(&refused.body).contains("not you"));
    assert_eq!(
        ask(&veil, "GET /go HTTP/1.1").header("location"),
        Some("https://b.test/")
    );
    let said = ask(&veil, "GET /say HTTP/1.1");
    assert_eq!(
        (said.body.as_slice(), said.header("x-kind")),
        (&b"said"[..], Some("own"))
    );
}

#[test]
fn a_script_chooses_pool_and_key() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let routes = r#"  - match: { path_prefix: / }
    pool: one
    filters:
      - script:
          on_error: closed
          pools: [other]
          inline: |
            fn pool(request) { query("pool") }
            fn key(request) { header("x-user") }
"#;
    let veil = Veil::start(&configuration(routes, "", &[("one", &one), ("other", &other)]));
    let text = |head: &str| String::from_utf8_lossy(&ask(&veil, head).body).into_owned();
    assert_eq!(text("GET / HTTP/1.1"), "one");
    assert_eq!(text("GET /?pool=other HTTP/1.1\r\nX-User: ada"), "other");
    let refused = ask(&veil, "GET /?pool=one HTTP/1.1");
    assert_eq!(refused.status(), 500, "one is not among its pools");
    assert!(String::from_utf8_lossy(&refused.body).contains("\"script\":\"/#inline:1\""));
    logged(&veil, "\"script\":\"/#inline:1\"");
    assert_eq!(veil.metric("veil_script_errors_total{script=\"/#inline\"}"), 1.0);
}

/// `return 403`, say, is no wish to let everybody in.
#[test]
fn what_a_hook_gives_means_something_or_is_an_error() {
    let backend = Backend::named("app");
    for (value, says) in [
        ("return 403;", "gives i64"),
        ("return false;", "gives bool"),
        ("\"refuse\"", "gives string"),
    ] {
        let script = format!("fn key(request) {{ 1 }}\nfn on_request(request) {{ {value} }}\n");
        for (on_error, status) in [(CLOSED, 500), (OPEN, 200)] {
            let veil = scripted(&script, on_error, &backend);
            assert_eq!(ask(&veil, "GET / HTTP/1.1").status(), status, "{value}");
            logged(&veil, "\"script\":\"/#inline:2\"");
            assert_eq!(veil.metric("veil_script_errors_total{script=\"/#inline\"}"), 1.0);
            veil.process
                .stderr
                .wait_for(says, |line| line.contains(says).then_some(()));
        }
    }
    let late = scripted(
        "fn on_response(response, request) { return refuse(403); }\n",
        CLOSED,
        &backend,
    );
    assert_eq!(ask(&late, "GET / HTTP/1.1").status(), 500);
}

/// As `ngx.exit` does: a refusal that is not returned lets nobody in.
#[test]
fn a_decision_ends_the_hook_returned_or_not() {
    let backend = Backend::named("app");
    for decision in [
        "return refuse(403);",
        "refuse(403);",
        "deny();",
        "for n in 0..3 { refuse(403); }",
        "try { refuse(403); } catch { }",
        "let refused = refuse(403);",
    ] {
        let script = format!(
            "fn deny() {{ refuse(403); }}\nfn on_request(request) {{ {decision} request.set_header(\"x-staff\", \"yes\"); }}\n"
        );
        let veil = scripted(&script, CLOSED, &backend);
        assert_eq!(ask(&veil, "GET / HTTP/1.1").status(), 403, "{decision}");
    }
    assert!(backend.received().is_empty());
}

#[test]
fn a_limit_counts_by_the_key_that_a_script_gives() {
    let backend = Backend::named("app");
    let routes = r#"  - match: { path_prefix: / }
    pool: app
    filters:
      - script: { on_error: closed, inline: 'fn key(request) { header("x-user").to_lower() }' }
      - rate_limit: { rate: 1/m, key: $key }
"#;
    let veil = Veil::start(&configuration(routes, "", &[("app", &backend)]));
    let status = |user: &str| ask(&veil, &format!("GET / HTTP/1.1\r\nX-User: {user}")).status();
    assert_eq!(
        ["Ada", "ada", "bob", "BOB", "", ""].map(status),
        [200, 429, 200, 429, 200, 429]
    );
}

#[test]
fn what_scripts_remember_outlives_a_reload() {
    let backend = Backend::named("app");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.rhai");
    let script = |most: u32| {
        format!("fn on_request(request) {{\n  if store.count(\"all\", \"1h\") > {most} {{ return refuse(429); }}\n}}\n")
    };
    fs::write(&file, script(2)).unwrap();
    let routes = format!(
        "  - match: {{ path_prefix: / }}\n    pool: app\n    filters: [{{ script: {{ file: {}, on_error: closed }} }}]\n",
        file.display()
    );
    let veil = Veil::start(&configuration(&routes, "", &[("app", &backend)]));
    let status = || ask(&veil, "GET / HTTP/1.1").status();
    assert_eq!([status(), status(), status()], [200, 200, 429]);
    fs::write(&file, script(4)).unwrap();
    assert!(
        client()
            .post(veil.admin_url("/reload"))
            .send()
            .unwrap()
            .status()
            .is_success()
    );
    assert_eq!(
        [status(), status()],
        [200, 429],
        "the fourth and the fifth, by the new rule"
    );
}

#[test]
fn a_script_that_fails_is_named_and_harms_nobody_else() {
    let backend = Backend::named("app");
    let script = r#"fn deep() { deep() }
fn on_request(request) {
  if request.path == "/loop" { loop {} }
  if request.path == "/deep" { deep() }
  if request.path == "/wrong" { [1][7] }
}
"#;
    for (on_error, status) in [(CLOSED, 500), (OPEN, 200)] {
        let veil = scripted(script, on_error, &backend);
        for (path, line) in [("/loop", 2), ("/deep", 2), ("/wrong", 5)] {
            let answer = ask(&veil, &format!("GET {path} HTTP/1.1"));
            assert_eq!(answer.status(), status, "{path}");
            let document = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(
                status == 200 || document.contains(&format!("\"script\":\"/#inline:{line}\"")),
                "{document}"
            );
            assert_eq!(ask(&veil, "GET / HTTP/1.1").status(), 200);
        }
        logged(&veil, "\"script\":\"/#inline:2\"");
        assert_eq!(veil.metric("veil_script_errors_total{script=\"/#inline\"}"), 3.0);
        assert_eq!(veil.metric("veil_script_calls_total{script=\"/#inline\"}"), 6.0);
    }
}

#[test]
fn an_answer_that_a_script_cannot_look_at_does_not_go_out() {
    let backend = Backend::named("app");
    for (on_error, status) in [(CLOSED, 500), (OPEN, 200)] {
        let veil = scripted(
            "fn on_response(response, request) {\n  throw \"no\" }\n",
            on_error,
            &backend,
        );
        let answer = ask(&veil, "GET / HTTP/1.1");
        assert_eq!(answer.status(), status);
        let document = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            status == 200 || document.contains("\"script\":\"/#inline:2\""),
            "{document}"
        );
        let line = logged(&veil, "\"script\":\"/#inline:2\"");
        assert!(line.contains(&format!("\"status\":{status}")), "{line}");
    }
}

/// What would let somebody in by a slip of the pen.
#[test]
fn a_refusal_that_is_meant_refuses() {
    let backend = Backend::named("app");
    for script in [
        "fn on_request(request) { let age = query(\"age\"); if age < 18 { refuse(403) } }",
        "fn limit() { 10 }\nfn on_request(request) { if query(\"n\") > limit() { refuse(403) } }",
        "fn on_request(request) { for x in headers(\"x-f\") { if x == 5 { refuse(403) } } }",
        "fn on_request(request) { if store.count(\"a\", \"1m\") > setting(\"most\") { refuse(403) } }",
        "fn on_request(request) { let networks = cidr(\"127.0.0.0/8\"); if client == networks { refuse(403) } }",
        "fn key(request) { if header(\"x-key\") == \"\" { refuse(401) } header(\"x-key\") }",
        "fn checked() { refuse(401) }\nfn pool(request) { checked(); \"app\" }",
        "fn on_request(request) { [\"a\"].for_each(|x| { refuse(403) }); }",
        "fn key(request) { #{} }",
    ] {
        let more = format!("{CLOSED}          settings: {{ most: '1' }}\n          pools: [app]\n");
        let veil = scripted(script, &more, &backend);
        let refused = ask(&veil, "GET /?age=9&n=99 HTTP/1.1\r\nX-F: 5");
        assert!(
            matches!(refused.status(), 401 | 403 | 500),
            "{script}: {}",
            refused.status()
        );
    }
    assert!(backend.received().is_empty());
}

#[test]
fn what_comes_before_an_answer_is_none() {
    let (hint, head) = (
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let backend = Backend::start(move |_| Answer::Parts(vec![Part::Bytes(format!("{hint}{head}").into_bytes())]));
    let script = "fn on_response(response, request) { if response.status < 200 { response.status = 503; } \
                  if path == \"/fail\" { parse_int(\"x\"); } response.set_header(\"X-Was\", \"\" + response.status); }";
    let veil = scripted(script, CLOSED, &backend);
    let said = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        String::from_utf8(Raw::connect(veil.public).send(head).rest()).unwrap()
    };
    let good = said("/");
    assert!(good.contains("X-Was: 200") || good.contains("x-was: 200"), "{good}");
    assert!(good.ends_with("\r\n\r\nok") && !good.contains("503"), "{good}");
    let failed = said("/fail");
    assert!(failed.contains("500 Internal") && !failed.ends_with("ok"), "{failed}");
}

#[test]
fn an_answer_keeps_the_body_that_it_has_or_has_not() {
    let backend = Backend::start(|request| match request.path() {
        path if path.starts_with("/304") => Answer::Parts(vec![Part::Bytes(
            b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_vec(),
        )]),
        _ => Answer::Whole {
            status: 200,
            body: b"hello".to_vec(),
        },
    });
    let script = "fn on_request(request) { if path == \"/say\" { answer(parse_int(query(\"s\")), query(\"b\")) } }\n\
                  fn on_response(response, request) { if query(\"to\") != \"\" { response.status = parse_int(query(\"to\")); } }";
    let veil = scripted(script, CLOSED, &backend);
    for (path, status) in [
        ("/?to=201", 201),
        ("/?to=204", 500),
        ("/?to=304", 500),
        ("/304?to=304", 304),
        ("/304?to=200", 500),
        ("/say?s=204", 204),
        ("/say?s=204&b=x", 500),
        ("/say?s=205&b=x", 500),
    ] {
        let mut client = Raw::connect(veil.public);
        for _ in 0..2 {
            let answer = client
                .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .response();
            assert_eq!(answer.status(), status, "{path}");
        }
    }
}

#[test]
fn what_a_script_notes_of_an_answer_is_logged() {
    let backend = Backend::named("app");
    let script =
        "            fn on_response(response, request) { if path == \"/slow\" { request.note(\"slow\", \"yes\"); } }\n";
    let routes = format!(
        "  - match: {{ path_prefix: / }}\n    pool: app\n    filters:\n      - script:\n{CLOSED}          inline: |\n{script}"
    );
    let log = ", when: 'noted(\"slow\") != \"\"'";
    let veil = Veil::start(&configuration(&routes, log, &[("app", &backend)]));
    ask(&veil, "GET /quick HTTP/1.1");
    ask(&veil, "GET /slow HTTP/1.1");
    let line = logged(&veil, "\"status\":");
    assert!(
        line.contains("\"note_slow\":\"yes\"") && line.contains("/slow"),
        "{line}"
    );
}

#[test]
fn a_script_that_says_nothing_leaves_what_another_has_said() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let script = |body: &str| format!("      - script: {{ on_error: closed, pools: [other], inline: '{body}' }}\n");
    let routes = format!(
        "  - match: {{ path_prefix: / }}\n    pool: one\n    filters:\n{}{}      - response_headers: {{ set: {{ X-Key: $key, X-Pool: $pool }} }}\n",
        script("fn key(request) { \"k1\" } fn pool(request) { \"other\" }"),
        script("fn key(request) { \"\" } fn pool(request) { if pool == \"other\" { \"\" } else { \"one\" } }"),
    );
    let veil = Veil::start(&configuration(&routes, "", &[("one", &one), ("other", &other)]));
    let answer = ask(&veil, "GET / HTTP/1.1");
    assert_eq!(answer.body, b"other");
    assert_eq!(
        (answer.header("x-key"), answer.header("x-pool")),
        (Some("k1"), Some("other"))
    );
}
