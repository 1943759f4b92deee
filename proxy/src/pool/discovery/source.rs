//! What a source has said, and what has come of it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{DiscoverConfig, DiscoveryError, Found};
use crate::pool::{Backend, Health, Pool};

/// A source of backends.
pub struct Source {
    config: DiscoverConfig,
    /// Contended by the one who asks and by those who look at the pool.
    news: Mutex<News>,
}

#[derive(Clone, Default)]
struct News {
    members: Vec<(Found, Arc<Backend>)>,
    /// Whether it has answered or failed at all.
    was_asked: bool,
    failures: u64,
    /// Why it could not say anything new, if it could not the last time.
    trouble: Option<String>,
}

/// A source as the admin sees it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SourceStatus {
    pub source: String,
    /// How many it named when it last answered.
    pub backends: usize,
    pub failures: u64,
    /// Why its last answer is not a new one.
    pub trouble: Option<String>,
}

impl SourceStatus {
    /// Why it says nothing new, and what holds meanwhile.
    pub fn shown_trouble(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        Some(format!("{}: {}: {trouble}", self.source, what_holds(self.backends)))
    }
}

impl Source {
    /// `previous` is the same source before a reload: what it said last still holds.
    pub fn new(config: &DiscoverConfig, previous: Option<&Self>) -> Self {
        let before = previous.map(|previous| previous.news.lock().clone());
        Self {
            config: config.clone(),
            news: Mutex::new(News {
                was_asked: false,
                ..before.unwrap_or_default()
            }),
        }
    }

    pub fn config(&self) -> &DiscoverConfig {
        &self.config
    }

    pub fn backends(&self) -> Vec<Arc<Backend>> {
        let news = self.news.lock();
        news.members.iter().map(|(_, backend)| Arc::clone(backend)).collect()
    }

    /// Whether it has answered or failed since the pool was made.
    pub fn was_asked(&self) -> bool {
        self.news.lock().was_asked
    }

    pub fn status(&self) -> SourceStatus {
        let news = self.news.lock();
        SourceStatus {
            source: self.config.to_string(),
            backends: news.members.len(),
            failures: news.failures,
            trouble: news.trouble.clone(),
        }
    }

    /// Takes an answer. Whom it names as before stays the same backend; another of the same name takes over what is
    /// known of that one.
    pub fn said(&self, pool: &Arc<Pool>, found: Vec<Found>) {
        let mut news = self.news.lock();
        let was_asked = std::mem::replace(&mut news.was_asked, true);
        if news.trouble.take().is_some() {
            tracing::info!(pool = pool.name(), source = %self.config, "answers again");
        }
        if news.members.iter().map(|(found, _)| found).eq(&found) {
            drop(news);
            if !was_asked {
                pool.noticed_change();
            }
            return;
        }
        let member = |found: Found| {
            let before = news.members.iter().find(|(before, _)| *before == found);
            let backend = before.map(|(_, backend)| Arc::clone(backend));
            let backend = backend.unwrap_or_else(|| {
                let before = pool.known(&found.config.name());
                let backend = Backend::new(&found.config, found.address, before.as_deref());
                if pool.check.is_none() {
                    // Nobody will ever ask it.
                    backend.set_health(Health::Up);
                }
                Arc::new(backend)
            });
            (found, backend)
        };
        let members: Vec<_> = found.into_iter().map(member).collect();
        let before = std::mem::replace(&mut news.members, members);
        tracing::info!(
            pool = pool.name(),
            source = %self.config,
            backends = news.members.len(),
            joined = missing(&news.members, &before),
            left = missing(&before, &news.members),
            "names others than before",
        );
        drop(news);
        pool.regroup();
    }

    /// Keeps the last answer; says so once for each reason.
    pub fn failed(&self, pool: &Arc<Pool>, error: &DiscoveryError) {
        let mut news = self.news.lock();
        let was_asked = std::mem::replace(&mut news.was_asked, true);
        news.failures += 1;
        let trouble = error.to_string();
        if news.trouble.as_ref() != Some(&trouble) {
            news.trouble = Some(trouble);
            let kept = news.members.len();
            tracing::warn!(pool = pool.name(), source = %self.config, kept, "{}: {error}", what_holds(kept));
        }
        drop(news);
        if !was_asked {
            pool.noticed_change();
        }
    }
}

/// What is known from a source that fails, and named so many before.
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
