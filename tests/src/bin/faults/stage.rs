//! What a row plays on: `veil`, three workers and a backup, all processes.

use std::net::SocketAddr;

use e2e::process::{Process, Signal, Stranger};
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use serde_json::Value;

use crate::load::Progress;

pub struct Stage {
    pub veil: Veil,
    workers: Vec<FakeWorker>,
    /// What `veil` has made way for.
    successor: Option<Stranger>,
}

/// What `veil` says it did about the faults.
pub struct Counts {
    pub retries: u64,
    pub ejections: u64,
}

struct FakeWorker {
    address: SocketAddr,
    process: Process,
}

impl Stage {
    /// With a fault, of the names that `fake-worker --fault` knows, in the first worker.
    /// `settings` stand in the pool beside the defaults.
    pub fn set(fault: Option<&str>, settings: &str, attempts: u32) -> Self {
        let flags: Vec<&str> = fault.iter().flat_map(|fault| ["--fault", fault]).collect();
        let workers: Vec<_> = [&flags[..], &[], &[], &[]]
            .iter()
            .map(|flags| FakeWorker::start("127.0.0.1:0", flags))
            .collect();
        let veil = Veil::start(&configuration(&workers, settings, attempts));
        Self {
            veil,
            workers,
            successor: None,
        }
    }

    /// Kills it while it has an upload to lose.
    pub fn kill_at_work(&mut self, worker: usize, progress: &Progress) {
        self.wait_until_at_work(worker, progress);
        self.kill(worker);
    }

    /// Until the worker has requests in flight, or the load ends.
    pub fn wait_until_at_work(&self, worker: usize, progress: &Progress) {
        until("the worker is at work", SOON, || {
            (progress.done() || self.backend(worker)["in_flight"] != 0).then_some(())
        });
    }

    pub fn kill(&mut self, worker: usize) {
        self.workers[worker].process.signal(Signal::KILL);
        self.workers[worker].process.exit(SOON);
    }

    /// Starts a killed worker again, on the address it had.
    pub fn restart(&mut self, worker: usize) {
        let address = self.workers[worker].address.to_string();
        self.workers[worker] = FakeWorker::start(&address, &[]);
    }

    pub fn signal(&self, worker: usize, signal: Signal) {
        self.workers[worker].process.signal(signal);
    }

    pub fn upgrade(&mut self) {
        self.successor = Some(self.veil.upgrade());
    }

    /// Drains a worker, starts another in its place, and takes that one back.
    pub fn replace(&mut self, worker: usize) {
        self.drain(worker);
        self.kill(worker);
        self.restart(worker);
        self.take_back(worker);
        self.wait_until_eligible(worker);
    }

    pub fn drain(&self, worker: usize) {
        self.operate("drain", worker);
        until("the drained worker is idle", SOON, || {
            (self.backend(worker)["in_flight"] == 0).then_some(())
        });
    }

    pub fn take_back(&self, worker: usize) {
        self.operate("undrain", worker);
    }

    /// The backup is asked only when no primary can be.
    pub fn backup_has_served(&self) -> bool {
        self.backend(BACKUP)["requests"] != 0
    }

    pub fn wait_until_eligible(&self, worker: usize) {
        until("the worker is eligible", SOON, || {
            (self.backend(worker)["standing"] == "eligible").then_some(())
        });
    }

    pub fn counts(&self) -> Counts {
        let metrics = self.veil.admin_get("/metrics").text().expect("metrics are text");
        Counts {
            retries: sum(&metrics, "veil_retries_total{"),
            ejections: sum(&metrics, "veil_backend_ejections_total{"),
        }
    }

    fn backend(&self, worker: usize) -> Value {
        self.veil.backend(self.workers[worker].address)
    }

    /// By the command line, as an operator does.
    fn operate(&self, command: &str, worker: usize) {
        let (address, admin) = (self.workers[worker].address.to_string(), self.veil.admin.to_string());
        let mut veil = Process::start("veil", &["pools", command, "blur", &address, "--admin", &admin]);
        assert!(veil.exit(SOON).success(), "{}", veil.stderr.text());
    }
}

impl FakeWorker {
    fn start(address: &str, flags: &[&str]) -> Self {
        let process = Process::start(
            "fake-worker",
            &[&["--listen", address, "--work-ms", WORK_MS], flags].concat(),
        );
        let address = process
            .stdout
            .wait_for("its address", |line| line.split_once("http://")?.1.parse().ok());
        Self { address, process }
    }
}

/// The place of the backup among the workers.
const BACKUP: usize = 3;

/// Long enough for a few uploads to be under way at any time.
const WORK_MS: &str = "80";

/// What an operator writes who relies on the defaults; but for the selection, by which every worker is at work.
fn configuration(workers: &[FakeWorker], settings: &str, attempts: u32) -> String {
    let backends: String = workers
        .iter()
        .enumerate()
        .map(|(number, worker)| {
            format!(
                "      - {{ address: {}, backup: {} }}\n",
                worker.address,
                number == BACKUP
            )
        })
        .collect();
    format!(
        "version: 1
listeners: {{ public: {{ address: 127.0.0.1:0 }} }}
admin: {{ address: 127.0.0.1:0 }}
routes:
  - match: {{ path_prefix: / }}
    pool: blur
    idempotent: true
    answers: {{ hold: 15s }}
    retry: {{ attempts: {attempts} }}
pools:
  blur:
    select: round_robin
    backends:
{backends}    health: {{}}
    {settings}
"
    )
}

/// The sum of a metric over all its labels.
fn sum(metrics: &str, name: &str) -> u64 {
    let samples = metrics.lines().filter(|line| line.starts_with(name));
    samples
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum::<f64>() as u64
}
