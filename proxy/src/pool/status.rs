//! A pool as the admin sees it: `/pools` and the metrics are made of this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::admission::dispatcher::Dispatcher;
use super::clock::Moment;
use super::config::PoolConfig;
use super::members::address::Address;
use super::members::backend::{Backend, BackendConfig, Health, Standing, Trouble};
use super::members::discovery::provider::ProviderStatus;
use super::members::roster::Roster;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PoolStatus {
    pub name: String,
    pub eligible: usize,
    /// Whether a process of its own keeps dying.
    pub degraded: bool,
    pub in_flight: u32,
    /// Bytes of the uploads in flight.
    pub in_flight_bytes: u64,
    /// Requests waiting for a place.
    pub queued: usize,
    /// Requests turned away because the queue was full, or that waited in vain.
    pub queue_overflows: u64,
    pub queue_timeouts: u64,
    /// Requests sent to a doubtful backend because nobody was eligible.
    pub panics: u64,
    /// When the last of them was, in seconds since 1970.
    #[serde(default)]
    pub last_panic: Option<u64>,
    pub discovery: Vec<ProviderStatus>,
    pub backends: Vec<BackendStatus>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BackendStatus {
    pub name: String,
    pub address: String,
    pub backup: bool,
    pub weight: u32,
    pub standing: Standing,
    pub health: Health,
    pub in_flight: u32,
    pub in_flight_bytes: u64,
    /// Requests that it takes at a time; none where it takes any number.
    pub max_conns: Option<u32>,
    pub requests: u64,
    pub failures: u64,
    pub ejections: u64,
    /// How often its process ended unbidden; 0 for a backend that is not ours to start.
    pub deaths: u64,
    /// Whether its process keeps dying.
    pub degraded: bool,
    /// What took it out, while it is.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// How often something took it out within the last hour.
    #[serde(default)]
    pub troubles_lately: usize,
    /// The statuses of its answers since the start.
    #[serde(default)]
    pub statuses: BTreeMap<u16, u64>,
}

impl PoolStatus {
    pub fn of(roster: &Roster, dispatcher: &Dispatcher) -> Self {
        let now = Moment::now();
        let members = roster.members();
        let backends: Vec<_> = members.iter().map(|backend| BackendStatus::of(backend, now)).collect();
        Self {
            name: roster.pool().to_owned(),
            eligible: roster.eligible(),
            degraded: backends.iter().any(|backend| backend.degraded),
            in_flight: backends.iter().map(|backend| backend.in_flight).sum(),
            in_flight_bytes: backends.iter().map(|backend| backend.in_flight_bytes).sum(),
            queued: dispatcher.queue().length(),
            queue_overflows: dispatcher.queue().overflows(),
            queue_timeouts: dispatcher.queue().timeouts(),
            panics: dispatcher.chooser().panics(),
            last_panic: dispatcher.chooser().last_panic(),
            discovery: roster.providers().iter().map(|provider| provider.status()).collect(),
            backends,
        }
    }

    /// Has another process' pool take on what this one is like; see [`PoolConfig::as_running`].
    pub fn suppose(&self, roster: &Roster) {
        for known in &self.backends {
            if let Some(backend) = roster.member(&known.name) {
                backend.suppose(known.standing, known.health, known.in_flight);
            }
        }
    }
}

impl PoolConfig {
    /// The same with the members that the pool of a running Veil has, its workers and those it discovered among them.
    pub fn as_running(&self, status: &PoolStatus) -> Self {
        let member = |known: &BackendStatus| {
            let address: Address = known.address.parse().ok()?;
            let written = self.backends.iter().find(|written| written.name() == known.name);
            Some(BackendConfig {
                address: address.clone(),
                name: Some(known.name.clone()),
                weight: known.weight,
                backup: known.backup,
                ..written.cloned().unwrap_or_else(|| BackendConfig::at(address))
            })
        };
        Self {
            backends: status.backends.iter().filter_map(member).collect(),
            discover: Vec::new(),
            spawn: None,
            ..self.clone()
        }
    }
}

impl BackendStatus {
    fn of(backend: &Backend, now: Moment) -> Self {
        let standing = backend.standing(now);
        let is_out = standing.is_doubtful() || standing == Standing::Stopped;
        Self {
            name: backend.name().to_owned(),
            address: backend.address().to_string(),
            backup: backend.is_backup(),
            weight: backend.weight(),
            standing,
            health: backend.health(),
            in_flight: backend.in_flight(),
            in_flight_bytes: backend.in_flight_bytes(),
            max_conns: backend.max_conns(),
            requests: backend.requests(),
            failures: backend.failures(),
            ejections: backend.ejections(),
            deaths: backend.deaths(),
            degraded: backend.is_degraded(),
            trouble: backend.troubles().last().filter(|_| is_out),
            troubles_lately: backend.troubles().lately(),
            statuses: backend.counts().statuses,
        }
    }
}
