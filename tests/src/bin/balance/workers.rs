//! Workers whose work takes its time and no processor: each has two places, and a queue before them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use e2e::backend::{Answer, Backend};

pub const WORKERS: usize = 3;
/// Requests that a worker works on at a time.
pub const PLACES: usize = 2;
/// What a request takes in an evenly fast worker.
pub const WORK: Duration = Duration::from_millis(100);

/// When each place becomes free.
struct Places(Mutex<[Instant; PLACES]>);

impl Places {
    /// When a request that comes now will have been served, in turn.
    fn serve(&self, work: Duration) -> Instant {
        let mut free = self.0.lock().expect("no holder panics");
        let next = free.iter_mut().min().expect("there are places");
        *next = (*next).max(Instant::now()) + work;
        *next
    }
}

/// Workers that answer with their number, on addresses that are the same in every run: where clients are at home depends
/// on them. `scenario` tells them from those of others that run beside them.
pub fn start(scenario: usize, work: [Duration; WORKERS]) -> Vec<Backend> {
    let start = |number: usize| {
        let places = Places(Mutex::new([Instant::now(); PLACES]));
        Backend::at(address(scenario, number), move |_| {
            let done = places.serve(work[number]);
            let left = done.saturating_duration_since(Instant::now());
            Answer::After(left, Box::new(Answer::ok(&number.to_string())))
        })
    };
    (0..WORKERS).map(start).collect()
}

/// Veil's configuration before these workers. `each` is what is set for each of them and `pool` for all, both in YAML.
pub fn configuration(workers: &[Backend], each: &str, pool: &str) -> String {
    let backends: Vec<String> = workers
        .iter()
        .map(|worker| format!("{{ address: {}, {each} }}", worker.address))
        .collect();
    format!(
        "version: 1
listeners: {{ public: {{ address: 127.0.0.1:0, trusted_proxies: [127.0.0.1] }} }}
admin: {{ address: 127.0.0.1:0 }}
access_log: {{ to: off }}
routes: [{{ match: {{ path_prefix: / }}, pool: blur }}]
pools: {{ blur: {{ backends: [{}], {pool} }} }}
",
        backends.join(", ")
    )
}

fn address(scenario: usize, number: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 77, scenario as u8, number as u8 + 1), 7700).into()
}
