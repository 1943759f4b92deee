//! Starting, being told wrong things, draining and ending.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{fs, thread};

use e2e::backend::{Answer, Backend, Gate, Part};
use e2e::client;
use e2e::process::{Process, Signal};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration, round_robin, run};

#[test]
fn says_where_it_could_not_listen_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let backend = Backend::named("backend");
    let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
    let (_folder, mut process) = started(&configuration(&pool).replacen("127.0.0.1:0", &address, 1));
    assert_eq!(process.exit(SOON).code(), Some(1));
    let said = process.stderr.text();
    assert!(said.contains(&address) && said.contains("veil.yaml:2"), "{said}");
}

#[test]
fn says_all_that_is_wrong_with_a_configuration_and_exits_with_2() {
    let yaml = configuration("{ backends: [{ address: nowhere, wieght: 3 }], timeouts: { connect: soon } }");
    let (_folder, mut process) = started(&yaml.replace("pool: blur", "pool: blurr"));
    assert_eq!(process.exit(SOON).code(), Some(2));
    let said = process.stderr.text();
    for part in ["veil.yaml:4:", "veil.yaml:5:", "blurr", "wieght", "soon", "help: "] {
        assert!(said.contains(part), "nothing about {part} in:\n{said}");
    }
}

#[test]
fn exits_with_2_when_used_wrongly() {
    let mut process = Process::start("veil", &["run", "--no-such-flag"]);
    assert_eq!(process.exit(SOON).code(), Some(2));
}

#[test]
fn serves_the_begun_request_to_its_end_after_each_signal_that_drains() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let backend = Backend::start(|_| Answer::After(Duration::from_millis(700), Box::new(Answer::ok("in time"))));
        let mut veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
        let url = veil.url("/");
        let begun = thread::spawn(move || client().get(url).send().unwrap().text().unwrap());
        until("the request is with the backend", SOON, || {
            (!backend.received().is_empty()).then_some(())
        });
        veil.process.signal(signal);
        assert_eq!(begun.join().unwrap(), "in time", "{signal:?}");
        // Far below the 30 s it would wait for a request still in flight.
        assert_eq!(veil.process.exit(Duration::from_secs(10)).code(), Some(0), "{signal:?}");
    }
}

#[test]
fn accepts_no_connection_while_it_drains() {
    let backend = Backend::start(|_| Answer::Hang);
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let url = veil.url("/");
    let _begun = thread::spawn(move || client().get(url).send());
    until("the request is with the backend", SOON, || {
        (!backend.received().is_empty()).then_some(())
    });
    veil.process.signal(Signal::TERM);
    until("its listener is closed", SOON, || {
        std::net::TcpStream::connect(veil.public).is_err().then_some(())
    });
}

#[test]
fn exits_at_once_on_a_second_signal() {
    let backend = Backend::start(|_| Answer::Hang);
    let mut veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let url = veil.url("/");
    let _begun = thread::spawn(move || client().get(url).send());
    until("the request is with the backend", SOON, || {
        (!backend.received().is_empty()).then_some(())
    });
    veil.process.signal(Signal::TERM);
    until("it drains", SOON, || {
        std::net::TcpStream::connect(veil.public).is_err().then_some(())
    });
    assert_eq!(veil.process.status(), None, "it waits for the request in flight");
    veil.process.signal(Signal::TERM);
    veil.process.exit(Duration::from_secs(5));
}

#[test]
fn writes_one_json_line_a_request() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let answer = client()
        .post(veil.url("/v1/blur"))
        .body("secret picture")
        .send()
        .unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let line = veil.process.stderr.wait_for("the request's id", |line| {
        line.contains(&id)
            .then(|| serde_json::from_str::<serde_json::Value>(line).expect("access lines are JSON"))
    });
    assert!(line.to_string().contains("/v1/blur"));
    assert!(!veil.process.stderr.text().contains("secret picture"));
}

#[test]
fn every_line_of_its_log_is_json() {
    let gone = Backend::named("gone");
    let backend = Backend::named("backend");
    let veil = Veil::over(&round_robin(&[&gone, &backend]));
    drop(gone);
    for _ in 0..4 {
        veil.get("/");
    }
    let ejected = veil.process.stderr.wait_for("the ejection", |line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["message"].as_str()?.starts_with("ejected").then_some(line)
    });
    assert_eq!((&ejected["level"], &ejected["pool"]), (&"WARN".into(), &"blur".into()));
    veil.process
        .stderr
        .wait_for("an access line", |line| line.contains("\"status\":200").then_some(()));
    for line in veil.process.stderr.text().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn still_accepts_for_a_while_when_told_to_so_that_others_can_notice() {
    let backend = Backend::named("backend");
    let pool = round_robin(&[&backend]);
    let mut veil = Veil::start(&format!("{}shutdown: {{ delay: 1s }}\n", configuration(&pool)));
    veil.process.signal(Signal::TERM);
    until("it says that it is about to end", SOON, || {
        (veil.admin_get("/readyz").status() == 503).then_some(())
    });
    assert_eq!(veil.get("/").text().unwrap(), "backend");
    assert!(veil.process.exit(SOON).success());
}

#[test]
fn a_virtual_address_may_go_once_nothing_is_in_flight() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |_| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast".to_vec();
        Answer::Parts(vec![Part::Gate(held.clone()), Part::Bytes(answer), Part::Close])
    });
    let shutdown = "shutdown: { quiesce: 10s, delay: 1s }\n";
    let mut veil = Veil::start(&format!("{}{shutdown}", configuration(&round_robin(&[&backend]))));
    let id = veil.process.id();
    let name = || fs::read_to_string(format!("/proc/{id}/comm")).unwrap();
    let url = veil.url("/");
    let in_flight = thread::spawn(move || client().get(url).send().unwrap().text().unwrap());
    until("the request is in flight", SOON, || {
        (!backend.received().is_empty()).then_some(())
    });
    veil.process.signal(Signal::TERM);
    let connect = || TcpStream::connect_timeout(&veil.public, Duration::from_millis(100));
    until("nobody is let in", SOON, || {
        (connect().err()?.kind() == ErrorKind::TimedOut).then_some(())
    });
    assert_eq!(
        (veil.admin_get("/readyz").status().as_u16(), name().trim()),
        (200, "veil")
    );
    gate.open();
    until("the address may go", SOON, || {
        (name().trim() == "veil-leaving").then_some(())
    });
    assert_eq!(in_flight.join().unwrap(), "last");
    assert!(veil.process.exit(SOON).success());
}

#[test]
fn who_comes_by_a_unix_socket_waits_until_the_virtual_address_has_gone() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |request| match request.path() == "/held" {
        true => {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast".to_vec();
            Answer::Parts(vec![Part::Gate(held.clone()), Part::Bytes(answer), Part::Close])
        }
        false => Answer::ok("it"),
    });
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("veil.sock");
    let yaml = configuration(&round_robin(&[&backend])).replacen(
        "address: 127.0.0.1:0 }",
        &format!("address: [127.0.0.1:0, 'unix:{}'] }}", socket.display()),
        1,
    );
    let mut veil = Veil::start(&format!("{yaml}shutdown: {{ quiesce: 10s, delay: 1s }}\n"));
    let url = veil.url("/held");
    let in_flight = thread::spawn(move || client().get(url).send().unwrap().text().unwrap());
    until("the request is in flight", SOON, || {
        (!backend.received().is_empty()).then_some(())
    });
    veil.process.signal(Signal::TERM);
    until("nobody is let in", SOON, || {
        let connected = TcpStream::connect_timeout(&veil.public, Duration::from_millis(100));
        (connected.err()?.kind() == ErrorKind::TimedOut).then_some(())
    });
    let mut local = UnixStream::connect(&socket).unwrap();
    local.write_all(b"GET /local HTTP/1.1\r\nHost: it\r\n\r\n").unwrap();
    local.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(local.read(&mut [0]).is_err(), "answered while the address was to go");
    gate.open();
    assert_eq!(in_flight.join().unwrap(), "last");
    local.set_read_timeout(Some(SOON)).unwrap();
    let mut answer = String::new();
    local.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("it"),
        "{answer}"
    );
    assert!(veil.process.exit(SOON).success());
    assert!(!socket.exists());
}

/// `veil run` with a configuration that it may refuse.
fn started(yaml: &str) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    fs::write(&file, yaml).unwrap();
    let process = run(&file);
    (folder, process)
}

#[test]
fn what_the_grace_cuts_off_has_its_line() {
    let backend = Backend::start(|request| match request.header("upgrade") {
        Some(_) => Answer::Pieces(vec![
            (
                Duration::ZERO,
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello".to_vec(),
            ),
            (SOON, Vec::new()),
        ]),
        None => Answer::Pieces(vec![(SOON, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())]),
    });
    let pool = format!("{{ backends: [{{ address: {} }}] }}", backend.address);
    let veil = Veil::start(&(configuration(&pool) + "shutdown: { grace: 500ms }\n"));
    let asked = [
        (
            "/ws",
            "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            101,
        ),
        ("/wait", "GET /wait HTTP/1.1\r\nHost: test\r\n\r\n", 499),
        (
            "/up",
            "POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx",
            499,
        ),
    ];
    let mut clients: Vec<Raw> = asked.iter().map(|_| Raw::connect(veil.public)).collect();
    for (client, (_, request, _)) in clients.iter_mut().zip(asked) {
        client.send(request);
    }
    until("all are under way", SOON, || {
        (backend.received().len() == 2 && veil.metric("veil_requests_in_flight") == 3.0).then_some(())
    });
    veil.process.signal(Signal::TERM);
    for (path, _, status) in asked {
        let line = veil.process.stderr.wait_for("its access line", |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["path"] == path).then_some(line)
        });
        assert_eq!(
            (&line["status"], &line["code"]),
            (&status.into(), &"stopped".into()),
            "{line}"
        );
    }
}
