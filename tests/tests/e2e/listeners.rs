//! Where clients come in: several addresses, Unix sockets, the PROXY protocol of a real HAProxy, and who the client is.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use e2e::backend::{Answer, Backend};
use e2e::haproxy::Haproxy;
use e2e::nginx::Nginx;
use e2e::process::Signal;
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use e2e::{client, skip};

fn configuration(listener: &str, backend: &Backend) -> String {
    format!(
        "version: 1\nlisteners: {{ public: {{ {listener} }} }}\nadmin: {{ address: 127.0.0.1:0 }}\n\
         routes: [{{ match: {{ path_prefix: / }}, pool: app }}]\n\
         pools: {{ app: {{ backends: [{{ address: {} }}] }} }}\n",
        backend.address
    )
}

fn ask(mut stream: impl Read + Write) -> String {
    let request = "GET /asked HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_listener_may_have_several_addresses_of_each_kind() {
    let backend = Backend::named("it");
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("veil.sock");
    // One that nobody listens at any more is in the way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let port = Nginx::free_address().port();
    let listener = format!(
        "address: [127.0.0.1:0, '0.0.0.0:{port}', '[::]:{port}', 'unix:{}'], unix: {{ mode: 606 }}",
        socket.display()
    );
    let veil = Veil::start(&configuration(&listener, &backend));
    for answer in [
        ask(TcpStream::connect(veil.public).unwrap()),
        ask(TcpStream::connect(("127.0.0.1", port)).unwrap()),
        ask(UnixStream::connect(&socket).unwrap()),
    ] {
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("it"),
            "{answer}"
        );
    }
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => assert!(ask(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap()).ends_with("it")),
        Err(error) => skip("listeners: IPv6", &format!("this machine has none: {error}")),
    }
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o606);
    let from_file_system = backend
        .received()
        .iter()
        .filter(|request| request.header("x-real-ip") == Some("127.0.0.1"))
        .count();
    assert!(from_file_system >= 3);

    // The socket goes with the listener; a reload keeps it while it stays.
    let reload = |listener: &str| {
        fs::write(veil.file(), configuration(listener, &backend)).unwrap();
        let answer = client().post(veil.admin_url("/reload")).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap());
    };
    reload(&format!(
        "address: [127.0.0.1:0, 'unix:{}'], max_connections: 7",
        socket.display()
    ));
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("it"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    reload("address: 127.0.0.1:0");
    until("the socket is gone", SOON, || (!socket.exists()).then_some(()));
}

#[test]
fn a_unix_socket_belongs_to_whom_it_is_said_to() {
    if !is_root() {
        return skip("listeners: owner", "only root can give files away");
    }
    let backend = Backend::named("it");
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("veil.sock");
    let (owner, user) = last_of("/etc/passwd");
    let (group, number) = last_of("/etc/group");
    let listener = format!(
        "address: [127.0.0.1:0, 'unix:{}'], unix: {{ mode: 660, owner: {owner}, group: {group} }}",
        socket.display()
    );
    let veil = Veil::start(&configuration(&listener, &backend));
    let file = fs::metadata(&socket).unwrap();
    assert_eq!(
        (file.uid(), file.gid(), file.permissions().mode() & 0o777),
        (user, number, 0o660)
    );
    drop(veil);
}

/// The name that a system's file has last, with its number.
fn last_of(file: &str) -> (String, u32) {
    let text = fs::read_to_string(file).unwrap();
    let words: Vec<&str> = text.lines().next_back().unwrap().split(':').collect();
    (words[0].to_owned(), words[2].parse().unwrap())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[test]
fn a_unix_socket_outlives_an_upgrade() {
    let backend = Backend::named("it");
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("veil.sock");
    let listener = format!("address: [127.0.0.1:0, 'unix:{}']", socket.display());
    let mut veil = Veil::start(&configuration(&listener, &backend));
    let successor = veil.upgrade();
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("it"));
    drop(successor);
}

#[test]
fn haproxy_tells_of_the_client_in_both_versions_of_the_proxy_protocol() {
    let Some(binary) = Haproxy::binary() else {
        return skip("listeners: the PROXY protocol", "HAProxy is not installed");
    };
    let backend = Backend::start(|_| Answer::ok("it"));
    let listener = "address: 127.0.0.1:0, trusted_proxies: [127.0.0.1], proxy_protocol: true";
    let veil = Veil::start(&configuration(listener, &backend));
    for word in ["send-proxy", "send-proxy-v2"] {
        // HAProxy passes on what the one in front of it tells.
        let inner = Haproxy::start(binary, &format!("{} {word}", veil.public));
        let mut stream = TcpStream::connect(inner.address).unwrap();
        let near = stream.local_addr().unwrap();
        let answer = ask(&mut stream);
        assert!(answer.ends_with("it"), "{word}: {answer}");
        let asked = backend.received().pop().unwrap();
        assert_eq!(asked.header("x-real-ip"), Some("127.0.0.1"), "{word}");
        let told = veil.process.stderr.wait_for("an access line", |line| {
            line.contains("/asked").then(|| line.to_owned())
        });
        assert!(told.contains(&near.ip().to_string()), "{told}");
    }
}

#[test]
fn the_proxy_protocol_is_believed_from_trusted_proxies_alone() {
    let backend = Backend::start(|_| Answer::ok("it"));
    let header = "PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n";
    let request = "GET / HTTP/1.1\r\nHost: app\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    let trusting = "address: 127.0.0.1:0, trusted_proxies: [127.0.0.1], proxy_protocol: true";
    let veil = Veil::start(&configuration(trusting, &backend));
    for pieces in [
        vec![format!("{header}{request}")],
        header.chars().map(String::from).chain([request.to_owned()]).collect(),
    ] {
        let mut connection = Raw::connect(veil.public);
        for piece in &pieces {
            connection.send(piece);
        }
        assert_eq!(connection.response().status(), 200);
        let asked = backend.received().pop().unwrap();
        assert_eq!(asked.header("x-real-ip"), Some("203.0.113.9"));
        // The client is no proxy, and speaks for itself alone.
        assert_eq!(asked.header("x-forwarded-for"), Some("203.0.113.9"));
    }
    // A balancer's own check tells of no client.
    let mut check = Raw::connect(veil.public);
    check.send("PROXY UNKNOWN\r\n").send(request);
    assert_eq!(check.response().status(), 200);
    // go-proxyproto#12, #60, haproxy#511: so do these, the third of them with addresses that mean nothing, the fourth with a
    // family that is none of TCP's; the last one has extensions behind its addresses.
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let mut extended = vec![0x21, 0x11, 0, 19, 203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb];
    extended.extend_from_slice(&[0x04, 0, 4, 1, 2, 3, 4]);
    for (header, client) in [
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), "127.0.0.1"),
        ([signature, [0x20, 0, 0, 0].as_slice()].concat(), "127.0.0.1"),
        (
            [signature, [0x20, 0x11, 0, 12].as_slice(), &[7; 12]].concat(),
            "127.0.0.1",
        ),
        (
            [signature, [0x21, 0x31, 0, 216].as_slice(), &[b'/'; 216]].concat(),
            "127.0.0.1",
        ),
        ([signature, extended.as_slice()].concat(), "203.0.113.9"),
    ] {
        let answer = Raw::connect(veil.public)
            .send(&header)
            .send("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            .response();
        assert_eq!(answer.status(), 200, "{header:?}");
        let asked = backend.received().pop().unwrap();
        assert_eq!(asked.header("x-real-ip"), Some(client), "{header:?}");
    }
    // What is none is not served.
    for garbage in [
        request,
        "PROXY TCP4 a b c d\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.1.1.1 ::1 1 2\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
    ] {
        let answer = Raw::connect(veil.public).send(garbage).send(request).rest();
        assert!(answer.is_empty(), "{garbage:?}: {}", String::from_utf8_lossy(&answer));
    }

    let doubting = "address: 127.0.0.1:0, trusted_proxies: [10.0.0.0/8], proxy_protocol: true";
    let veil = Veil::start(&configuration(doubting, &backend));
    let lie = Raw::connect(veil.public).send(format!("{header}{request}")).response();
    assert_eq!(lie.status(), 400);
    assert_eq!(Raw::connect(veil.public).send(request).response().status(), 200);
    assert_eq!(backend.received().pop().unwrap().header("x-real-ip"), Some("127.0.0.1"));
}

#[test]
fn the_client_is_named_in_the_field_that_is_said() {
    let backend = Backend::start(|_| Answer::ok("it"));
    for (field, value) in [
        ("Forwarded", "for=\"[2001:db8::7]:4711\";proto=https"),
        ("CF-Connecting-IP", "2001:db8::7"),
    ] {
        for (trusted, seen) in [("127.0.0.1", "2001:db8::7"), ("10.0.0.0/8", "127.0.0.1")] {
            let listener = format!("address: 127.0.0.1:0, trusted_proxies: [{trusted}], client_address_field: {field}");
            let veil = Veil::start(&configuration(&listener, &backend));
            let request = client()
                .get(veil.url("/"))
                .header(field, value)
                .header("X-Forwarded-For", "6.6.6.6");
            assert_eq!(request.send().unwrap().status().as_u16(), 200);
            let asked = backend.received().pop().unwrap();
            assert_eq!(asked.header("x-real-ip"), Some(seen), "{field} from {trusted}");
            assert_eq!(
                asked.header(field).is_some(),
                trusted == "127.0.0.1",
                "{field} of a stranger goes no further"
            );
        }
    }
}

/// Only root can become somebody else.
#[test]
fn root_becomes_the_user_that_is_said_once_the_sockets_are_bound() {
    let nobody = fs::read_to_string("/etc/passwd").is_ok_and(|users| users.contains("nobody:"));
    if !(is_root() && nobody) {
        return skip("listeners: user", "only root can become nobody");
    }
    let backend = Backend::named("it");
    let yaml = format!("user: nobody\n{}", configuration("address: 127.0.0.1:0", &backend));
    let veil = Veil::start(&yaml);
    assert!(veil.get("/").text().unwrap().ends_with("it"));
    let status = fs::read_to_string(format!("/proc/{}/status", veil.process.id())).unwrap();
    let ids = |what: &str| {
        let line = status.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let id = Command::new("id").args(["-u", "nobody"]).output().unwrap().stdout;
    let id = String::from_utf8(id).unwrap().trim().to_owned();
    assert_eq!(ids("Uid:"), vec![id; 4]);
    assert!(!ids("Groups:").contains(&"0".to_owned()), "{status}");
    // So is every thread.
    for task in fs::read_dir(format!("/proc/{}/task", veil.process.id())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(!status.contains("Uid:\t0"), "{status}");
    }
    veil.process.signal(Signal::HUP);
    veil.process
        .stderr
        .wait_for("a reload", |line| line.contains("reloaded").then_some(()));
    assert!(Path::new("/proc/self").exists());
}
