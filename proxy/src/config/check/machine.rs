//! What a configuration names and this machine does not have: certificates that fit, files, programs, names.

use std::env;
use std::error::Error;
use std::path::Path as FilePath;

use rustix::fs::{Access, access};

use super::{Findings, Remark};
use crate::accounts;
use crate::client::tls::check_trust;
use crate::config::{self, Config, Source};
use crate::filter::Workshop;
use crate::observe::access_log::Destination;
use crate::pool::members::discovery::{self, DiscoverConfig};
use crate::pool::{PoolConfig, Transport};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::steps;

/// Filters that cannot be made: what they name is not there, or has mistakes.
pub fn filters(config: &Config) -> Vec<Remark> {
    let mut unusable = Vec::new();
    for (index, route) in config.routes.iter().enumerate() {
        for (number, filter) in route.filters.iter().enumerate() {
            if let Err(error) = filter.build(&Workshop::default()) {
                let at = steps!["routes", index, "filters", number, filter.name()].to_vec();
                let what = format!("route {:?}: filter {}: {error}", route.name(), filter.name());
                unusable.push((at, what));
            }
        }
    }
    unusable
}

pub fn certificates(config: &Config) -> Vec<Remark> {
    let listeners = config.listeners.iter();
    let unusable = listeners.filter_map(|(name, listener)| {
        let error = listener.tls.as_ref()?.acceptor(listener.http2).err()?;
        let at = steps!["listeners", name.as_str(), "tls"].to_vec();
        Some((at, format!("listener {name:?}: {}", with_sources(&error))))
    });
    unusable.collect()
}

/// Whom the environment says to trust, which is no part of the file.
pub fn trust(source: &Source) -> Option<Diagnostic> {
    let error = check_trust().err()?;
    Some(Diagnostic {
        file: source.to_string(),
        place: None,
        what: error.to_string(),
        help: Some("unset it, or let it name a bundle of PEM certificates".to_owned()),
    })
}

/// Certificates towards backends and the collector that are not there, or are none.
pub fn transports(config: &Config) -> Vec<Remark> {
    let unusable = config.pools.iter().filter_map(|(name, pool)| {
        let error = Transport::new(pool.transport()).err()?;
        let at = steps!["pools", name.as_str(), "tls"].to_vec();
        Some((at, format!("pool {name:?}: {}", with_sources(&error))))
    });
    let collector = config.traces.as_ref().and_then(|traces| {
        let error = Transport::new(traces.transport()).err()?;
        Some((steps!["traces"].to_vec(), format!("traces: {}", with_sources(&error))))
    });
    unusable.chain(collector).collect()
}

/// Users and groups that this host does not have.
pub fn users(config: &Config) -> Vec<Remark> {
    let mut unknown = Vec::new();
    if let Some(error) = config.user.as_deref().and_then(|name| accounts::user(name).err()) {
        unknown.push((steps!["user"].to_vec(), format!("user: {error}")));
    }
    for (name, listener) in &config.listeners {
        if let Err(error) = listener.unix.ids() {
            let at = steps!["listeners", name.as_str(), "unix"].to_vec();
            unknown.push((at, format!("listener {name:?}: unix: {error}")));
        }
    }
    unknown
}

pub fn access_logs(config: &Config) -> Vec<Remark> {
    let main = (steps!["access_log", "to"].to_vec(), &config.access_log);
    let others = config.routes.iter().enumerate().flat_map(|(index, route)| {
        let at = steps!["routes", index, "access_log"].to_vec();
        route.access_log.own().iter().map(move |log| (at.clone(), log))
    });
    let all = [main].into_iter().chain(others);
    all.filter_map(|(at, log)| Some((at, unwritable(&log.to)?))).collect()
}

fn unwritable(to: &Destination) -> Option<String> {
    let Destination::File(path) = to else {
        return None;
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let target = if path.exists() {
        path
    } else {
        folder.unwrap_or(FilePath::new("."))
    };
    let error = access(target, Access::WRITE_OK).err()?;
    Some(format!(
        "access_log: {} cannot be written: {}",
        target.display(),
        std::io::Error::from(error)
    ))
}

/// Programs to spawn that are not there.
pub fn workers(config: &Config) -> Vec<Remark> {
    let missing = |(name, pool): (&String, &PoolConfig)| {
        let program = pool.spawn.as_ref()?.command.first()?;
        let what = format!("pool {name:?}: there is no program {program:?}");
        (!is_program(program)).then(|| (steps!["pools", name.as_str(), "spawn", "command", 0].to_vec(), what))
    };
    config.pools.iter().filter_map(missing).collect()
}

fn is_program(name: &str) -> bool {
    let runs = |path: &FilePath| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return runs(FilePath::new(name));
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| runs(&folder.join(name)))
}

/// Backends whose names mean nothing.
pub fn names(config: &Config) -> Vec<Remark> {
    let mut unknown = Vec::new();
    for (name, pool) in &config.pools {
        for (index, backend) in pool.backends.iter().enumerate() {
            if let Err(error) = backend.address.resolve() {
                let at = steps!["pools", name.as_str(), "backends", index, "address"].to_vec();
                unknown.push((
                    at,
                    format!("pool {name:?}: {} cannot be resolved: {error}", backend.address),
                ));
            }
        }
    }
    unknown
}

/// Mistakes of the files that list backends. Veil starts without one that is not there, and takes it when it comes.
pub fn lists(source: &Source, config: &Config) -> Findings {
    let mut findings = Findings::default();
    for (name, pool) in &config.pools {
        for (index, from) in pool.discover.iter().enumerate() {
            let DiscoverConfig::File(path) = from else { continue };
            let at = steps!["pools", name.as_str(), "discover", index, "file"];
            match discovery::check_file(path) {
                Ok(found) => findings.mistakes.extend(found),
                Err(error) => {
                    let what = format!(
                        "pool {name:?}: {} cannot be read, and names nobody until it can: {error}",
                        path.display()
                    );
                    findings.warnings.push(config::mistake(source, &at, what));
                }
            }
        }
    }
    findings
}

fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
