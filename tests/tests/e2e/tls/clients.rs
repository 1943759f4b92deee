//! Clients' certificates: whose they are, and that nobody comes in by what another listener or another day has let in.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::backend::Backend;
use e2e::client;
use e2e::openssl::{OWN, openssl};
use e2e::until::{SOON, until};
use e2e::veil::Veil;

use super::{Folder, curl, port, said, start, text};

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];
const NO_CA: [&str; 2] = ["-addext", "basicConstraints=critical,CA:FALSE"];

/// What openssl gets that asks with these words for `/`, and whether it went on with an earlier session.
fn ask(folder: &Folder, port: u16, words: &[&str]) -> (bool, String) {
    let mut child = Command::new("openssl")
        .current_dir(folder.path("."))
        .args(["s_client", "-ign_eof", "-servername", "app.test", "-connect"])
        .arg(format!("127.0.0.1:{port}"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is there");
    let request = b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
    // It may have been sent away by now.
    let _ = child.stdin.take().unwrap().write_all(request);
    let said = child.wait_with_output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    (said.contains("Reused, TLS"), said)
}

fn listener(name: &str, folder: &Folder, client: &str) -> String {
    let (certificate, key) = (folder.path("app.crt"), folder.path("app.key"));
    format!(
        "  {name}: {{ address: 127.0.0.1:0, tls: {{ certificate: {}, key: {}{client} }} }}\n",
        certificate.display(),
        key.display()
    )
}

fn serving(listeners: &[String]) -> Veil {
    Veil::start(&yaml(listeners))
}

fn yaml(listeners: &[String]) -> String {
    format!(
        "version: 1\nlisteners:\n  public: {{ address: 127.0.0.1:0 }}\n{}admin: {{ address: 127.0.0.1:0 }}\n\
         routes: [{{ match: {{ path_prefix: / }}, filters: [{{ respond: {{ status: 200, template: 'it is $client_subject.' }} }}] }}]\n",
        listeners.concat()
    )
}

fn port_of(veil: &Veil, name: &str) -> u16 {
    let end = format!("({name})");
    veil.process.stdout.wait_for(name, |line| {
        let address = line.split_once("listening on https://127.0.0.1:")?.1;
        let (port, _) = address.split_once(' ').filter(|(_, rest)| rest.ends_with(&end))?;
        port.parse().ok()
    })
}

/// CVE-2025-23419 of Nginx, CVE-2025-68121 of Go: a session is resumed without a certificate, so that it is good only where
/// it was begun.
#[test]
fn a_session_opens_no_other_door() {
    let folder = Folder::new();
    folder.make("app", &["app.test"], &[]);
    folder.make("friend", &["friend"], &NO_CA);
    folder.make("other", &["other"], &NO_CA);
    let asks = |name: &str, wanted: &str| {
        let ca = folder.path(&format!("{name}.crt"));
        format!(", client: {{ ca: {}, certificate: {wanted} }}", ca.display())
    };
    let doors = [
        ("open", String::new()),
        ("optional", asks("friend", "optional")),
        ("friends", asks("friend", "required")),
        ("others", asks("other", "required")),
    ];
    let listeners = doors.clone().map(|(name, client)| listener(name, &folder, &client));
    let veil = serving(&listeners);
    let port = |name: &str| port_of(&veil, name);
    let friend = ["-cert", "friend.crt", "-key", "friend.key"];
    for version in VERSIONS {
        for (first, words) in [
            ("open", &[][..]),
            ("optional", &[]),
            ("friends", &friend),
            ("optional", &friend),
        ] {
            let (_, said) = ask(
                &folder,
                port(first),
                &[&[version, "-sess_out", "session"], words].concat(),
            );
            assert!(said.contains("it is "), "{version} {first}: {said}");
            for (second, _) in &doors {
                let (is_resumed, said) = ask(&folder, port(second), &[version, "-sess_in", "session"]);
                assert_eq!(is_resumed, first == *second, "{version} {first} → {second}");
                let comes_in = first == *second || ["open", "optional"].contains(second);
                assert_eq!(
                    said.contains("it is "),
                    comes_in,
                    "{version} {first} → {second}: {said}"
                );
                let is_known = first == *second && !words.is_empty();
                assert_eq!(
                    said.contains("it is CN=friend,O=Test."),
                    is_known,
                    "{version} {first} → {second}"
                );
            }
        }
    }

    // Nor does it open the same one once others are let in there.
    for version in VERSIONS {
        let kept = [version, "-sess_out", "session"];
        assert!(
            ask(&folder, port("friends"), &[&kept[..], &friend].concat())
                .1
                .contains("it is ")
        );
        assert!(ask(&folder, port("friends"), &[version, "-sess_in", "session"]).0);
        fs::rename(folder.path("friend.crt"), folder.path("kept.crt")).unwrap();
        fs::copy(folder.path("other.crt"), folder.path("friend.crt")).unwrap();
        let reload = || {
            let answer = client().post(veil.admin_url("/reload")).send().unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().unwrap());
        };
        reload();
        until("others are let in", SOON, || {
            let (is_resumed, said) = ask(&folder, port("friends"), &[version, "-sess_in", "session"]);
            (!is_resumed && !said.contains("it is ")).then_some(())
        });
        fs::rename(folder.path("kept.crt"), folder.path("friend.crt")).unwrap();
        reload();
        until("friends are let in", SOON, || {
            ask(&folder, port("friends"), &[&[version], &friend[..]].concat())
                .1
                .contains("it is ")
                .then_some(())
        });
    }
}

/// apisix#9525: a session that is resumed again and again would outlive the certificate otherwise.
#[test]
fn a_session_lasts_no_longer_than_the_certificate() {
    let folder = Folder::new();
    folder.make("app", &["app.test"], &[]);
    folder.make("ca", &["ca"], &[]);
    let csr = [
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-subj",
        "/CN=brief",
        "-keyout",
        "brief.key",
        "-out",
        "brief.csr",
    ];
    openssl(&folder.path("."), &csr);
    for (name, text) in [
        ("index.txt", ""),
        ("serial", "01\n"),
        (
            "ca.cnf",
            "[all]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\nx509_extensions=ext\n[any]\ncommonName=supplied\n[ext]\nbasicConstraints=CA:FALSE\n",
        ),
    ] {
        fs::write(folder.path(name), text).unwrap();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end = UNIX_EPOCH + Duration::from_secs(now + 4);
    let signed = [
        "ca",
        "-batch",
        "-config",
        "ca.cnf",
        "-name",
        "all",
        "-cert",
        "ca.crt",
        "-keyfile",
        "ca.key",
        "-in",
        "brief.csr",
        "-out",
        "brief.crt",
        "-notext",
        "-enddate",
        &generalized(end),
    ];
    openssl(&folder.path("."), &signed);
    let ca = folder.path("ca.crt");
    let client = format!(", client: {{ ca: {} }}", ca.display());
    let veil = serving(&[listener("friends", &folder, &client)]);
    let port = port_of(&veil, "friends");
    for version in VERSIONS {
        let first = [version, "-sess_out", version, "-cert", "brief.crt", "-key", "brief.key"];
        let (_, said) = ask(&folder, port, &first);
        assert!(said.contains("it is CN=brief."), "{version}: {said}");
    }
    for version in VERSIONS {
        until("it has run out", SOON, || {
            let (is_resumed, said) = ask(&folder, port, &[version, "-sess_in", version]);
            assert!(is_resumed, "{version}: {said}");
            (!said.contains("it is ")).then_some(())
        });
        assert!(SystemTime::now() > end);
    }
}

/// As openssl wants it: `20261130110203Z`.
fn generalized(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let said = Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y%m%d%H%M%SZ"])
        .output();
    String::from_utf8(said.unwrap().stdout).unwrap().trim().to_owned()
}

/// Whose it is, is what Nginx says in `$ssl_client_s_dn`: with no way to be taken for another one.
#[test]
fn a_subject_is_written_as_openssl_writes_it() {
    let (folder, backend) = (Folder::new(), Backend::named("app"));
    folder.make("server", &["a.test"], &[]);
    let subjects = [
        "/C=DE/O=Acme, Inc./OU=one/OU=two/CN=ada",
        "/CN=eve,O=Root",
        "/CN=eve\\/CN=root",
        "/CN=a+O=b",
        "/O=\"quoted\" <x> ; \\\\ end/CN=#number ",
        "/CN= spaced ",
        "/CN=\u{e9}t\u{e9} \u{1f512}",
        "/CN=line\r\nX-Admin: 1",
        "/DC=test/DC=app/UID=u1/emailAddress=a@b.test/serialNumber=7/street=s/title=t/GN=g/SN=s/L=l/ST=st",
        "/1.3.6.1.4.1.99999.1=own/CN=other kind",
        "/CN=",
        "/",
    ];
    let mut all = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        let (key, certificate) = (format!("{number}.key"), format!("{number}.crt"));
        let of_it = [
            "-utf8",
            "-subj",
            subject,
            "-keyout",
            &key,
            "-out",
            &certificate,
            NO_CA[0],
            NO_CA[1],
        ];
        openssl(&folder.path("."), &[&OWN[..], &of_it].concat());
        all.extend(fs::read(folder.path(&certificate)).unwrap());
    }
    fs::write(folder.path("all.crt"), all).unwrap();
    let tls = format!(
        "{{ certificate: {}, key: {}, client: {{ ca: {} }} }}",
        folder.path("server.crt").display(),
        folder.path("server.key").display(),
        folder.path("all.crt").display()
    );
    let veil = start(&tls, &backend, "");
    for (number, subject) in subjects.iter().enumerate() {
        let (certificate, key) = (
            folder.path(&format!("{number}.crt")),
            folder.path(&format!("{number}.key")),
        );
        let shows = [
            "--cert",
            text(&certificate),
            "--key",
            text(&key),
            "-H",
            "X-Subject: CN=root",
        ];
        let shown = curl(port(&veil), &shows);
        assert!(said(&shown).starts_with("200"), "{subject}: {shown:?}");
        let written = Command::new("openssl")
            .args([
                "x509",
                "-noout",
                "-subject",
                "-nameopt",
                "RFC2253",
                "-in",
                text(&certificate),
            ])
            .output();
        let written = String::from_utf8(written.unwrap().stdout).unwrap();
        let written = written.trim_end_matches('\n').strip_prefix("subject=").unwrap();
        let received = backend.received();
        let seen = received.last().unwrap().header("x-subject");
        assert_eq!(seen.unwrap_or_default(), written.trim(), "{subject}");
    }
}
