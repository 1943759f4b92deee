//! Beside a real Nginx: the same requests, over HTTP/1.0, HTTP/1.1, h2c and h2, and what the backend sees of each: target,
//! fields, body. Where Veil does otherwise, the reason is written here.

mod witness;

use std::net::SocketAddr;
use std::path::Path;

use e2e::http2;
use e2e::nginx::Nginx;
use e2e::raw::Raw;
use e2e::tls::Tls;
use e2e::veil::Veil;

use self::witness::{Seen, Witness};

/// Targets that both take, and what the backend is to see of them, where that is not the target itself.
const TARGETS: &[&str] = &[
    "/",
    "/a?",
    "/a?b?c",
    "/a+b?c+d",
    "/api/queues/%2F/q",
    "/api/v4/projects/group%2Fproject",
    "/@scope%2Fname",
    "/@scope%2fname",
    "/bucket//key",
    "//bucket/key",
    "/unsafe/https://example.com/a.jpg",
    "/insecure/plain/s3://b/k.jpg",
    "/%7Euser",
    "/caf%c3%a9",
    "/a%2Db%5Fc?X-Amz-Signature=1",
    "/a/../b",
    "/a/./b",
    "/a/..",
    "/a/%2e%2e/b",
    "/a\\b",
    "/a%5Cb",
    "/a%0Ab",
    "/?q=100%",
    "/a|b?x=1|2",
    "/a{1}?x={y:1}",
    "/?q=^x",
    "/?f[]=1&f[]=2",
    "/%E9?q=%E9",
    "/a;v=1/b",
    "/a;v=1/b?c;d",
    "/?a=%zz",
    "/.well-known/acme-challenge/x",
    "/...",
    "/a/",
    "/%20",
    "/?%2e%2e/%2F",
    "/a%3Fb",
    "/a%23b",
    "/%41%42",
    "/a:b@c",
    "/$var$$",
    "/a,b'(c)*!",
    "/-._~",
    "/?=&&=",
];

/// Targets of HTTP/1 alone: no URI of the HTTP/2 client's takes them.
const RAW_TARGETS: &[&[u8]] = &[
    "/é".as_bytes(),
    "/?q=é".as_bytes(),
    b"/?q=\"a\"%22",
    b"/?q=<x>`",
    b"/\"<a>`?b",
    b"/\xe9?q=\xe9\"",
];

/// Both refuse these.
const REFUSED: &[&str] = &["/100%", "/a%00b", "/..", "/a/../../b", "/%zz"];

/// Fields that a client sends, and bodies.
const FIELDS: &[(&str, &str)] = &[
    ("plain", "X-Tenant: acme\r\nuser-AGENT: x\r\n"),
    ("empty", "X-Empty:\r\n"),
    ("twice", "X-Twice: 1\r\nX-Twice: 2\r\n"),
    ("cookies", "Cookie: a=1; b=2\r\n"),
    (
        "underscores",
        "api_key: k\r\nX_Real_IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n",
    ),
    ("a forged address", "X-Real-IP: 8.8.8.8\r\n"),
    ("a forged scheme", "X-Forwarded-Proto: https\r\n"),
    (
        "hop by hop",
        "Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nProxy-Connection: keep-alive\r\n",
    ),
    ("an unasked change", "Upgrade-Insecure-Requests: 1\r\n"),
    (
        "conditions",
        "If-None-Match: \"x\"\r\nRange: bytes=0-1\r\nAccept-Encoding: gzip, br\r\n",
    ),
    ("credentials", "Authorization: Basic eA==\r\n"),
    (
        "a long one",
        "X-Long: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
    ),
];

#[test]
fn backends_see_what_they_see_behind_nginx() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let backend = Witness::start();
    let nginx = Peer::start(binary, backend.address);
    let veil = Veil::start(
        &e2e::veil::configuration(&format!("{{ backends: [{{ address: {} }}] }}", backend.address)).replace(
            "listeners: {",
            &format!("listeners: {{ secure: {{ address: 127.0.0.1:0, tls: {{ {CERTIFICATE} }} }},"),
        ),
    );
    let mut compared = 0;
    let mut wrong = Vec::new();
    let targets = TARGETS.iter().map(|target| target.as_bytes());
    let mut compare = |what: String, theirs: Option<Seen>, ours: Option<Seen>| {
        compared += 1;
        if theirs != ours {
            wrong.push(format!("{what}\n  nginx: {theirs:?}\n  veil:  {ours:?}"));
        }
    };
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        for target in targets.clone().chain(RAW_TARGETS.iter().copied()) {
            let request = [
                b"GET ",
                target,
                b" ",
                version.as_bytes(),
                b"\r\nHost: h.test:81\r\nConnection: close\r\n\r\n",
            ]
            .concat();
            let seen = |address| backend.sees(|| Raw::connect(address).send(&request).rest());
            let (theirs, ours) = (seen(nginx.http1), seen(veil.public));
            assert!(
                theirs.as_ref().is_some_and(|seen| seen.target == target),
                "{:?}",
                String::from_utf8_lossy(target)
            );
            compare(format!("{version} {}", String::from_utf8_lossy(target)), theirs, ours);
        }
        for target in REFUSED {
            let request = format!("GET {target} {version}\r\nHost: h.test\r\nConnection: close\r\n\r\n");
            let seen = |address| backend.sees(|| Raw::connect(address).send(&request).rest());
            compare(format!("{version} {target}"), seen(nginx.http1), seen(veil.public));
        }
        for (what, fields) in FIELDS {
            let request = format!("GET / {version}\r\nHost: h.test:81\r\nConnection: close\r\n{fields}\r\n");
            let seen = |address| backend.sees(|| Raw::connect(address).send(&request).rest());
            compare(format!("{version} {what}"), seen(nginx.http1), seen(veil.public));
        }
        for (method, body) in [
            ("POST", "x=1"),
            ("PUT", ""),
            ("DELETE", "gone"),
            ("PROPFIND", "<a/>"),
            ("PATCH", "{}"),
        ] {
            let request = format!(
                "{method} /b {version}\r\nHost: h.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let seen = |address| backend.sees(|| Raw::connect(address).send(&request).rest());
            compare(format!("{version} {method}"), seen(nginx.http1), seen(veil.public));
        }
    }
    let chunked = "POST /b HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let seen = |address| backend.sees(|| Raw::connect(address).send(chunked).rest());
    compare("chunks".to_owned(), seen(nginx.http1), seen(veil.public));
    for (protocol, scheme, tls, theirs, ours) in [
        ("h2c", "http", None, nginx.http2, veil.public),
        ("h2", "https", Some(Tls::offering(&["h2"])), nginx.tls, veil.secure()),
    ] {
        for target in TARGETS {
            let Ok(uri) = format!("{scheme}://h.test:81{target}").parse::<http::Uri>() else {
                continue;
            };
            let seen = |address| backend.sees(|| http2::send(address, tls.as_ref(), &uri, "", ""));
            compare(format!("{protocol} {target}"), seen(theirs), seen(ours));
        }
        let uri: http::Uri = format!("{scheme}://h.test:81/").parse().unwrap();
        for (what, fields) in FIELDS.iter().filter(|(what, _)| *what != "hop by hop") {
            let seen = |address| backend.sees(|| http2::send(address, tls.as_ref(), &uri, fields, ""));
            compare(format!("{protocol} {what}"), seen(theirs), seen(ours));
        }
        let seen = |address| backend.sees(|| http2::send(address, tls.as_ref(), &uri, "", "a body"));
        compare(format!("{protocol} with a body"), seen(theirs), seen(ours));
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 200, "{compared}");
}

/// Where Veil does otherwise than Nginx, and why.
#[test]
fn where_veil_does_otherwise() {
    let backend = Witness::start();
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let seen = |head: &[u8]| {
        let seen = backend.sees(|| Raw::connect(veil.public).send(head).rest());
        seen.map(|seen| (String::from_utf8(seen.target).unwrap(), seen.fields["host"].clone()))
    };
    // RFC 9112, 3.2.2: the target's authority wins. Nginx's $http_host is the field.
    for target in ["http://a.test/x?y", "http://A.test/x?y", "https://a.test:80/x?y"] {
        let absolute = seen(format!("GET {target} HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n").as_bytes());
        let authority = target.split('/').nth(2).unwrap().to_owned();
        assert_eq!(absolute, Some(("/x?y".to_owned(), authority)), "{target}");
    }
    // TRACE shows a client's own credentials to its scripts.
    let trace = "TRACE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(seen(trace.as_bytes()), None);
    let answer = Raw::connect(veil.public).send(trace).response();
    assert_eq!(answer.status(), 405);
    assert!(
        answer
            .header("allow")
            .is_some_and(|methods| !methods.contains("TRACE") && methods.contains("GET"))
    );
    // Some servers resolve these dots and others do not.
    assert_eq!(
        seen(b"GET /a/..;/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        None
    );
}

/// A strict route gets the one spelling, whatever was sent.
#[test]
fn a_strict_route_sees_one_spelling() {
    let backend = Witness::start();
    let veil = Veil::start(&format!(
        "version: 1
listeners: {{ public: {{ address: 127.0.0.1:0 }} }}
admin: {{ address: 127.0.0.1:0 }}
routes:
  - {{ match: {{ path_prefix: /strict/ }}, paths: strict, pool: p }}
  - {{ match: {{ path_prefix: / }}, pool: p }}
pools: {{ p: {{ backends: [{{ address: {} }}] }} }}
",
        backend.address
    ));
    let seen = |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let seen = backend.sees(|| Raw::connect(veil.public).send(head).rest());
        seen.map(|seen| String::from_utf8(seen.target).unwrap())
    };
    assert_eq!(seen("//strict/%7Euser?q=%7E"), Some("/strict/~user?q=%7E".to_owned()));
    assert_eq!(seen("/strict/a%2Fb"), None);
    assert_eq!(seen("/strict/../strict/x"), None);
    assert_eq!(seen("/other/a%2Fb//%7E"), Some("/other/a%2Fb//%7E".to_owned()));
}

/// A client of HTTP/1.0 gets what it can read.
#[test]
fn an_old_client_gets_neither_chunks_nor_announcements() {
    let backend = Witness::start();
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let get = |path: &str, fields: &str| {
        let mut client = Raw::connect(veil.public);
        client.send(format!("GET {path} HTTP/1.0\r\nHost: h\r\n{fields}\r\n"));
        String::from_utf8(client.rest()).unwrap().to_ascii_lowercase()
    };
    let chunked = get("/chunked", "Connection: keep-alive\r\n");
    assert!(chunked.ends_with("\r\n\r\nhello"), "{chunked}");
    assert!(
        chunked.contains("connection: close") && !chunked.contains("transfer-encoding"),
        "{chunked}"
    );
    let hinted = get("/hinted", "");
    assert!(
        hinted.starts_with("http/1.1 200") && hinted.ends_with("\r\n\r\nhello"),
        "{hinted}"
    );
    let old = get("/old", "");
    assert!(
        old.starts_with("http/1.1 200") && old.ends_with("\r\n\r\nhello"),
        "{old}"
    );

    let mut kept = Raw::connect(veil.public);
    for _ in 0..3 {
        let answer = kept
            .send("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
            .response();
        assert_eq!(
            (answer.status(), answer.header("connection")),
            (200, Some("keep-alive"))
        );
    }
}

/// An upgrade is torn down neither by its haste nor for its name.
#[test]
fn other_protocols_pass_whole() {
    let backend = Witness::start();
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    for round in 0..100 {
        let protocol = ["websocket", "tcp", "SPDY/3.1"][round % 3];
        let mut client = Raw::connect(veil.public);
        client.send(format!(
            "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        ));
        let switched = client.response();
        assert_eq!(
            (switched.status(), switched.header("upgrade")),
            (101, Some(protocol)),
            "{round}"
        );
        client.send("ping");
        assert_eq!(String::from_utf8(client.rest()).unwrap(), "ping", "{round}: {protocol}");
    }
    let refused = Raw::connect(veil.public)
        .send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n")
        .response();
    assert_eq!(refused.status(), 200, "a change to HTTP/2 is not passed on");
}

/// As `docker exec` asks: what is to be run comes as a body, and what it says by the protocol behind that.
#[test]
fn another_protocol_may_follow_a_body() {
    let backend = Witness::start();
    for buffering in ["on", "off"] {
        let veil = Veil::start(&format!(
            "version: 1
listeners: {{ public: {{ address: 127.0.0.1:0 }} }}
admin: {{ address: 127.0.0.1:0 }}
pools: {{ p: {{ backends: [{{ address: {} }}] }} }}
routes: [{{ match: {{ path_prefix: / }}, pool: p, body: {{ buffering: {buffering} }} }}]",
            backend.address
        ));
        for (framing, body) in [
            ("Content-Length: 12", "{\"Tty\":true}"),
            ("Transfer-Encoding: chunked", "c\r\n{\"Tty\":true}\r\n0\r\n\r\n"),
        ] {
            let (round, asked) = (format!("{buffering}, {framing}"), "Connection: Upgrade\r\nUpgrade: tcp");
            let head = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: h\r\n{asked}\r\n{framing}\r\n\r\n");
            for early in [false, true] {
                let mut client = Raw::connect(veil.public);
                let seen = backend.sees(|| {
                    client.send(head("/echo")).send(body);
                    if early {
                        client.send("ping");
                    }
                    let switched = client.response();
                    assert_eq!(
                        (switched.status(), switched.header("upgrade")),
                        (101, Some("tcp")),
                        "{round}"
                    );
                });
                assert_eq!(seen.unwrap().body, b"{\"Tty\":true}", "{round}");
                if !early {
                    client.send("ping");
                }
                assert_eq!(String::from_utf8(client.rest()).unwrap(), "ping", "{round}");
            }
            let mut kept = Raw::connect(veil.public);
            for _ in 0..3 {
                let refused = kept.send(head("/")).send(body).response();
                assert_eq!((refused.status(), &refused.body[..]), (200, &b"ok"[..]), "{round}");
            }
        }
    }
}

const CERTIFICATE: &str = concat!(
    "certificate: ",
    env!("CARGO_MANIFEST_DIR"),
    "/../proxy/tests/certificates/one.crt, key: ",
    env!("CARGO_MANIFEST_DIR"),
    "/../proxy/tests/certificates/one.key"
);

/// A real Nginx in front of the same backend, with a port for each protocol.
struct Peer {
    _process: Nginx,
    http1: SocketAddr,
    http2: SocketAddr,
    tls: SocketAddr,
}

impl Peer {
    fn start(binary: &Path, backend: SocketAddr) -> Self {
        let (http1, http2, tls) = (Nginx::free_address(), Nginx::free_address(), Nginx::free_address());
        let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/tests/certificates");
        let http = format!(
            "  upstream up {{ server {backend}; keepalive 8; }}
  server {{
    listen {http1};
    listen {http2} http2;
    listen {tls} ssl http2;
    ssl_certificate {certificates}/one.crt;
    ssl_certificate_key {certificates}/one.key;
    location / {{
      proxy_pass http://up;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}",
        );
        Self {
            _process: Nginx::start(binary, http2, &http),
            http1,
            http2,
            tls,
        }
    }
}
