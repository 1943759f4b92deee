//! The access log: what its lines say, in whose words, and where they go.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use e2e::backend::{Answer, Backend};
use e2e::raw::Raw;
use e2e::rsyslog::Rsyslog;
use e2e::until::SOON;
use e2e::veil::Veil;
use e2e::{client, skip};
use serde_json::Value;

fn start(backend: &Backend, access_log: &str, route: &str) -> Veil {
    Veil::start(&format!(
        "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         routes:\n  - {{ match: {{ path_prefix: / }}, pool: app }}\n  - {{ match: {{ path_prefix: /some }}, pool: app, {route} }}\n\
         pools: {{ app: {{ backends: [{{ address: {} }}] }} }}\naccess_log: {access_log}\n",
        backend.address
    ))
}

fn ask(veil: &Veil, path: &str) {
    let request = client()
        .get(veil.url(path))
        .header("User-Agent", "a \"b\"")
        .header("Referer", "http://r/");
    assert_eq!(request.send().unwrap().status().as_u16(), 200);
}

#[test]
fn a_line_says_the_fields_that_are_asked_for() {
    let backend = Backend::named("it");
    let fields = "[status, path, query, user_agent, referer, scheme, upstream_address, upstream_status, tls_version]";
    let veil = start(&backend, &format!("{{ fields: {fields} }}"), "access_log: on");
    ask(&veil, "/a?b=c");
    let line = veil
        .process
        .stderr
        .wait_for("the line", |line| line.contains("user_agent").then(|| line.to_owned()));
    let said: Value = serde_json::from_str(&line).unwrap();
    let expected = serde_json::json!({
        "status": 200, "path": "/a", "query": "b=c", "user_agent": "a \"b\"", "referer": "http://r/", "scheme": "http",
        "upstream_address": backend.address.to_string(), "upstream_status": 200,
    });
    assert_eq!(said, expected);
    assert!(line.starts_with("{\"status\":200,\"path\""), "{line}");
}

#[test]
fn a_route_may_be_logged_or_not() {
    let backend = Backend::named("it");
    let veil = start(&backend, "{ fields: [path] }", "access_log: off");
    for _ in 0..20 {
        ask(&veil, "/some/thing");
    }
    ask(&veil, "/last");
    veil.process
        .stderr
        .wait_for("the last line", |line| line.contains("/last").then_some(()));
    assert!(!veil.process.stderr.text().contains("/some/thing"));
}

#[test]
fn a_line_says_whether_the_client_has_waited_for_the_answer_before() {
    let backend = Backend::named("it");
    let veil = start(
        &backend,
        "{ format: 'said $uri $pipe $connection_requests' }",
        "access_log: on",
    );
    let get = |path: &str, more: &str| format!("GET /{path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let both = [get("one", ""), get("two", ""), get("three", "Connection: close\r\n")].concat();
    Raw::connect(veil.public).send(both).rest();
    let mut waits = Raw::connect(veil.public);
    waits.send(get("four", "")).response();
    waits.send(get("five", "Connection: close\r\n")).rest();
    for line in [
        "said /one . 1",
        "said /two p 2",
        "said /three p 3",
        "said /four . 1",
        "said /five . 2",
    ] {
        veil.process.stderr.wait_for(line, |said| (said == line).then_some(()));
    }
}

/// Heads that are refused before they are a request, and what can be read of each.
#[test]
fn a_head_that_is_refused_has_its_line() {
    let backend = Backend::named("it");
    let fields = "{ fields: [client, method, host, path, status, code, error, user_agent, response_bytes] }";
    let said = start(&backend, fields, "access_log: on");
    let format = r#"{ format: 'said "$request" $request_method $status $body_bytes_sent $http_user_agent' }"#;
    let in_nginx_words = start(&backend, format, "access_log: on");
    let fields = "User-Agent: it\r\n\r\n";
    let cases = [
        (
            format!("GET /two?hosts HTTP/1.1\r\nHost: a\r\nHost: b\r\n{fields}"),
            "GET",
            "/two",
            400,
            "host",
        ),
        (
            format!(
                "GET /long HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n{fields}",
                "x".repeat(70_000)
            ),
            "GET",
            "/long",
            431,
            "",
        ),
        (
            format!("POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n{fields}"),
            "POST",
            "/both",
            400,
            "two_framings",
        ),
        (
            "\u{16}\u{3}\u{1} client hello\r\n\r\n".to_owned(),
            "",
            "",
            400,
            "request_line",
        ),
        (
            format!("GET  /spaces HTTP/1.1\r\nHost: a\r\n{fields}"),
            "",
            "",
            400,
            "request_line",
        ),
    ];
    for (head, method, path, status, reason) in cases {
        let answer = Raw::connect(said.public).send(&head).response();
        assert_eq!(answer.status(), status, "{method} {path}");
        let line = said.process.stderr.wait_for("the line", |line| {
            let said: Value = serde_json::from_str(line).ok()?;
            (said["status"] == status
                && said["path"].as_str().unwrap_or_default() == path
                && said["error"].as_str().unwrap_or_default() == reason)
                .then_some(said)
        });
        assert_eq!(line["method"].as_str().unwrap_or_default(), method, "{line}");
        assert_eq!(
            (&line["client"], line["response_bytes"].as_u64()),
            (&"127.0.0.1".into(), Some(answer.body.len() as u64)),
            "{line}"
        );
        let answer = Raw::connect(in_nginx_words.public).send(&head).response();
        let first_line = head
            .split("\r\n")
            .next()
            .unwrap()
            .replace('\u{16}', "\\x16")
            .replace('\u{3}', "\\x03")
            .replace('\u{1}', "\\x01");
        let beginning = format!(
            "said \"{first_line}\" {} {status} {} ",
            if path.is_empty() { "-" } else { method },
            answer.body.len()
        );
        in_nginx_words
            .process
            .stderr
            .wait_for(&beginning, |line| line.starts_with(&beginning).then_some(()));
    }
}

#[test]
fn a_head_that_is_refused_has_its_line_on_a_kept_connection_too() {
    let backend = Backend::named("it");
    let veil = start(&backend, "{ fields: [path, status, code, host] }", "access_log: on");
    let mut client = Raw::connect(veil.public);
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").response();
    let late = "GET /second?name=x HTTP/1.1\r\nHost: b\r\nContent-Length: 1, 2\r\n\r\n";
    assert_eq!(client.send(late).response().status(), 400);
    let line = r#"{"host":"b","path":"/second","status":400,"code":"bad_request"}"#;
    veil.process.stderr.wait_for(line, |said| {
        let (said, line): (Value, Value) = (serde_json::from_str(said).ok()?, serde_json::from_str(line).ok()?);
        (said == line).then_some(())
    });
}

#[test]
fn a_line_says_what_passed_between_veil_and_the_backend() {
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Of: me\r\n\r\n";
    let late = vec![
        (Duration::ZERO, answer.to_vec()),
        (Duration::from_millis(300), b"hello".to_vec()),
    ];
    let backend = Backend::start(move |_| Answer::Pieces(late.clone()));
    let words = "said $upstream_response_length $upstream_bytes_received $upstream_bytes_sent $upstream_http_x_of \
                 $upstream_connect_time $upstream_header_time $upstream_response_time";
    let veil = start(&backend, &format!("{{ format: '{words}' }}"), "access_log: on");
    let mut client = Raw::connect(veil.public);
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").response();
    let line = veil
        .process
        .stderr
        .wait_for("the line", |line| line.starts_with("said").then(|| line.to_owned()));
    let said: Vec<&str> = line.split(' ').collect();
    assert_eq!(
        (said[1], said[2], said[4]),
        ("5", &*(answer.len() + 5).to_string(), "me"),
        "{line}"
    );
    assert!(said[3].parse::<usize>().unwrap() > 100, "{line}");
    let times: Vec<f64> = said[5..].iter().map(|time| time.parse().unwrap()).collect();
    assert!(
        times[0] <= times[1] && times[1] < 0.3 && times[2] >= 0.3 && times[2] < 5.0,
        "{line}"
    );
}

const FORMAT: &str =
    r#"{ to: "syslog:KIND", format: '$remote_addr "$request" $status $http_user_agent $upstream_addr' }"#;

fn expected(backend: &Backend) -> String {
    format!(
        "127.0.0.1 \"GET /a?b=c HTTP/1.1\" 200 a \\x22b\\x22 {}",
        backend.address
    )
}

/// Takes a message of RFC 5424 apart: the priority, and what it says.
fn message(text: &str) -> (&str, &str) {
    let words: Vec<&str> = text.splitn(8, ' ').collect();
    assert_eq!((words[3], words[5], words[6]), ("veil", "access", "-"), "{text}");
    assert!(words[1].ends_with('Z') && words[1].contains('T'), "{text}");
    assert!(words[4].parse::<u32>().is_ok(), "{text}");
    (words[0], words[7])
}

#[test]
fn lines_go_to_a_syslog_server_over_each_kind_of_way() {
    let backend = Backend::named("it");
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    let local = UnixDatagram::bind(&path).unwrap();
    local.set_read_timeout(Some(SOON)).unwrap();
    let veil = start(
        &backend,
        &FORMAT.replace("KIND", &format!("unix:{}", path.display())),
        "access_log: on",
    );
    ask(&veil, "/a?b=c");
    let mut buffer = [0; 4096];
    let length = local.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert_eq!(message(&text), ("<190>1", expected(&backend).as_str()));

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(SOON)).unwrap();
    let veil = start(
        &backend,
        &FORMAT.replace("KIND", &format!("udp:{}", udp.local_addr().unwrap())),
        "access_log: on",
    );
    ask(&veil, "/a?b=c");
    let length = udp.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert_eq!(message(&text).1, expected(&backend));

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let veil = start(
        &backend,
        &FORMAT.replace("KIND", &format!("tcp:{}", tcp.local_addr().unwrap())),
        "access_log: on",
    );
    ask(&veil, "/a?b=c");
    let (mut stream, _) = tcp.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut received = String::new();
    while !received.contains(&expected(&backend)) {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{received}");
        received.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    let (length, text) = received.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), text.len());
    assert_eq!(message(text).1, expected(&backend));
}

#[test]
fn rsyslog_understands_every_line() {
    let Some(binary) = Rsyslog::binary() else {
        return skip("logs: rsyslog", "rsyslogd is not installed");
    };
    let rsyslog = Rsyslog::start(binary);
    let backend = Backend::named("it");
    for (number, way) in [
        format!("unix:{}", rsyslog.socket().display()),
        format!("udp:{}", rsyslog.address),
        format!("tcp:{}", rsyslog.address),
    ]
    .iter()
    .enumerate()
    {
        let format = format!(r#"{{ to: "syslog:{way}", format: '{number} "$request" é $status' }}"#);
        let veil = start(&backend, &format, "access_log: on");
        ask(&veil, "/a?b=c");
        let text = format!("{number} \"GET /a?b=c HTTP/1.1\" é 200");
        assert_eq!(
            rsyslog.wait_for(&text),
            format!("local7 info veil access -|{text}"),
            "{way}"
        );
    }
}

#[test]
fn a_syslog_server_that_is_not_there_holds_up_nobody() {
    let backend = Backend::named("it");
    let veil = start(&backend, "{ to: 'syslog:unix:/nowhere/log' }", "access_log: on");
    ask(&veil, "/a");
    veil.process.stderr.wait_for("a word of it", |line| {
        line.contains("the log takes no lines").then_some(())
    });
    ask(&veil, "/b");
}
