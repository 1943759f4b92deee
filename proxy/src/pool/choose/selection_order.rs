//! How a pool sees one key, without a request: in which order its backends would be asked, and why. The order is what
//! [`Chooser::claim`] gives, attempt after attempt; only the words are made here.

use std::sync::Arc;

use serde::Serialize;

use super::chooser::Chooser;
use super::key::Key;
use super::selection::select::Candidates;
use super::tiers::{Tier, Tiers};
use crate::client::endpoint::Endpoint;
use crate::pool::clock::Moment;
use crate::pool::members::backend::{Backend, Standing};

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

/// A backend's turn to serve a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    pub backend: String,
    pub address: Endpoint,
    pub backup: bool,
    pub weight: u32,
    pub in_flight: u32,
    pub standing: Standing,
    /// The how-manieth it would be asked, from 1, if all before it failed; none if it would not be asked.
    pub turn: Option<usize>,
    pub why: String,
}

/// All backends, those that would be asked first.
pub fn turns(chooser: &Chooser, key: &Key) -> Vec<Turn> {
    let tiers = chooser.tiers();
    let asked = asked(chooser, key);
    let wishes = Wishes {
        cookie: chooser.named_by_cookie(&tiers, key).cloned(),
        preferred: preferred(chooser, &tiers, key),
    };
    let now = Moment::now();
    let others = tiers
        .iter()
        .filter(|backend| !asked.iter().any(|asked| asked.is(backend)));
    let turn_of = |backend: &Backend| asked.iter().position(|other| other.is(backend));
    let turn = |backend: &Arc<Backend>| Turn {
        backend: backend.name().to_owned(),
        address: backend.address().clone(),
        backup: backend.is_backup(),
        weight: backend.weight(),
        in_flight: backend.in_flight(),
        standing: backend.standing(now),
        turn: turn_of(backend).map(|turn| turn + 1),
        why: match turn_of(backend) {
            Some(turn) => why_then(&asked, turn, &wishes, now),
            None => why_not(backend, now).to_owned(),
        },
    };
    asked.iter().chain(others).map(turn).collect()
}

/// What the sticky cookie of the key's request says; none where the pool has no such cookie.
pub fn cookie_seen(chooser: &Chooser, key: &Key) -> Option<CookieSeen> {
    let sticky = chooser.sticky()?;
    let tiers = chooser.tiers();
    let named = chooser.named_by_cookie(&tiers, key);
    Some(CookieSeen {
        cookie: sticky.cookie().to_owned(),
        came: key.home().is_some(),
        names: named.map(|backend| backend.name().to_owned()),
        is_readable: sticky.is_shared(),
    })
}

/// The backend that this key goes to if all is well.
pub fn home(chooser: &Chooser, key: &Key) -> Option<Arc<Backend>> {
    next(chooser, key, &[])
}

/// As a request would find them that fails at each.
fn asked(chooser: &Chooser, key: &Key) -> Vec<Arc<Backend>> {
    let mut asked = Vec::new();
    while let Some(backend) = next(chooser, key, &asked) {
        asked.push(backend);
    }
    asked
}

fn next(chooser: &Chooser, key: &Key, asked: &[Arc<Backend>]) -> Option<Arc<Backend>> {
    let backend = chooser.claim(key, asked)?;
    backend.release(key.upload_bytes());
    Some(backend.as_chosen())
}

/// The backends in the order in which the key alone would have them; empty where it has no say.
fn preferred(chooser: &Chooser, tiers: &Tiers, key: &Key) -> Vec<Arc<Backend>> {
    let Some(select) = chooser.select().strict() else {
        return Vec::new();
    };
    let in_order = |tier: &Tier| {
        let select = select.build(tier.backends());
        let mut seen: Vec<Arc<Backend>> = Vec::new();
        loop {
            let offers = |backend: &Backend| backend.weight() > 0 && !seen.iter().any(|seen| seen.is(backend));
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
    [&tiers.primaries, &tiers.backups]
        .into_iter()
        .flat_map(in_order)
        .collect()
}

/// Whom a request asks for, whatever the load.
struct Wishes {
    /// Named by its sticky cookie.
    cookie: Option<Arc<Backend>>,
    /// In the order of its key.
    preferred: Vec<Arc<Backend>>,
}

fn why_then(asked: &[Arc<Backend>], turn: usize, wishes: &Wishes, now: Moment) -> String {
    let backend = &asked[turn];
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
        _ if asked[..turn].iter().any(is_passed) => {
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
