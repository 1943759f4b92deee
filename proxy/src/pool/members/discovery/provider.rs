//! What a provider of backends has said, and whom that makes members.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::answer::DiscoveryError;
use super::config::DiscoverConfig;
use crate::pool::members::backend::Backend;
use crate::pool::members::written::Found;

/// Names backends: a DNS name, a file.
pub struct Provider {
    config: DiscoverConfig,
    /// Contended by the one who asks and by those who look at the pool.
    said: Mutex<Said>,
}

#[derive(Clone, Default)]
struct Said {
    members: Vec<(Found, Arc<Backend>)>,
    /// Whether it has answered or failed at all.
    was_asked: bool,
    failures: u64,
    /// Why it could not say anything new, if it could not the last time.
    trouble: Option<String>,
}

/// A provider as the admin sees it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ProviderStatus {
    pub source: String,
    /// How many it named when it last answered.
    pub backends: usize,
    pub failures: u64,
    /// Why its last answer is not a new one.
    pub trouble: Option<String>,
}

impl ProviderStatus {
    /// Why it says nothing new, and what holds meanwhile.
    pub fn shown_trouble(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        Some(format!("{}: {}: {trouble}", self.source, what_holds(self.backends)))
    }
}

impl Provider {
    /// `previous` is the same provider before a reload: what it said last still holds.
    pub fn new(config: &DiscoverConfig, previous: Option<&Self>) -> Self {
        let before = previous.map(|previous| previous.said.lock().clone());
        Self {
            config: config.clone(),
            said: Mutex::new(Said {
                was_asked: false,
                ..before.unwrap_or_default()
            }),
        }
    }

    pub fn config(&self) -> &DiscoverConfig {
        &self.config
    }

    pub fn backends(&self) -> Vec<Arc<Backend>> {
        let said = self.said.lock();
        said.members.iter().map(|(_, backend)| Arc::clone(backend)).collect()
    }

    /// Whether it has answered or failed since the pool was made.
    pub fn was_asked(&self) -> bool {
        self.said.lock().was_asked
    }

    pub fn status(&self) -> ProviderStatus {
        let said = self.said.lock();
        ProviderStatus {
            source: self.config.to_string(),
            backends: said.members.len(),
            failures: said.failures,
            trouble: said.trouble.clone(),
        }
    }

    /// Takes an answer. Whom it names as before stays the same backend; `recruit` makes the others.
    pub fn said(&self, pool: &str, found: Vec<Found>, recruit: impl Fn(&Found) -> Arc<Backend>) -> News {
        let mut said = self.said.lock();
        let was_asked = std::mem::replace(&mut said.was_asked, true);
        if said.trouble.take().is_some() {
            tracing::info!(pool, source = %self.config, "answers again");
        }
        if said.members.iter().map(|(found, _)| found).eq(&found) {
            return News::after_nothing_new(was_asked);
        }
        let member = |found: Found| {
            let before = said.members.iter().find(|(before, _)| *before == found);
            let backend = before.map(|(_, backend)| Arc::clone(backend));
            let backend = backend.unwrap_or_else(|| recruit(&found));
            (found, backend)
        };
        let members: Vec<_> = found.into_iter().map(member).collect();
        let before = std::mem::replace(&mut said.members, members);
        tracing::info!(
            pool,
            source = %self.config,
            backends = said.members.len(),
            joined = missing(&said.members, &before),
            left = missing(&before, &said.members),
            "names others than before",
        );
        News::Others
    }

    /// Keeps the last answer; says so once for each reason.
    pub fn failed(&self, pool: &str, error: &DiscoveryError) -> News {
        let mut said = self.said.lock();
        let was_asked = std::mem::replace(&mut said.was_asked, true);
        said.failures += 1;
        let trouble = error.to_string();
        if said.trouble.as_ref() != Some(&trouble) {
            said.trouble = Some(trouble);
            let kept = said.members.len();
            tracing::warn!(pool, source = %self.config, kept, "{}: {error}", what_holds(kept));
        }
        News::after_nothing_new(was_asked)
    }
}

/// What comes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    None,
    /// It was asked for the first time, and changes nothing.
    FirstWord,
    /// It names others than before.
    Others,
}

impl News {
    fn after_nothing_new(was_asked: bool) -> Self {
        match was_asked {
            true => Self::None,
            false => Self::FirstWord,
        }
    }
}

/// What is known from a provider that fails, and named so many before.
fn what_holds(named: usize) -> &'static str {
    match named {
        0 => "it has named nobody yet",
        _ => "its last answer stays",
    }
}

/// The names of those that are not among the others.
fn missing(members: &[(Found, Arc<Backend>)], others: &[(Found, Arc<Backend>)]) -> String {
    let is_other = |backend: &Backend| others.iter().any(|(_, other)| other.name() == backend.name());
    let names = members.iter().map(|(_, backend)| backend);
    let missing = names.filter(|backend| !is_other(backend)).map(|backend| backend.name());
    missing.collect::<Vec<_>>().join(", ")
}
