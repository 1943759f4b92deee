//! Backends by DNS: the addresses of a name, or the targets of its SRV records. Asked again when the answer's time to
//! live is over; with the machine's resolver unless others are named.

mod config;
mod srv;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, timeout};

pub use self::config::DnsConfig;
use self::config::{NameServer, Type};
use self::srv::targets;
use super::answer::{Answer, DiscoveryError};
use crate::client::endpoint::Endpoint;
use crate::pool::members::backend::{BackendConfig, GREATEST_WEIGHT};
use crate::pool::members::written::{Found, expanded};

pub struct DnsLookup {
    config: DnsConfig,
}

impl DnsLookup {
    pub fn new(config: &DnsConfig) -> Self {
        Self { config: config.clone() }
    }

    pub async fn ask(&self) -> Result<Answer, DiscoveryError> {
        let limit = self.config.timeout.get();
        let (found, valid_until) = timeout(limit, self.look_up())
            .await
            .map_err(|_| DiscoveryError::TimedOut(limit))??;
        let left = valid_until.saturating_duration_since(Instant::now());
        Ok(Answer {
            found,
            again: left.clamp(self.config.least_ttl, self.config.greatest_ttl),
        })
    }

    /// Twice as long after each further failure.
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        (self.config.least_ttl * (1 << doublings)).min(self.config.greatest_ttl)
    }

    async fn look_up(&self) -> Result<(Vec<Found>, Instant), DiscoveryError> {
        let config = &self.config;
        let questions = Questions::new(config)?;
        let record_type = match config.r#type {
            Type::A => RecordType::A,
            Type::Aaaa => RecordType::AAAA,
            Type::Srv => return self.look_up_targets(&questions).await,
        };
        let records = questions.ask(&config.name.0, record_type).await?;
        let mut addresses = records.addresses(config.port);
        addresses.sort();
        addresses.dedup();
        let found = |address: SocketAddr| Found {
            config: config.each.at(address.into()),
            address: address.into(),
        };
        Ok((addresses.into_iter().map(found).collect(), records.valid_until))
    }

    /// Each target is known by its name and port, so that it stays the same backend when its address changes.
    async fn look_up_targets(&self, questions: &Questions) -> Result<(Vec<Found>, Instant), DiscoveryError> {
        let records = questions.ask(&self.config.name.0, RecordType::SRV).await?;
        let mut valid_until = records.valid_until;
        let mut found: Vec<Found> = Vec::new();
        for target in targets(&records.data) {
            let Some(address) = target.address() else { continue };
            let mut located = questions.ask(&target.name, RecordType::A).await?;
            if located.data.is_empty() {
                located = questions.ask(&target.name, RecordType::AAAA).await?;
            }
            valid_until = valid_until.min(located.valid_until);
            let each = self.config.each.at(address);
            let written = BackendConfig {
                weight: each.weight.saturating_mul(target.weight).min(GREATEST_WEIGHT),
                backup: each.backup || target.backup,
                ..each
            };
            let mut addresses = located.addresses(target.port);
            addresses.sort();
            addresses.dedup();
            // Two names for one address are one backend.
            addresses.retain(|address| found.iter().all(|found| found.address.inet() != Some(*address)));
            found.extend(expanded(&written, addresses.into_iter().map(Endpoint::Inet).collect()));
        }
        Ok((found, valid_until))
    }
}

/// Made anew for each round of questions: /etc/resolv.conf may have changed, and time to live is kept here, not there.
struct Questions {
    resolver: TokioResolver,
}

/// The data of all records of the type that was asked for; none where the name has none.
struct Records {
    data: Vec<RData>,
    valid_until: Instant,
}

impl Questions {
    fn new(config: &DnsConfig) -> Result<Self, NetError> {
        let mut builder = if config.resolver.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = config.resolver.iter().copied().map(name_server).collect();
            let servers = ResolverConfig::from_parts(None, Vec::new(), servers);
            let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
            builder.options_mut().use_hosts_file = ResolveHosts::Never;
            builder
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.attempts = 1;
        options.timeout = config.timeout.get() / 2;
        Ok(Self {
            resolver: builder.build()?,
        })
    }

    async fn ask(&self, name: &Name, record_type: RecordType) -> Result<Records, NetError> {
        match self.resolver.lookup(name.clone(), record_type).await {
            Ok(lookup) => Ok(Records::of(&lookup, record_type)),
            Err(error) if error.is_no_records_found() => Ok(Records {
                data: Vec::new(),
                valid_until: Instant::now(),
            }),
            Err(error) => Err(error),
        }
    }
}

impl Records {
    fn of(lookup: &Lookup, record_type: RecordType) -> Self {
        let records = lookup.answers().iter();
        let data = records
            .filter(|record| record.record_type() == record_type)
            .map(|record| record.data.clone());
        Self {
            data: data.collect(),
            valid_until: lookup.valid_until().into(),
        }
    }

    fn addresses(&self, port: u16) -> Vec<SocketAddr> {
        let addresses = self.data.iter().filter_map(RData::ip_addr);
        addresses.map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

/// Asked by UDP, and by TCP where an answer does not fit.
fn name_server(NameServer(address): NameServer) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn asks_less_often_while_nobody_answers() {
        let config: DnsConfig = serde_yaml::from_str("{ name: a.test, port: 80, greatest_ttl: 5s }").unwrap();
        let lookup = DnsLookup::new(&config);
        let pauses = [1, 2, 3, 4, 1000].map(|failures| lookup.pause(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
    }
}
