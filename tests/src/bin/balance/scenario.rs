//! Rows of the table: who asks how often, who serves how fast, and how Veil chooses.

use std::collections::HashMap;
use std::time::Duration;

use e2e::backend::Backend;
use e2e::veil::Veil;

use crate::arrivals::Arrivals;
use crate::sample::{Sample, broken, evenness, homes, percentile, refused, stickiness};
use crate::workers::{PLACES, WORK, WORKERS, configuration, start};

pub struct Scenario {
    clients: Clients,
    /// Of what the workers can serve.
    load_percent: u32,
    one_is_slow: bool,
}

#[derive(Clone, Copy)]
enum Clients {
    /// 200, each with an address of its own.
    Many,
    /// 20 behind address translation: four of them share each of five addresses.
    BehindNat,
}

pub const SCENARIOS: [Scenario; 8] = [
    Scenario::new(Clients::Many, 60, false),
    Scenario::new(Clients::Many, 80, false),
    Scenario::new(Clients::Many, 60, true),
    Scenario::new(Clients::Many, 80, true),
    Scenario::new(Clients::BehindNat, 60, false),
    Scenario::new(Clients::BehindNat, 80, false),
    Scenario::new(Clients::BehindNat, 60, true),
    Scenario::new(Clients::BehindNat, 80, true),
];

/// How Veil chooses.
struct Policy {
    name: &'static str,
    /// In YAML.
    select: &'static str,
}

/// The first one, strict stickiness, says where each client is at home.
const POLICIES: [Policy; 3] = [
    Policy {
        name: "ketama, strict",
        select: "{ ketama: { load_factor: off } }",
    },
    Policy {
        name: "ketama, 1.25",
        select: "{ ketama: { load_factor: 1.25 } }",
    },
    Policy {
        name: "least_conn",
        select: "least_conn",
    },
];

impl Scenario {
    const fn new(clients: Clients, load_percent: u32, one_is_slow: bool) -> Self {
        Self {
            clients,
            load_percent,
            one_is_slow,
        }
    }

    /// A row of the table for each policy, one after the other on the same workers.
    pub fn measure(&self, number: usize, time: Duration) -> Vec<String> {
        let workers = start(number, self.work());
        let runs = POLICIES.map(|policy| self.run(number, &workers, &policy, time));
        let homes = homes(&runs[0]);
        let rows = POLICIES.iter().zip(&runs);
        rows.map(|(policy, samples)| self.row(policy, samples, &homes))
            .collect()
    }

    fn run(&self, number: usize, workers: &[Backend], policy: &Policy, time: Duration) -> Vec<Sample> {
        let pool = format!("select: {}, timeouts: {{ read: 3m, total: 3m }}", policy.select);
        let veil = Veil::start(&configuration(workers, "weight: 1", &pool));
        let capacity: f64 = self.work().iter().map(|work| PLACES as f64 / work.as_secs_f64()).sum();
        let arrivals = Arrivals {
            veil: veil.public,
            clients: &self.clients.addresses(),
            per_second: capacity * f64::from(self.load_percent) / 100.0,
            time,
            upload: 20_000,
        };
        arrivals.send(number as u64)
    }

    fn row(&self, policy: &Policy, samples: &[Sample], homes: &HashMap<usize, usize>) -> String {
        let lost = match broken(samples) {
            0 => String::new(),
            lost => format!(", {lost} failed"),
        };
        format!(
            "| {} | {} % | {} | {} | {} | {:.2} | {:.0} % | {:.2} | {:.2} | {}{lost} |",
            self.clients.label(),
            self.load_percent,
            if self.one_is_slow { "one half as fast" } else { "even" },
            policy.name,
            samples.len(),
            evenness(samples, self.work()),
            stickiness(samples, homes) * 100.0,
            percentile(samples, 0.50).as_secs_f64(),
            percentile(samples, 0.99).as_secs_f64(),
            refused(samples, 503),
        )
    }

    fn work(&self) -> [Duration; WORKERS] {
        let mut work = [WORK; WORKERS];
        if self.one_is_slow {
            work[0] *= 2;
        }
        work
    }
}

impl Clients {
    fn label(self) -> &'static str {
        match self {
            Self::Many => "200",
            Self::BehindNat => "20 behind NAT",
        }
    }

    fn addresses(self) -> Vec<String> {
        let numbers = match self {
            Self::Many => 1..=200,
            Self::BehindNat => 1..=5,
        };
        numbers.map(|number| format!("203.0.113.{number}")).collect()
    }
}
