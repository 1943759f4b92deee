//! What may well be a mistake in a configuration that has none.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use rustix::process::{Resource, getrlimit};

use super::Remark;
use crate::body::Buffering;
use crate::client::tls::TlsConfig;
use crate::client::tls::facts::Facts;
use crate::config::Config;
use crate::pool::choose::sticky::{SameSite, Secure};
use crate::yaml::document::steps;

/// Browsers drop a cookie of `SameSite=None` that is not `Secure`.
pub fn cookies(config: &Config) -> Vec<Remark> {
    let pools = config.pools.iter().filter_map(|(name, pool)| {
        let sticky = pool.sticky.as_ref()?;
        let is_dropped = (sticky.same_site, sticky.secure) == (SameSite::None, Secure::Never);
        let at = || steps!["pools", name.as_str(), "sticky", "secure"].to_vec();
        let what = || format!("pool {name:?}: browsers drop cookies of same_site none that are never secure");
        is_dropped.then(|| (at(), what()))
    });
    pools.collect()
}

/// A connection takes a file, which the system may not let this process open.
pub fn files(config: &Config) -> Vec<Remark> {
    let Some(most) = getrlimit(Resource::Nofile).maximum else {
        return Vec::new();
    };
    let too_many = config.listeners.iter().filter_map(|(name, listener)| {
        let connections = listener.max_connections;
        let what = || {
            format!(
                "listener {name:?}: max_connections is {connections}, more than the {most} files that this process may \
                 open (ulimit -n, LimitNOFILE)"
            )
        };
        let at = || steps!["listeners", name.as_str(), "max_connections"].to_vec();
        (connections as u64 > most).then(|| (at(), what()))
    });
    too_many.collect()
}

/// A body that may be longer than the memory for all of them waits for memory that there will never be.
pub fn bodies(config: &Config) -> Vec<Remark> {
    let memory = config.body.memory;
    let mut doubts = Vec::new();
    if config.body.buffering == Buffering::On && config.body.max_size > memory {
        let what = format!(
            "body: max_size is {}, more than the memory for all bodies, {memory}",
            config.body.max_size
        );
        doubts.push((steps!["body", "max_size"].to_vec(), what));
    }
    for (index, route) in config.routes.iter().enumerate() {
        let buffering = route.body.buffering.unwrap_or(config.body.buffering);
        if let (Buffering::On, Some(size)) = (buffering, route.body.max_size.filter(|size| *size > memory)) {
            let what = format!(
                "route {:?}: max_size is {size}, more than the memory for all bodies, {memory}",
                route.name()
            );
            doubts.push((steps!["routes", index, "body", "max_size"].to_vec(), what));
        }
    }
    doubts
}

/// Backends that anybody can pass for.
pub fn unverified(config: &Config) -> Vec<Remark> {
    let pools = config.pools.iter().filter_map(|(name, pool)| {
        let accepts_any = pool.tls.as_ref()?.danger_accept_any_certificate;
        let at = || steps!["pools", name.as_str(), "tls", "danger_accept_any_certificate"].to_vec();
        let what = || format!("pool {name:?}: whoever stands between can read and change what goes to its backends");
        accepts_any.then(|| (at(), what()))
    });
    pools.collect()
}

/// Without a route every request is refused.
pub fn routes(config: &Config) -> Vec<Remark> {
    match config.routes.is_empty() {
        true => vec![(
            steps!["routes"].to_vec(),
            "there is no route, so that every request gets 404".to_owned(),
        )],
        false => Vec::new(),
    }
}

/// A wait that another one always ends first.
pub fn timeouts(config: &Config) -> Vec<Remark> {
    let pools = config.pools.iter().filter_map(|(name, pool)| {
        let (read, total) = (pool.timeouts.read, pool.timeouts.total?);
        let what = || {
            format!(
                "pool {name:?}: read is {read}, longer than total, {total}, which ends the wait for an answer first"
            )
        };
        let at = || steps!["pools", name.as_str(), "timeouts", "read"].to_vec();
        (read > total).then(|| (at(), what()))
    });
    pools.collect()
}

/// Pools that nobody asks.
pub fn unused_pools(config: &Config) -> Vec<Remark> {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for route in &config.routes {
        used.extend(route.pools());
        used.extend(route.copies().map(|mirror| mirror.pool.as_str()));
        used.extend(
            route
                .filters
                .iter()
                .flat_map(|filter| filter.pools().into_iter().map(|(_, pool)| pool)),
        );
    }
    let unused = config.pools.keys().filter(|name| !used.contains(name.as_str()));
    let remark = |name: &String| {
        let at = steps!["pools", name.as_str()].to_vec();
        (at, format!("pool {name:?}: no route uses it"))
    };
    unused.map(remark).collect()
}

/// Certificates that have run out, or are for none of the names that a listener is asked by.
pub fn stale_certificates(config: &Config) -> Vec<Remark> {
    let mut doubts = Vec::new();
    for (name, listener) in &config.listeners {
        let at = steps!["listeners", name.as_str(), "tls"].to_vec();
        let Some(Ok(certificates)) = listener.tls.as_ref().map(TlsConfig::certificates) else {
            continue;
        };
        for certificate in &certificates.all {
            let owner = format!("listener {name:?}");
            let stale = staleness(&owner, &certificate.pair.certificate, &certificate.facts);
            doubts.extend(stale.map(|what| (at.clone(), what)));
        }
        let hosts: BTreeSet<String> = config
            .routes
            .iter()
            .flat_map(|route| route.r#match.host_names())
            .collect();
        for host in hosts.iter().filter(|host| !certificates.are_for(host)) {
            doubts.push((
                at.clone(),
                format!("listener {name:?}: no certificate is for {host:?}, which a route takes"),
            ));
        }
    }
    doubts
}

/// Certificates that backends are shown and that have run out.
pub fn stale_own_certificates(config: &Config) -> Vec<Remark> {
    let pools = config.pools.iter().filter_map(|(name, pool)| {
        let (file, facts) = pool.tls.as_ref()?.own_facts()?;
        let what = staleness(&format!("pool {name:?}"), file, &facts)?;
        Some((steps!["pools", name.as_str(), "tls", "certificate"].to_vec(), what))
    });
    pools.collect()
}

fn staleness(owner: &str, file: &Path, facts: &Facts) -> Option<String> {
    let now = SystemTime::now();
    let days = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default().as_secs() / 86_400;
    let file = file.display();
    if facts.until < now {
        let ago = days(facts.until, now);
        Some(format!("{owner}: certificate {file} has run out {ago} days ago"))
    } else if facts.from > now {
        let until = days(now, facts.from);
        Some(format!("{owner}: certificate {file} holds in {until} days only"))
    } else {
        None
    }
}
