//! How a pool sees one key, without a request: in which order its backends would be asked, and why. The order is what
//! [`Pool::pick`] gives, attempt after attempt; only the words are made here.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use super::clock::Moment;
use super::members::{Members, Tier};
use super::select::Candidates;
use super::{Backend, BackendConfig, BackendStatus, Health, Key, Pool, PoolConfig, PoolStatus, Standing, untried};

/// What becomes of a pool's sticky cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CookieSeen {
    pub cookie: String,
    /// Whether the request has one.
    pub came: bool,
    /// The backend that it names.
    pub names: Option<String>,
    /// Whether other processes than the one that set it can tell whom it names.
    pub is_readable: bool,
}

/// A backend's part in serving a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prospect {
    pub backend: String,
    pub address: SocketAddr,
    pub backup: bool,
    pub weight: u32,
    pub in_flight: u32,
    pub standing: Standing,
    /// The how-manieth it would be asked, from 1, if all before it failed; none if it would not be asked.
    pub turn: Option<usize>,
    pub why: String,
}

impl Pool {
    /// All backends, those that would be asked first.
    pub fn prospects(self: &Arc<Self>, key: &Key) -> Vec<Prospect> {
        let members = self.members.load();
        let turns = self.turns(key);
        let wishes = Wishes {
            cookie: self.named_by_cookie(&members, key).cloned(),
            preferred: self.preferred(&members, key),
        };
        let now = Moment::now();
        let others = members.iter().filter(|backend| untried(backend, &turns));
        let turn_of = |backend: &Backend| turns.iter().position(|other| other.is(backend));
        let prospect = |backend: &Arc<Backend>| Prospect {
            backend: backend.name().to_owned(),
            address: backend.address(),
            backup: backend.is_backup(),
            weight: backend.weight(),
            in_flight: backend.in_flight(),
            standing: backend.standing(now),
            turn: turn_of(backend).map(|turn| turn + 1),
            why: match turn_of(backend) {
                Some(turn) => why_then(&turns, turn, &wishes, now),
                None => why_not(backend, now).to_owned(),
            },
        };
        turns.iter().chain(others).map(prospect).collect()
    }

    /// What the sticky cookie of the key's request says; none where the pool has no such cookie.
    pub fn cookie_seen(&self, key: &Key) -> Option<CookieSeen> {
        let sticky = self.sticky.as_ref()?;
        let members = self.members.load();
        let named = self.named_by_cookie(&members, key);
        Some(CookieSeen {
            cookie: sticky.cookie().to_owned(),
            came: key.home().is_some(),
            names: named.map(|backend| backend.name().to_owned()),
            is_readable: sticky.is_shared(),
        })
    }

    /// The backend that this key goes to if all is well.
    pub fn home(self: &Arc<Self>, key: &Key) -> Option<Arc<Backend>> {
        self.pick(key, &[]).map(|lease| Arc::clone(lease.backend()))
    }

    /// As a request would find them that fails at each.
    fn turns(self: &Arc<Self>, key: &Key) -> Vec<Arc<Backend>> {
        let mut turns = Vec::new();
        while let Some(lease) = self.pick(key, &turns) {
            turns.push(Arc::clone(lease.backend()));
        }
        turns
    }

    /// The backends in the order in which the key alone would have them; empty where it has no say.
    fn preferred(&self, members: &Members, key: &Key) -> Vec<Arc<Backend>> {
        let Some(select) = self.config.select.strict() else {
            return Vec::new();
        };
        let in_order = |tier: &Tier| {
            let select = select.build(tier.backends());
            let mut seen: Vec<Arc<Backend>> = Vec::new();
            loop {
                let offers = |backend: &Backend| backend.weight() > 0 && untried(backend, &seen);
                let candidates = Candidates {
                    backends: tier.backends(),
                    now: Moment::now(),
                    offers: &offers,
                };
                match select.pick(key, &candidates) {
                    Some(place) => seen.push(Arc::clone(&tier.backends()[place])),
                    None => return seen,
                }
            }
        };
        [&members.primaries, &members.backups]
            .into_iter()
            .flat_map(in_order)
            .collect()
    }

    /// Believes that all is well with each backend, as if its process ran and its checks had passed.
    pub fn hope_for_the_best(&self) {
        for backend in self.backends() {
            backend.assume(Standing::Eligible, Health::Up, 0);
        }
    }

    /// Believes that a backend is down; says whether there is one of that name or address.
    pub fn suppose_down(&self, name: &str) -> bool {
        let backends = self.backends();
        let found = backends
            .iter()
            .find(|backend| backend.name() == name || backend.address().to_string() == name);
        found.map(|backend| backend.set_health(Health::Down)).is_some()
    }

    /// Takes on what a running Veil says of its pool; see [`PoolConfig::as_running`].
    pub fn assume(&self, status: &PoolStatus) {
        for known in &status.backends {
            if let Some(backend) = self.backend(&known.name) {
                backend.assume(known.standing, known.health, known.in_flight);
            }
        }
    }
}

impl PoolConfig {
    /// The same with the members that the pool of a running Veil has, its workers and those it discovered among them.
    pub fn as_running(&self, status: &PoolStatus) -> Self {
        let member = |known: &BackendStatus| {
            let address: SocketAddr = known.address.parse().ok()?;
            let written = self.backends.iter().find(|written| written.name() == known.name);
            Some(BackendConfig {
                address: address.into(),
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

/// Whom a request asks for, whatever the load.
struct Wishes {
    /// Named by its sticky cookie.
    cookie: Option<Arc<Backend>>,
    /// In the order of its key.
    preferred: Vec<Arc<Backend>>,
}

fn why_then(turns: &[Arc<Backend>], turn: usize, wishes: &Wishes, now: Moment) -> String {
    let backend = &turns[turn];
    let is_named = |backend: &Backend| wishes.cookie.as_ref().is_some_and(|named| named.is(backend));
    if backend.standing(now) != Standing::Eligible {
        return format!("{}, but nobody better is left", why_not(backend, now));
    }
    if is_named(backend) {
        return "named by the cookie".to_owned();
    }
    if backend.is_backup() {
        return "backup, for when no primary can".to_owned();
    }
    let place = |backend: &Backend| wishes.preferred.iter().position(|other| other.is(backend));
    let is_passed = |earlier: &Arc<Backend>| !is_named(earlier) && place(earlier) > place(backend);
    match wishes.preferred.first() {
        _ if turns[..turn].iter().any(is_passed) => {
            format!("{} in flight are more than its share", backend.in_flight())
        }
        _ if turn > 0 => "next, if those before fail".to_owned(),
        None => "its turn".to_owned(),
        Some(home) if home.is(backend) => "the key's own".to_owned(),
        Some(home) if home.standing(now) == Standing::Eligible => {
            format!("has room, where {} has more than its share in flight", home.name())
        }
        Some(home) => format!("in place of {}, which is {}", home.name(), why_not(home, now)),
    }
}

fn why_not(backend: &Backend, now: Moment) -> &'static str {
    match backend.standing(now) {
        Standing::Eligible => "well",
        Standing::Stopped => "not running",
        Standing::Drained if backend.weight() == 0 => "drained by weight 0",
        Standing::Drained => "drained",
        Standing::Draining => "draining by its own word",
        Standing::Unchecked => "not checked yet",
        Standing::Down => "down",
        Standing::Ejected => "ejected for its failures",
        Standing::Full => "full",
    }
}
