//! The same configurations and requests through a real Nginx and through Veil, which imports them: status, fields, body, and
//! what the backend saw. Each case is a `server` of its own, found by its name.

mod answers;
mod cases;
mod mirrors;
mod places;
mod secure;
mod slashes;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;

use e2e::backend::{Answer, Backend, Received};
use e2e::nginx::Nginx;
use e2e::process::Process;
use e2e::raw::Raw;
use e2e::until::SOON;
use e2e::veil::Veil;

/// Upstreams by which cases are served: `echo` says what it saw.
const UPSTREAMS: &str = "
  upstream echo { server ECHO; }
  upstream dead { server DEAD; }
  upstream dead_too { server DEAD; }
  upstream dead_three { server DEAD; }
  upstream dead_then_echo { server DEAD max_fails=0; server ECHO; }
  upstream echo_then_backup { server ECHO; server DEAD backup; }
  upstream dead_then_backup { server DEAD max_fails=0; server ECHO backup; }
  upstream down_then_echo { server DEAD down; server ECHO; }
  upstream failing_then_echo { server ECHO; server OTHER backup; }
  upstream weighted { server ECHO weight=3; server OTHER weight=1; keepalive 8; }
  upstream by_address { ip_hash; server ECHO weight=2 max_fails=3 fail_timeout=5s; zone z 64k; }
  upstream least { least_conn; server ECHO; }
  upstream random { random two least_conn; server ECHO; server DEAD down; }
  map $arg_m $mapped { default none; a first; ~^x(?<number>[0-9])$ number$number; }
  geo $geo { default far; 127.0.0.0/8 near; }
  map $sent_http_content_type $kept { default off; ~*^text/css max; ~text/html epoch; image/png bad; }
  split_clients $arg_s $split { 40% one; 30% two; * rest; }
  geo $near { ranges; default far; 127.0.0.0-127.0.0.255 local; 127.0.0.1-127.0.0.1 self; }
  geo $arg_ip $of_arg { ranges; default none; 10.0.0.0-10.0.0.9 ten; 10.0.0.4-10.0.0.5 four; 10.0.0.20-10.0.0.30 gone; delete 10.0.0.20-10.0.0.30; }
  geo $behind { proxy 127.0.0.0/8; default none; 127.0.0.0/8 here; 192.0.2.0/24 near; 2001:db8::/32 six; }
  geo $far_behind { proxy_recursive; proxy 127.0.0.0/8; proxy 10.0.0.0/8; default none; 127.0.0.0/8 here; 192.0.2.0/24 near; }
  map $arg_p $picked { default echo; dead dead; w weighted; }
  limit_conn_zone $binary_remote_addr zone=places:1m;
  limit_req_zone $binary_remote_addr zone=turns:1m rate=1r/m;
  upstream twice { server ECHO weight=2; server ECHO; }
  upstream hashed { hash $arg_id consistent; server ECHO; }
";

/// Fields that each proxy makes its own.
const OWN: [&str; 2] = ["connection", "keep-alive"];

#[test]
fn imported_configurations_do_what_they_did() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let echo = Backend::start(|received| Answer::Pieces(vec![(Default::default(), said(received))]));
    let address = Nginx::free_address();
    let other = Backend::start(|received| Answer::Pieces(vec![(Default::default(), said(received))]));
    let folder = folder();
    let http = http(address, &echo, &other).replace("FOLDER", folder.path().to_str().unwrap());
    let nginx = Nginx::start(binary, address, &http);
    let veil = Imported::start(address, &http);
    let mut wrong = String::new();
    let mut compared = 0;
    for (index, (server, requests)) in cases().enumerate() {
        for request in *requests {
            let ask = |address| seen(&Raw::connect(address).send(text(index, request)).rest());
            let (theirs, ours) = (ask(address), ask(veil.veil.public));
            compared += 1;
            if theirs != ours {
                let _ = writeln!(wrong, "{server}\n  {request}\n  nginx: {theirs:?}\n  veil:  {ours:?}");
            }
        }
    }
    drop(nginx);
    assert!(wrong.is_empty(), "{wrong}");
    assert!(compared >= 150, "{compared}");
}

/// How Nginx of before 1.29.7, as Debian has it, speaks to backends.
const WAYS: [&str; 4] = [
    "proxy_pass http://alone;",
    "proxy_pass http://kept;",
    "proxy_http_version 1.1; proxy_pass http://kept;",
    "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://kept;",
];

#[test]
fn backends_are_spoken_to_as_by_an_older_nginx() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let ask = |is_nginx: bool, way: &str| {
        let backend = Backend::start(|_| Answer::ok("x"));
        let address = Nginx::free_address();
        let upstream = |name: &str, more: &str| format!("upstream {name} {{ server {}; {more} }}", backend.address);
        let http = format!(
            "{} {} server {{ listen {address}; location / {{ {way} }} }}",
            upstream("alone", ""),
            upstream("kept", "keepalive 4;")
        );
        let nginx = is_nginx.then(|| Nginx::start(binary, address, &http));
        let veil = (!is_nginx).then(|| Imported::of_version("1.22", address, &http));
        let address = veil.as_ref().map_or(address, |veil| veil.veil.public);
        for body in [
            "",
            "Content-Length: 1\r\n\r\nx",
            "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        ] {
            let (method, rest) = if body.is_empty() {
                ("GET", "\r\n")
            } else {
                ("POST", body)
            };
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{rest}");
            Raw::connect(address).send(request).rest();
        }
        drop(nginx);
        let received = backend.received();
        let said = received
            .iter()
            .map(|one| (one.version().to_owned(), one.header("connection").map(str::to_owned)));
        let said: Vec<_> = said.collect();
        // A backend that is told to close the connection is not waited for.
        let shares = said.iter().all(|(_, connection)| connection.is_none());
        (said, shares.then(|| backend.connections().0))
    };
    for way in WAYS {
        assert_eq!(ask(false, way), ask(true, way), "{way}");
    }
}

fn cases() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    let cases = cases::CASES.iter().chain(places::CASES);
    cases.chain(answers::CASES)
}

/// Folders to be asked for, and users whose password is `password`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["dir", "d r"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let users = "ada:$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.\nbob:{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0\ncat:{PLAIN}password\n\
                 dan:$1$salt$qJH7.N4xYta3aEG/dfqo/0\nfay:sa3tHJ3/KuYvI\ncat:{PLAIN}other\nbroken\n";
    fs::write(folder.path().join("users"), users).unwrap();
    // Nginx may run as another user.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), everybody).unwrap();
    folder
}

fn http(address: SocketAddr, echo: &Backend, other: &Backend) -> String {
    let mut http = UPSTREAMS
        .replace("ECHO", &echo.address.to_string())
        .replace("OTHER", &other.address.to_string())
        .replace("DEAD", &e2e::backend::refusing().to_string());
    for (index, (server, _)) in cases().enumerate() {
        let server = server
            .replace("EVERY", "location / { proxy_pass http://echo; }")
            .replace("ADDRESS", &echo.address.to_string());
        let _ = writeln!(
            http,
            "  server {{ listen {address}; server_name c{index}.test; {server} }}"
        );
    }
    http
}

/// `POST /NUMBER` has a body of so many bytes.
fn text(index: usize, request: &str) -> String {
    let mut words = request.splitn(3, ' ');
    let (method, target, field) = (words.next().unwrap(), words.next().unwrap(), words.next());
    let length = target
        .rsplit('/')
        .next()
        .and_then(|last| last.parse::<usize>().ok())
        .filter(|_| method == "POST");
    let body = "x".repeat(length.unwrap_or_default());
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !field.is_some_and(|field| field.starts_with("Host:")) {
        let _ = write!(head, "Host: C{index}.test:81\r\n");
    }
    field.iter().for_each(|field| head.extend([field, "\r\n"]));
    if method == "POST" {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}")
}

/// A backend's answer that says what it was asked for. `/status/NUMBER` is answered with that status, who says `X-Location` is sent
/// there, `X-Refresh` goes there later, `X-Cookie` is set, and `X-Type` is what it is.
fn said(received: &Received) -> Vec<u8> {
    let mut fields: Vec<String> = received
        .all()
        .map(|(name, value)| format!("{}: {value}\n", name.to_ascii_lowercase()))
        .collect();
    fields.retain(|field| !OWN.iter().any(|own| field.starts_with(&format!("{own}:"))));
    fields.sort();
    let body = format!("{} {}\n{}", received.method(), received.path(), fields.concat());
    let location = received.header("x-location");
    let found = location.map_or_else(String::new, |location| format!("Location: {location}\r\n"));
    let refresh = received.header("x-refresh");
    let found = found + &refresh.map_or_else(String::new, |refresh| format!("Refresh: {refresh}\r\n"));
    let kind = received.header("x-type");
    let found = found + &kind.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
    let cookie = received.header("x-cookie");
    let found = found + &cookie.map_or_else(String::new, |cookie| format!("Set-Cookie: {cookie}\r\n"));
    let otherwise = if location.is_some() { "302" } else { "200" };
    let status = received.path().strip_prefix("/status/").unwrap_or(otherwise);
    let has_no_body = matches!(status, "204" | "304") || received.method() == "HEAD";
    let length = if status == "204" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let shown = if has_no_body { "" } else { &body };
    format!(
        "HTTP/1.1 {status} X\r\n{length}{found}X-Powered-By: echo\r\nX-Other: 1\r\nConnection: close\r\n\r\n{shown}"
    )
    .into_bytes()
}

/// What a client sees: status, fields in order of their names, body. A proxy's own words of an error are not compared.
fn seen(answer: &[u8]) -> (u16, Vec<String>, String) {
    const OWN: [&str; 5] = ["connection", "date", "server", "x-request-id", "transfer-encoding"];
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    let is_own = status >= 300 && !head.to_ascii_lowercase().contains("x-other") && !matches!(body, "gone" | "no");
    let shown = |field: &str| field.to_ascii_lowercase().replace(", charset=\"utf-8\"", "");
    let mut fields: Vec<String> = head.lines().skip(1).map(shown).collect();
    fields.retain(|field| {
        let name = field.split(':').next().unwrap_or_default();
        // Nobody may keep what is said to a head that is no request.
        let is_refusal = status == 400 && name == "cache-control";
        !(OWN.contains(&name) || is_own && (is_refusal || matches!(name, "content-length" | "content-type")))
    });
    // Nginx says of nothing too what it is.
    if fields.iter().any(|field| field == "content-length: 0") {
        fields.retain(|field| !field.starts_with("content-type:"));
    }
    fields.sort();
    (status, fields, if is_own { String::new() } else { body.to_owned() })
}

/// Veil with what it has made of a configuration.
struct Imported {
    veil: Veil,
}

impl Imported {
    fn start(address: SocketAddr, http: &str) -> Self {
        Self::of_version("1.30", address, http)
    }

    fn of_version(version: &str, address: SocketAddr, http: &str) -> Self {
        Self {
            veil: Veil::start(&Self::yaml(version, address, http)),
        }
    }

    /// Of servers that speak TLS.
    fn secure(address: SocketAddr, http: &str) -> Self {
        Self {
            veil: Veil::start_secure(&Self::yaml("1.30", address, http)),
        }
    }

    fn yaml(version: &str, address: SocketAddr, http: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (conf, yaml) = (folder.path().join("nginx.conf"), folder.path().join("veil.yaml"));
        fs::write(&conf, format!("events {{}}\nhttp {{\n{http}\n}}\n")).unwrap();
        let arguments = [
            "import",
            "nginx",
            "--strict",
            "--nginx-version",
            version,
            conf.to_str().unwrap(),
            "-o",
            yaml.to_str().unwrap(),
        ];
        let mut import = Process::start("veil", &arguments);
        assert!(import.exit(SOON).success(), "{}", import.stderr.all());
        let yaml = fs::read_to_string(yaml).unwrap();
        yaml.replace(&format!("address: {address}"), "address: 127.0.0.1:0")
            .replace("127.0.0.1:8081", "127.0.0.1:0")
    }
}
