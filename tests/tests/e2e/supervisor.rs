//! The shipped Supervisor set-up under Debian's real supervisord: a killed worker comes back, and no upload is lost.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use e2e::picture::{astronaut, jpeg};
use e2e::process::{Process, Signal, binary, signal_to};
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration};
use e2e::{client, report, skip};

#[test]
fn supervisord_restarts_a_killed_worker_and_no_upload_is_lost() {
    if Command::new("supervisord")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return skip("supervisor", "supervisord is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let first_port = three_free_ports();
    let supervisor = Supervisor::start(folder.path(), first_port);
    let addresses = [0, 1, 2].map(|number| SocketAddr::from(([127, 0, 0, 1], first_port + number)));
    let backends = addresses.map(|address| format!("{{ address: {address} }}")).join(", ");
    let health = "health: { interval: 200ms, expect: { json: { status: healthy, model_loaded: true } } }";
    let veil = Veil::start(
        &configuration(&format!(
            "{{ select: {{ round_robin: {{}} }}, backends: [{backends}], {health} }}"
        ))
        .replace("pool: blur }", "pool: blur, idempotent: true }"),
    );
    until("all workers are eligible", SOON, || {
        (veil.eligible() == 3).then_some(())
    });

    let (over, sent, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let upload = jpeg(&astronaut());
    let back = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let answer = client().post(veil.url("/v1/blur")).body(upload.clone()).send();
                    let served = answer.is_ok_and(|answer| answer.status() == 200);
                    failed.fetch_add(usize::from(!served), Ordering::Relaxed);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = || {
            let before = sent.load(Ordering::Relaxed);
            until("uploads go on", SOON, || {
                (sent.load(Ordering::Relaxed) > before + 8).then_some(())
            });
        };
        more();
        let killed = supervisor.worker(first_port);
        signal_to(killed, Signal::KILL);
        let since = Instant::now();
        until("supervisord has started it again", SOON, || {
            supervisor.find_worker(first_port).filter(|worker| *worker != killed)
        });
        until("the worker is back", SOON, || (veil.eligible() == 3).then_some(()));
        let back = since.elapsed();
        more();
        over.store(true, Ordering::Relaxed);
        back
    });
    let (sent, failed) = (sent.into_inner(), failed.into_inner());
    report(&format!(
        "supervisord: a killed worker serves again after {back:.1?}; {failed} of {sent} uploads failed"
    ));
    assert_eq!(failed, 0);
    assert_eq!(supervisor.starts(first_port), 2, "started once more");
    assert_eq!(supervisor.starts(first_port + 1), 1, "the others were left alone");
    if can_become_www_data() {
        let worker = format!("/proc/{}", supervisor.worker(first_port));
        assert_ne!(fs::metadata(worker).unwrap().uid(), 0, "a worker is not root");
    }
    let log = fs::read_to_string(folder.path().join(format!("blur_{first_port}.out.log"))).unwrap();
    assert!(log.contains("listening"), "{log}");
}

struct Supervisor {
    process: Process,
}

impl Supervisor {
    /// With the shipped file, in which only places have changed, and the user where nobody can become it.
    fn start(folder: &Path, first_port: u16) -> Self {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/supervisor/veil.conf");
        // Where its user can reach it.
        let worker = folder.join("blur-service");
        fs::copy(binary("blur-service"), &worker).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        let user = if can_become_www_data() { "user=www-data" } else { "" };
        let programs = fs::read_to_string(shipped)
            .unwrap()
            .replace("user=www-data", user)
            .replace("/usr/local/bin/blur-service", worker.to_str().unwrap())
            .replace("--listen 0.0.0.0:", "--listen 127.0.0.1:")
            .replace("/var/log/supervisor", folder.to_str().unwrap())
            .replace("numprocs_start=5000", &format!("numprocs_start={first_port}"))
            .replace(
                "process_num)d\nprocess_name",
                "process_num)d --detail fast\nprocess_name",
            );
        let file = folder.join("supervisord.conf");
        let own = "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=";
        fs::write(&file, format!("{own}{}\n\n{programs}", folder.join("pid").display())).unwrap();
        let process = Process::start_program("supervisord", &["-c", file.to_str().unwrap()]);
        Self { process }
    }

    /// The process of the worker on this port.
    fn worker(&self, port: u16) -> u32 {
        until("the worker runs", SOON, || self.find_worker(port))
    }

    fn find_worker(&self, port: u16) -> Option<u32> {
        let ours = |id: &u32| {
            let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            command.split('\0').any(|word| word == format!("127.0.0.1:{port}"))
        };
        self.process.children().into_iter().find(ours)
    }

    /// How often it has started the worker on this port.
    fn starts(&self, port: u16) -> usize {
        let said = self.process.stdout.text();
        said.lines()
            .filter(|line| line.contains(&format!("spawned: 'blur_{port}'")))
            .count()
    }
}

impl Drop for Supervisor {
    /// It ends its workers when told to end, and not when killed.
    fn drop(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.exit(SOON);
    }
}

/// Not everybody can, and not every machine has such a user.
fn can_become_www_data() -> bool {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    rustix::process::geteuid().is_root() && users.lines().any(|line| line.starts_with("www-data:"))
}

/// The first of three ports in a row that nobody listens on.
fn three_free_ports() -> u16 {
    until("three free ports in a row", SOON, || {
        let first = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        (first < u16::MAX - 2 && free(first + 1) && free(first + 2)).then_some(first)
    })
}
