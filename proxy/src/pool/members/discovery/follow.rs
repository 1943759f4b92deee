//! Asks providers for backends again and again, and has the roster follow what they say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Answer, DiscoveryError};
use super::config::DiscoverConfig;
use super::dns::DnsLookup;
use super::file::{self, FileWatch};
use super::provider::{News, Provider};
use crate::pool::members::roster::Roster;
use crate::pool::members::written::Found;
use crate::pool::stop::stopped;

/// Asks all of the pool's providers, each when it is due, until told to stop.
pub async fn run(roster: &Arc<Roster>, stop: watch::Receiver<bool>) {
    let mut asking = JoinSet::new();
    for provider in roster.providers() {
        asking.spawn(follow(Arc::clone(roster), Arc::clone(provider)));
    }
    stopped(stop).await;
    asking.shutdown().await;
}

/// Asks all of the pool's providers once.
pub async fn ask_once(roster: &Roster) {
    for provider in roster.providers() {
        let answer = Inquiry::new(provider.config()).ask().await;
        note(roster, provider, answer.map(|answer| answer.found));
    }
}

async fn follow(roster: Arc<Roster>, provider: Arc<Provider>) {
    let mut inquiry = Inquiry::new(provider.config());
    let mut failures = 0;
    loop {
        let (found, pause) = match inquiry.ask().await {
            Ok(answer) => {
                failures = 0;
                (Ok(answer.found), answer.again)
            }
            Err(error) => {
                failures += 1;
                (Err(error), inquiry.pause(failures))
            }
        };
        note(&roster, &provider, found);
        tokio::time::sleep(pause).await;
    }
}

/// Takes what a provider has said, or that it could say nothing.
pub fn note(roster: &Roster, provider: &Provider, said: Result<Vec<Found>, DiscoveryError>) {
    let news = match said {
        Ok(found) => provider.said(roster.pool(), found, |found| roster.recruit(found)),
        Err(error) => provider.failed(roster.pool(), &error),
    };
    match news {
        News::Others => roster.regroup(),
        News::FirstWord => roster.tell_change(),
        News::None => {}
    }
}

/// Asks one provider, and remembers what makes the next asking cheaper.
enum Inquiry {
    Dns(DnsLookup),
    File(FileWatch),
}

impl Inquiry {
    fn new(config: &DiscoverConfig) -> Self {
        match config {
            DiscoverConfig::Dns(config) => Self::Dns(DnsLookup::new(config)),
            DiscoverConfig::File(path) => Self::File(FileWatch::new(path)),
        }
    }

    async fn ask(&mut self) -> Result<Answer, DiscoveryError> {
        let answer = match self {
            Self::Dns(lookup) => lookup.ask().await,
            Self::File(watch) => watch.ask().await,
        }?;
        match answer.found.is_empty() {
            true => Err(DiscoveryError::Nobody),
            false => Ok(answer),
        }
    }

    /// When to ask again after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        match self {
            Self::Dns(lookup) => lookup.pause(failures),
            Self::File(_) => file::BETWEEN_LOOKS,
        }
    }
}
