//! What systemd is told, heard by a socket in its place.

use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;

use e2e::backend::Backend;
use e2e::client;
use e2e::process::{Signal, signal_to};
use e2e::until::SOON;
use e2e::veil::{Veil, configuration, round_robin};
use e2e::worker::Worker;

#[test]
fn hears_of_start_reload_upgrade_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = Systemd::new(UnixDatagram::bind(&path).unwrap());
    let backend = Backend::named("backend");
    let mut veil = Veil::start_in(
        &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "50000")],
        &configuration(&round_robin(&[&backend])),
    );
    assert_eq!(systemd.next_but_alive(), "READY=1");
    systemd.hears_that_it_is_alive();

    veil.process.signal(Signal::HUP);
    let reloading = systemd.next_but_alive();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(systemd.next_but_alive(), "READY=1");

    let successor = veil.upgrade();
    assert_eq!(systemd.next_but_alive(), format!("MAINPID={}", successor.0));
    systemd.forget_what_was_said();
    // The first process has ended: this is its successor.
    systemd.hears_that_it_is_alive();
    signal_to(successor.0, Signal::TERM);
    assert_eq!(systemd.next_but_alive(), "STOPPING=1");
}

#[test]
fn hears_that_veil_is_ready_only_when_clients_can_come_in() {
    let name = format!("veil-test-ready-{}", process::id());
    let systemd = Systemd::new(UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let backend = Backend::named("backend");
    let yaml = configuration(&round_robin(&[&backend])).replacen("127.0.0.1:0", &free.to_string(), 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, yaml).unwrap();
    let _veil = e2e::process::Process::start_in(
        &[("NOTIFY_SOCKET", &format!("@{name}"))],
        "veil",
        &["run", "-c", file.path().to_str().unwrap()],
    );
    assert_eq!(systemd.next(), "READY=1");
    TcpStream::connect(free).expect("who is ready accepts");
    assert_eq!(
        client().get(format!("http://{free}/")).send().unwrap().text().unwrap(),
        "backend"
    );
}

#[test]
fn hears_that_a_worker_is_ready_only_when_its_models_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = Systemd::new(UnixDatagram::bind(&path).unwrap());
    let worker = Worker::start_in(&[("NOTIFY_SOCKET", path.to_str().unwrap())], &["--detail", "fast"]);
    assert_eq!(systemd.next(), "READY=1");
    assert_eq!(client().get(worker.url("/health")).send().unwrap().status(), 200);
    worker.process.signal(Signal::TERM);
    assert_eq!(systemd.next(), "STOPPING=1");
}

#[test]
fn hears_nothing_of_the_workers_that_veil_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = Systemd::new(UnixDatagram::bind(&path).unwrap());
    let mut veil = Veil::start_in(
        &[("NOTIFY_SOCKET", path.to_str().unwrap())],
        &configuration("{ spawn: { workers: 1, args: [--detail, fast] } }"),
    );
    assert_eq!(systemd.next(), "READY=1");
    veil.process.signal(Signal::TERM);
    assert!(veil.process.exit(SOON).success());
    assert_eq!(systemd.next(), "STOPPING=1");
    systemd.0.set_nonblocking(true).unwrap();
    assert!(systemd.0.recv(&mut [0; 256]).is_err(), "veil spoke for itself alone");
}

struct Systemd(UnixDatagram);

impl Systemd {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    fn next(&self) -> String {
        let mut message = [0; 256];
        let length = self.0.recv(&mut message).expect("something is said in time");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn next_but_alive(&self) -> String {
        loop {
            let message = self.next();
            if message != ALIVE {
                return message;
            }
        }
    }

    fn hears_that_it_is_alive(&self) {
        assert_eq!(self.next(), ALIVE);
        assert_eq!(self.next(), ALIVE);
    }

    /// What has come and was not read yet.
    fn forget_what_was_said(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 256]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }
}

const ALIVE: &str = "WATCHDOG=1";
