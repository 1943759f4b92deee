//! How backends are reached: in TLS, in HTTP/2, over Unix sockets, with the PROXY protocol. Nginx and gRPC's own library are
//! the other side.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::nginx::Nginx;
use e2e::openssl::{OWN, openssl};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use e2e::{client, skip};
use tempfile::TempDir;

/// What Nginx says of how it was reached.
const SAYS: &str =
    "return 200 \"$ssl_server_name $server_protocol $connection $proxy_protocol_addr $ssl_client_s_dn\\n\";";

/// A folder of certificates, made by openssl.
struct Folder(TempDir);

impl Folder {
    /// `ca.crt`; `app.crt` for app.test, `me.crt` for clients, both signed by it; and `other.crt`, signed by itself.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let own = [&OWN[..], &["-days", "2"]].concat();
        for (name, subject) in [("ca", "/CN=Test CA"), ("other", "/CN=app.test")] {
            openssl(
                folder.0.path(),
                &[&own[..], &["-subj", subject, "-keyout", &key(name), "-out", &crt(name)]].concat(),
            );
        }
        for (name, host) in [("app", "app.test"), ("me", "veil.test")] {
            let signed = [
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-addext",
                "basicConstraints=CA:FALSE",
            ];
            let (subject, alternative) = (format!("/CN={host}"), format!("subjectAltName=DNS:{host}"));
            let named = [
                "-subj",
                &subject,
                "-addext",
                &alternative,
                "-keyout",
                &key(name),
                "-out",
                &crt(name),
            ];
            openssl(folder.0.path(), &[&own[..], &signed, &named].concat());
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

fn key(name: &str) -> String {
    format!("{name}.key")
}

fn crt(name: &str) -> String {
    format!("{name}.crt")
}

/// Nginx with one server, of which these words are said beside what it answers.
fn nginx(test: &str, server: impl Fn(std::net::SocketAddr) -> String) -> Option<(Nginx, std::net::SocketAddr)> {
    let Some(binary) = Nginx::binary() else {
        skip(test, "Nginx is not installed");
        return None;
    };
    let address = Nginx::free_address();
    let http = format!(
        "client_max_body_size 10m; server {{ {} location / {{ {SAYS} }} }}",
        server(address)
    );
    Some((Nginx::start(binary, address, &http), address))
}

fn status(pool: &str) -> (u16, String) {
    let veil = Veil::over(pool);
    let answer = veil.get("/");
    (answer.status().as_u16(), answer.text().unwrap())
}

#[test]
fn a_backend_in_tls_is_believed_only_with_a_certificate_for_its_name() {
    let folder = Folder::new();
    let server = |address| {
        let (certificate, key) = (folder.path("app.crt"), folder.path("app.key"));
        format!("listen {address} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};")
    };
    let Some((_nginx, address)) = nginx("transport: TLS", server) else {
        return;
    };
    let pool = |tls: &str| format!("{{ backends: [{{ address: {address} }}], tls: {tls} }}");
    let ca = folder.path("ca.crt");
    let good = pool(&format!("{{ ca: {ca}, server_name: app.test }}"));
    let (found, said) = status(&good);
    assert_eq!(found, 200, "{said}");
    assert!(said.starts_with("app.test HTTP/1.1 "), "{said}");
    for bad in [
        format!("{{ ca: {ca}, server_name: other.test }}"),
        format!("{{ ca: {ca} }}"),
        format!("{{ ca: {}, server_name: app.test }}", folder.path("other.crt")),
        "{ server_name: app.test }".to_owned(),
    ] {
        assert_eq!(status(&pool(&bad)).0, 502, "{bad}");
    }
    assert_eq!(status(&pool("{ danger_accept_any_certificate: true }")).0, 200);

    // A connection serves further requests, and checks go the same way.
    let veil = Veil::over(&good.replace(", tls:", ", health: { path: / }, tls:"));
    let connection = |said: String| said.split(' ').nth(2).unwrap().to_owned();
    let first = connection(veil.get("/").text().unwrap());
    assert_eq!(connection(veil.get("/").text().unwrap()), first);
    assert_eq!(veil.eligible(), 1);
    let bad = pool(&format!("{{ ca: {ca}, server_name: other.test }}"));
    let veil = Veil::over(&bad.replace(", tls:", ", health: { path: / }, tls:"));
    let backends = veil.backends();
    let trouble = backends[0]["trouble"].to_string();
    assert!(trouble.contains("certificate"), "{trouble}");
}

#[test]
fn a_certificate_without_hosts_may_be_for_its_common_name() {
    let folder = Folder::new();
    let own = [&OWN[..], &["-days", "2"]].concat();
    // Of version 1, where there is nothing that only later ones have.
    fs::write(folder.path("bare.conf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
    let bare = [
        "-config",
        "bare.conf",
        "-subj",
        "/CN=bare.test",
        "-keyout",
        "bare.key",
        "-out",
        "bare.crt",
    ];
    openssl(folder.0.path(), &[&own[..], &bare].concat());
    let server = |address| {
        let (certificate, key) = (folder.path("bare.crt"), folder.path("bare.key"));
        format!(
            "listen {address} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"
        )
    };
    let Some((_nginx, address)) = nginx("transport: common names", server) else {
        return;
    };
    let pool = |ca: &str, tls: &str| {
        let ca = folder.path(ca);
        format!("{{ backends: [{{ address: {address} }}], tls: {{ ca: {ca}, {tls} }} }}")
    };
    let good = pool("bare.crt", "server_name: bare.test, common_names: true");
    assert_eq!(status(&good).0, 200);
    for bad in [
        pool("bare.crt", "server_name: bare.test"),
        pool("bare.crt", "server_name: other.test, common_names: true"),
        pool("other.crt", "server_name: bare.test, common_names: true"),
    ] {
        assert_eq!(status(&bad).0, 502, "{bad}");
    }
}

#[test]
fn sessions_with_backends_are_resumed_unless_they_are_not_to_be() {
    let folder = Folder::new();
    let server = |address| {
        let (certificate, key) = (folder.path("app.crt"), folder.path("app.key"));
        format!(
            "listen {address} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; keepalive_timeout 0; \
             location /reused {{ return 200 $ssl_session_reused; }}"
        )
    };
    let Some((_nginx, address)) = nginx("transport: resumption", server) else {
        return;
    };
    let ca = folder.path("ca.crt");
    for (more, reused) in [("", "r"), (", without_resumption: true", ".")] {
        let tls = format!("{{ ca: {ca}, server_name: app.test{more} }}");
        let veil = Veil::over(&format!("{{ backends: [{{ address: {address} }}], tls: {tls} }}"));
        let ask = || veil.get("/reused").text().unwrap();
        assert_eq!((ask(), ask()), (".".to_owned(), reused.to_owned()));
    }
}

#[test]
fn a_backend_may_ask_for_a_certificate() {
    let folder = Folder::new();
    let server = |address| {
        let (certificate, key, ca) = (folder.path("app.crt"), folder.path("app.key"), folder.path("ca.crt"));
        format!(
            "listen {address} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; \
             ssl_client_certificate {ca}; ssl_verify_client on;"
        )
    };
    let Some((_nginx, address)) = nginx("transport: a client's certificate", server) else {
        return;
    };
    let pool = |more: &str| {
        let ca = folder.path("ca.crt");
        format!("{{ backends: [{{ address: {address} }}], tls: {{ ca: {ca}, server_name: app.test{more} }} }}")
    };
    assert_eq!(status(&pool("")).0, 400);
    let own = format!(
        ", certificate: {}, key: {}",
        folder.path("me.crt"),
        folder.path("me.key")
    );
    let (found, said) = status(&pool(&own));
    assert_eq!(found, 200);
    assert!(said.contains("CN=veil.test"), "{said}");
}

#[test]
fn a_backend_may_listen_at_a_unix_socket() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("app.sock");
    let server = |address| format!("listen {address}; listen unix:{};", socket.display());
    let Some((_nginx, _)) = nginx("transport: a Unix socket", server) else {
        return;
    };
    let veil = Veil::over(&format!(
        "{{ health: {{ path: / }}, backends: [{{ address: 'unix:{}' }}] }}",
        socket.display()
    ));
    let connections: Vec<String> = (0..3)
        .map(|_| veil.get("/").text().unwrap().split(' ').nth(2).unwrap().to_owned())
        .collect();
    assert!(connections.windows(2).all(|pair| pair[0] == pair[1]), "{connections:?}");
    assert_eq!(veil.backends()[0]["address"], format!("unix:{}", socket.display()));
    let gone = home.path().join("nobody.sock");
    assert_eq!(
        status(&format!("{{ backends: [{{ address: 'unix:{}' }}] }}", gone.display())).0,
        502
    );
}

#[test]
fn a_backend_may_speak_http2_plainly_and_in_tls() {
    let folder = Folder::new();
    let plain = |address| format!("listen {address} http2;");
    let secure = |address| {
        let (certificate, key) = (folder.path("app.crt"), folder.path("app.key"));
        format!("listen {address} ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key};")
    };
    let Some((_plain, plain)) = nginx("transport: HTTP/2", plain) else {
        return;
    };
    let Some((_secure, secure)) = nginx("transport: HTTP/2", secure) else {
        return;
    };
    let tls = format!(", tls: {{ ca: {}, server_name: app.test }}", folder.path("ca.crt"));
    for (address, tls) in [(plain, ""), (secure, tls.as_str())] {
        let veil = Veil::over(&format!(
            "{{ http2: true, health: {{ path: / }}, backends: [{{ address: {address} }}]{tls} }}"
        ));
        let said: Vec<String> = (0..3).map(|_| veil.get("/").text().unwrap()).collect();
        assert!(said.iter().all(|said| said.contains(" HTTP/2.0 ")), "{said:?}");
        // Over one connection, which has nothing to do with those of the checks.
        assert!(said.windows(2).all(|pair| pair[0] == pair[1]), "{said:?}");
        assert_eq!(veil.eligible(), 1);
        let head = Raw::connect(veil.public)
            .send("HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n")
            .head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = format!("content-length: {}\r\n", said[0].len());
        assert!(head.to_ascii_lowercase().contains(&length), "{head}");
        let uploaded = client().post(veil.url("/")).body(vec![7; 3 << 20]).send().unwrap();
        assert_eq!(uploaded.status().as_u16(), 200);
    }
    // One that does not speak it is not taken for one that does.
    let (certificate, key) = (folder.path("app.crt"), folder.path("app.key"));
    let old = |address| format!("listen {address} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};");
    let Some((_old, old)) = nginx("transport: HTTP/2", old) else {
        return;
    };
    let pool = format!("{{ http2: true, backends: [{{ address: {old} }}]{tls} }}");
    assert_eq!(status(&pool).0, 502);
}

#[test]
fn a_backend_is_told_of_the_client_by_the_proxy_protocol() {
    let server = |address| format!("listen {address} proxy_protocol;");
    let Some((_nginx, address)) = nginx("transport: the PROXY protocol", server) else {
        return;
    };
    for version in ["v1", "v2"] {
        let veil = Veil::start(&format!(
            "version: 1\n\
             listeners: {{ public: {{ address: 127.0.0.1:0, trusted_proxies: [127.0.0.1] }} }}\n\
             admin: {{ address: 127.0.0.1:0 }}\n\
             routes: [{{ match: {{ path_prefix: / }}, pool: app }}]\n\
             pools: {{ app: {{ proxy_protocol: {version}, health: {{ path: / }}, backends: [{{ address: {address} }}] }} }}\n"
        ));
        let told = |client_address: &str| {
            let request = client().get(veil.url("/")).header("X-Forwarded-For", client_address);
            let said = request.send().unwrap().text().unwrap();
            let words: Vec<String> = said.split(' ').map(str::to_owned).collect();
            (words[2].clone(), words[3].clone())
        };
        let (first, second) = (told("203.0.113.9"), told("2001:db8::7"));
        assert_eq!(
            (first.1.as_str(), second.1.as_str()),
            ("203.0.113.9", "2001:db8::7"),
            "{version}"
        );
        assert_ne!(first.0, second.0, "each client has its own connection");
        assert_eq!(veil.eligible(), 1, "a check is nobody's");
    }
}

/// gRPC's own library on both sides, with Veil between.
struct Grpc {
    packages: PathBuf,
    server: Option<(Child, u16)>,
}

impl Grpc {
    fn start(test: &str) -> Option<Self> {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))?;
        let mut grpc = Self {
            packages: cache.join("veil/tools/grpc"),
            server: None,
        };
        let known = grpc.python(&["-c", "import grpc"]).stderr(Stdio::null()).status();
        if !known.is_ok_and(|status| status.success()) {
            skip(test, "gRPC's library for Python is not installed");
            return None;
        }
        let peer = peer();
        let mut server = grpc
            .python(&[&peer, "serve", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut said = String::new();
        let stdout = server.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut said).unwrap();
        let port = said.trim().rsplit(' ').next().unwrap().parse().unwrap();
        grpc.server = Some((server, port));
        Some(grpc)
    }

    fn python(&self, arguments: &[&str]) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.packages).args(arguments);
        python
    }

    fn port(&self) -> u16 {
        self.server.as_ref().map_or(0, |(_, port)| *port)
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let peer = peer();
        let mut words = vec![peer.as_str(), "ask"];
        words.extend(arguments);
        let asked = self.python(&words).output().expect("python3 is there");
        let (said, wrong) = (asked.stdout, asked.stderr);
        format!("{}{}", String::from_utf8_lossy(&said), String::from_utf8_lossy(&wrong))
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        if let Some((server, _)) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn peer() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/grpc/peer.py").to_owned()
}

#[test]
fn grpc_passes_end_to_end_in_both_directions_with_its_trailers() {
    let Some(grpc) = Grpc::start("transport: gRPC") else {
        return;
    };
    let veil = Veil::start(&format!(
        "version: 1\n\
         listeners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
         admin: {{ address: 127.0.0.1:0 }}\n\
         routes: [{{ match: {{ path_prefix: / }}, pool: app, body: {{ buffering: off }} }}]\n\
         pools: {{ app: {{ http2: true, backends: [{{ address: 127.0.0.1:{} }}] }} }}\n",
        grpc.port()
    ));
    let through = grpc.ask(&[&veil.public.to_string()]);
    assert_eq!(
        through,
        "whole True True\nrefused FAILED_PRECONDITION asked for\nunknown UNIMPLEMENTED None\nsummed 1000\ncounted 200\n\
         echoed seen 0,seen 1,seen 2,seen 3,seen 4\nleft True\n"
    );
    let direct = grpc.ask(&[&format!("127.0.0.1:{}", grpc.port())]);
    assert_eq!(through, direct, "as without Veil between");
}

#[test]
fn certificates_are_read_again_at_a_reload() {
    let folder = Folder::new();
    let server = |address| {
        let (certificate, key) = (folder.path("app.crt"), folder.path("app.key"));
        format!("listen {address} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};")
    };
    let Some((_nginx, address)) = nginx("transport: a reload", server) else {
        return;
    };
    let ca = folder.path("trusted.crt");
    fs::copy(folder.path("other.crt"), &ca).unwrap();
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {address}, max_fails: 0 }}], tls: {{ ca: {ca}, server_name: app.test }} }}"
    ));
    assert_eq!(veil.get("/").status().as_u16(), 502);
    fs::copy(folder.path("ca.crt"), &ca).unwrap();
    let reloaded = client().post(veil.admin_url("/reload")).send().unwrap();
    assert!(reloaded.status().is_success());
    until("the new trust holds", SOON, || {
        (veil.get("/").status().as_u16() == 200).then_some(())
    });
}

#[test]
fn a_connection_of_http2_that_ends_takes_no_request_along() {
    let plain = |address| format!("listen {address} http2;");
    let Some((left, first)) = nginx("transport: the end of HTTP/2", plain) else {
        return;
    };
    let Some((_right, second)) = nginx("transport: the end of HTTP/2", plain) else {
        return;
    };
    let veil = Veil::over(&format!(
        "{{ http2: true, select: round_robin, backends: [{{ address: {first} }}, {{ address: {second} }}] }}"
    ));
    let ask = || veil.get("/").status().as_u16();
    assert!((0..6).all(|_| ask() == 200));
    drop(left);
    // The connection that both shared is found ended, and the backend to be gone.
    assert!((0..6).all(|_| ask() == 200));
}
