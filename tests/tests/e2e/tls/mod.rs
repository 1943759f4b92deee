//! TLS towards clients: which certificate they are shown, and which one they show.

mod clients;
mod renewal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use e2e::backend::Backend;
use e2e::openssl::{OWN, openssl};
use e2e::process::Process;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use tempfile::TempDir;

/// A folder of certificates, made by openssl.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `NAME.crt` and `NAME.key` for these hosts, signed by itself; openssl gets these words more.
    fn make(&self, name: &str, hosts: &[&str], more: &[&str]) {
        let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let alternatives = format!("subjectAltName={}", names.join(","));
        let (subject, key, certificate) = (
            format!("/O=Test/CN={name}"),
            format!("{name}.key"),
            format!("{name}.crt"),
        );
        let of_it = ["-addext", &alternatives, "-subj", &subject];
        let files = ["-keyout", &key, "-out", &certificate];
        openssl(self.0.path(), &[&OWN[..], &of_it, &files, more].concat());
    }

    /// Makes a certificate one that has run out yesterday.
    fn let_run_out(&self, name: &str) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let anew = [
            "x509",
            "-days",
            "-1",
            "-in",
            &certificate,
            "-signkey",
            &key,
            "-out",
            &certificate,
        ];
        openssl(self.0.path(), &anew);
    }
}

fn start(tls: &str, backend: &Backend, more: &str) -> Veil {
    let yaml = format!(
        "version: 1\nlisteners:\n  public: {{ address: 127.0.0.1:0 }}\n  secure: {{ address: 127.0.0.1:0, tls: {tls}{more} }}\n\
         admin: {{ address: 127.0.0.1:0 }}\n\
         routes: [{{ match: {{ path_prefix: / }}, pool: app, filters: [{{ request_headers: {{ set: \
         {{ X-Subject: $client_subject, X-Print: $client_fingerprint, X-Tls: $tls_version, X-Name: $server_name }} }} }}] }}]\n\
         pools: {{ app: {{ backends: [{{ address: {} }}] }} }}\n",
        backend.address
    );
    Veil::start(&yaml)
}

fn port(veil: &Veil) -> u16 {
    veil.secure().port()
}

/// The common name of the certificate that whoever asks for this name is shown.
fn shown(port: u16, name: Option<&str>) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("openssl is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let subject = text
        .lines()
        .find_map(|line| line.split_once("subject="))
        .map(|(_, subject)| subject.to_owned());
    let subject = subject.unwrap_or_default().replace(' ', "");
    subject.rsplit("CN=").next().unwrap_or_default().to_owned()
}

fn curl(port: u16, more: &[&str]) -> Output {
    Command::new("curl")
        .args([
            "-ks",
            "--noproxy",
            "*",
            "--max-time",
            "20",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{http_version}",
        ])
        .args(more)
        .arg(format!("https://127.0.0.1:{port}/"))
        .output()
        .expect("curl is there")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_client_is_shown_the_certificate_for_the_name_that_it_asks_for() {
    let (folder, backend) = (Folder::new(), Backend::named("app"));
    folder.make("shop", &["shop.test", "www.shop.test"], &[]);
    folder.make("api", &["api.test", "*.api.test"], &[]);
    folder.make("mixed", &["MiXed.TEST", "*.Wild.test"], &[]);
    let pair = |name: &str| {
        format!(
            "{{ certificate: {}, key: {} }}",
            folder.path(&format!("{name}.crt")).display(),
            folder.path(&format!("{name}.key")).display()
        )
    };
    let live = folder.path("live");
    fs::create_dir(&live).unwrap();
    let tls = format!(
        "{{ certificates: [{}, {}, {}], folder: {} }}",
        pair("shop"),
        pair("api"),
        pair("mixed"),
        live.display()
    );
    let veil = start(&tls, &backend, "");
    let port = port(&veil);
    for (name, certificate) in [
        (Some("shop.test"), "shop"),
        (Some("WWW.shop.test"), "shop"),
        (Some("api.test"), "api"),
        (Some("v1.api.test"), "api"),
        (Some("a.b.api.test"), "shop"),
        // traefik#4132: names are the same in any case; tailscale#10233, ferron#146: with the root's dot, too.
        (Some("mixed.test"), "mixed"),
        (Some("A.WILD.TEST"), "mixed"),
        (Some("v1.api.test."), "api"),
        // ferron#734: who has a certificate has none for those below, nor the other way round.
        (Some("www.mixed.test"), "shop"),
        (Some("wild.test"), "shop"),
        (Some("other.test"), "shop"),
        (None, "shop"),
    ] {
        assert_eq!(shown(port, name), certificate, "{name:?}");
    }
    // One that comes into the folder is shown without a reload.
    folder.make("other", &["other.test"], &[]);
    fs::rename(folder.path("other.key"), live.join("other.key")).unwrap();
    fs::rename(folder.path("other.crt"), live.join("other.crt")).unwrap();
    until("the new certificate is shown", SOON, || {
        (shown(port, Some("other.test")) == "other").then_some(())
    });
    let metrics = veil.admin_get("/metrics").text().unwrap();
    let expiry = metrics
        .lines()
        .filter(|line| line.starts_with("veil_certificate_expiry_timestamp_seconds{"));
    assert_eq!(expiry.count(), 4, "{metrics}");
}

#[test]
fn clients_show_certificates_too() {
    let (folder, backend) = (Folder::new(), Backend::named("app"));
    folder.make("server", &["a.test"], &[]);
    folder.make(
        "friend",
        &["friend"],
        &["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    folder.make("stranger", &["stranger"], &[]);
    let tls = |wanted: &str| {
        format!(
            "{{ certificate: {}, key: {}, least_version: 1.3, client: {{ ca: {}, certificate: {wanted} }} }}",
            folder.path("server.crt").display(),
            folder.path("server.key").display(),
            folder.path("friend.crt").display()
        )
    };
    let with = |name: &str| (folder.path(&format!("{name}.crt")), folder.path(&format!("{name}.key")));
    let required = start(&tls("required"), &backend, "");
    let port_of_required = port(&required);
    let (certificate, key) = with("friend");
    let friend = curl(port_of_required, &["--cert", text(&certificate), "--key", text(&key)]);
    assert_eq!(said(&friend), "200 2");
    let received = backend.received();
    assert_eq!(
        received[0]
            .header("x-subject")
            .map(|subject| subject.contains("CN=friend")),
        Some(true)
    );
    assert_eq!(received[0].header("x-print").map(str::len), Some(64));
    assert_eq!(received[0].header("x-tls"), Some("TLSv1.3"));
    let (certificate, key) = with("stranger");
    assert!(
        !curl(port_of_required, &["--cert", text(&certificate), "--key", text(&key)])
            .status
            .success()
    );
    assert!(!curl(port_of_required, &[]).status.success());
    assert!(!curl(port_of_required, &["--tls-max", "1.2"]).status.success());
    let optional = start(&tls("optional"), &backend, "");
    assert_eq!(said(&curl(port(&optional), &[])), "200 2");
    let received = backend.received();
    let subject = received.last().and_then(|received| received.header("x-subject"));
    assert!(subject.is_none_or(str::is_empty), "{subject:?}");
}

#[test]
fn http2_can_be_turned_off() {
    let (folder, backend) = (Folder::new(), Backend::named("app"));
    folder.make("server", &["a.test"], &[]);
    let tls = format!(
        "{{ certificate: {}, key: {} }}",
        folder.path("server.crt").display(),
        folder.path("server.key").display()
    );
    let veil = start(&tls, &backend, ", http2: false");
    assert_eq!(said(&curl(port(&veil), &["--http2"])), "200 1.1");
}

#[test]
fn check_tells_of_certificates_that_will_not_do() {
    let folder = Folder::new();
    folder.make("old", &["old.test"], &[]);
    folder.let_run_out("old");
    folder.make("other", &["other.test"], &[]);
    let check = |certificate: &str, key: &str| {
        let yaml = format!(
            "version: 1\nlisteners: {{ secure: {{ address: 127.0.0.1:0, tls: {{ certificate: {certificate}, key: {key} }} }} }}\n\
             routes: [{{ match: {{ host: old.test }}, filters: [{{ respond: {{ status: 404 }} }}] }}]\n"
        );
        let file = folder.path("veil.yaml");
        fs::write(&file, yaml).unwrap();
        let mut process = Process::start("veil", &["check", text(&file)]);
        let code = process.exit(SOON).code();
        (code, process.stderr.all())
    };
    let (code, told) = check("old.crt", "old.key");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("veil.yaml:2:") && told.contains("has run out"), "{told}");
    let yaml = "version: 1\nlisteners: { public: { address: 127.0.0.1:0 } }\n\
                routes: [{ match: { path_prefix: / }, pool: app }]\n\
                pools: { app: { backends: [{ address: app.test:443 }], tls: { certificate: old.crt, key: old.key, ca: old.crt } } }\n"
        .replace("app.test", "127.0.0.1");
    let file = folder.path("towards.yaml");
    fs::write(&file, yaml).unwrap();
    let mut process = Process::start("veil", &["check", text(&file)]);
    assert_eq!(process.exit(SOON).code(), Some(0));
    let told = process.stderr.all();
    assert!(
        told.contains("towards.yaml:4:") && told.contains("pool \"app\": certificate") && told.contains("has run out"),
        "{told}"
    );
    let (code, told) = check("other.crt", "other.key");
    assert!(
        code == Some(0) && told.contains("no certificate is for \"old.test\""),
        "{told}"
    );
    for (certificate, key) in [
        ("old.crt", "other.key"),
        ("none.crt", "old.key"),
        ("veil.yaml", "old.key"),
    ] {
        let (code, told) = check(certificate, key);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("veil.yaml:2:") && !told.contains("panicked"), "{told}");
    }
}

/// What openssl says of a staple when it connects.
fn stapled(port: u16) -> String {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-status",
            "-servername",
            "app.test",
            "-connect",
            &format!("127.0.0.1:{port}"),
        ])
        .stdin(Stdio::null())
        .output()
        .expect("openssl is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_the_signer_says_of_a_certificate_is_shown_along() {
    let folder = Folder::new();
    folder.make("app", &["app.test"], &["-set_serial", "7"]);
    let run = |arguments: &[&str]| {
        let made = Command::new("openssl")
            .current_dir(folder.path("."))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl is there").success(), "{arguments:?}");
    };
    fs::write(
        folder.path("index.txt"),
        "V\t491231235959Z\t\t07\tunknown\t/O=Test/CN=app\n",
    )
    .unwrap();
    run(&[
        "ocsp",
        "-issuer",
        "app.crt",
        "-cert",
        "app.crt",
        "-no_nonce",
        "-reqout",
        "app.request",
    ]);
    let answer = [
        "ocsp",
        "-index",
        "index.txt",
        "-CA",
        "app.crt",
        "-rsigner",
        "app.crt",
        "-rkey",
        "app.key",
    ];
    run(&[
        &answer[..],
        &["-ndays", "2", "-reqin", "app.request", "-respout", "app.ocsp"],
    ]
    .concat());
    let backend = Backend::named("it");
    let tls = format!(
        "{{ certificate: {}, key: {}, ocsp: {} }}",
        folder.path("app.crt").display(),
        folder.path("app.key").display(),
        folder.path("app.ocsp").display()
    );
    let veil = start(&tls, &backend, "");
    let shown = stapled(port(&veil));
    assert!(shown.contains("OCSP Response Status: successful"), "{shown}");
    assert!(shown.contains("Cert Status: good"), "{shown}");

    // Another file in its place is no reason to show nothing.
    fs::write(folder.path("app.ocsp"), "no OCSP response").unwrap();
    let checked = Process::start("veil", &["check", "-c", veil.file().to_str().unwrap()]).exit(SOON);
    assert!(!checked.success());
}
