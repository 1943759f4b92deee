//! A running `veil`, with the addresses it printed.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::backend::Backend;
use crate::process::{Lines, Process, Signal, Stranger};
use crate::until::{SOON, until};
use crate::{Response, client};

pub struct Veil {
    pub process: Process,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    configuration: TempDir,
}

impl Veil {
    /// Starts `veil run` with this YAML, and waits until its listener is open.
    pub fn start(yaml: &str) -> Self {
        Self::start_in(&[], yaml)
    }

    /// The same, where all listeners speak TLS: `public` is the first of them.
    pub fn start_secure(yaml: &str) -> Self {
        Self::started(&[], yaml, "listening on https://")
    }

    /// With further environment variables.
    pub fn start_in(environment: &[(&str, &str)], yaml: &str) -> Self {
        Self::started(environment, yaml, "listening on http://")
    }

    fn started(environment: &[(&str, &str)], yaml: &str, listening: &str) -> Self {
        let configuration = tempfile::tempdir().expect("a temporary directory can be made");
        let file = configuration.path().join("veil.yaml");
        fs::write(&file, yaml).expect("a temporary file can be written");
        let process = run_in(environment, &file);
        let public = announced(&process.stdout, listening);
        let admin = announced(&process.stdout, "admin on http://");
        Self {
            process,
            public,
            admin,
            configuration,
        }
    }

    /// The shipped `conf/local.yaml`, on free ports.
    pub fn local() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/local.yaml");
        let yaml = fs::read_to_string(file).expect("conf/local.yaml is shipped");
        Self::start(
            &yaml
                .replace("127.0.0.1:8080", "127.0.0.1:0")
                .replace("127.0.0.1:8081", "127.0.0.1:0"),
        )
    }

    /// One public listener and the admin listener, every path to the pool `blur`, which is given as YAML.
    pub fn over(pool: &str) -> Self {
        Self::start(&configuration(pool))
    }

    /// Where it listens with TLS; the first listener that does.
    pub fn secure(&self) -> SocketAddr {
        announced(&self.process.stdout, "listening on https://")
    }

    /// The file it was started with, to be changed before a reload.
    pub fn file(&self) -> std::path::PathBuf {
        self.configuration.path().join("veil.yaml")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    pub fn get(&self, path: &str) -> Response {
        client().get(self.url(path)).send().expect("veil answers")
    }

    pub fn admin_get(&self, path: &str) -> Response {
        client()
            .get(self.admin_url(path))
            .send()
            .expect("the admin listener answers")
    }

    /// The value of a metric, named with its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.admin_get("/metrics").text().expect("metrics are text");
        let mut samples = metrics.lines().filter_map(|line| line.split_once(' '));
        let sample = samples.find(|(found, _)| *found == name);
        let value = sample.and_then(|(_, value)| value.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
    }

    /// What `/pools` says of the backend with this address.
    pub fn backend(&self, address: SocketAddr) -> Value {
        let found = self
            .backends()
            .into_iter()
            .find(|backend| backend["address"] == address.to_string());
        found.unwrap_or_else(|| panic!("/pools has no backend {address}"))
    }

    /// What `/pools` says of the backends of all pools.
    pub fn backends(&self) -> Vec<Value> {
        let pools: Vec<Value> = self.admin_get("/pools").json().expect("/pools is a JSON array");
        pools
            .iter()
            .flat_map(|pool| pool["backends"].as_array().expect("a pool has backends").clone())
            .collect()
    }

    /// How many backends a request may go to now.
    pub fn eligible(&self) -> usize {
        self.backends()
            .iter()
            .filter(|backend| backend["standing"] == "eligible")
            .count()
    }

    /// Sends USR2, and waits until it has made way for its successor, which serves on the same addresses.
    pub fn upgrade(&mut self) -> Stranger {
        self.process.signal(Signal::USR2);
        let successor = self.process.stderr.wait_for("the successor's id", |line| {
            let said: Value = serde_json::from_str(line).ok()?;
            let ends = said["message"].as_str()?.ends_with("this one ends");
            let id = ends.then(|| said["pid"].as_u64()).flatten()?;
            id.try_into().ok().map(Stranger)
        });
        assert!(self.process.exit(SOON).success());
        successor
    }

    /// The ids of its worker processes, once there are `count`.
    pub fn workers(&self, count: usize) -> Vec<u32> {
        until("all workers run", SOON, || {
            let workers = self.process.children();
            (workers.len() == count).then_some(workers)
        })
    }
}

/// Starts `veil run` with a file, which may be wrong.
pub fn run(file: &Path) -> Process {
    run_in(&[], file)
}

fn run_in(environment: &[(&str, &str)], file: &Path) -> Process {
    let file = file.to_str().expect("a temporary path is UTF-8");
    Process::start_in(environment, "veil", &["run", "-c", file])
}

/// A whole configuration around the YAML of one pool, written as a flow mapping.
pub fn configuration(pool: &str) -> String {
    format!(
        "version: 1\n\
         listeners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
         admin: {{ address: 127.0.0.1:0 }}\n\
         routes: [{{ match: {{ path_prefix: / }}, pool: blur }}]\n\
         pools: {{ blur: {pool} }}\n"
    )
}

/// A pool over these backends, each in turn, for [`configuration`].
pub fn round_robin(backends: &[&Backend]) -> String {
    let backends: Vec<String> = backends
        .iter()
        .map(|backend| format!("{{ address: {} }}", backend.address))
        .collect();
    format!(
        "{{ select: {{ round_robin: {{}} }}, backends: [{}] }}",
        backends.join(", ")
    )
}

fn announced(lines: &Lines, before: &str) -> SocketAddr {
    lines.wait_for(before, |line| {
        let rest = line.split_once(before)?.1;
        rest.split([' ', '/']).next()?.parse().ok()
    })
}
