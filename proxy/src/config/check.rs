//! `veil check`: all that is wrong with a configuration, with what it names on this machine too: certificates that do not
//! fit their keys, folders nobody may write to, names that nobody knows.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::path::Path as FilePath;
use std::time::SystemTime;

use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};

use crate::body::Buffering;
use crate::client::tls::{TlsConfig, check_trust};
use crate::config::{self, Config, Source};
use crate::filter::Workshop;
use crate::observe::access_log::Destination;
use crate::pool::PoolConfig;
use crate::pool::choose::sticky::{SameSite, Secure};
use crate::pool::members::discovery::{self, DiscoverConfig};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Path, steps};

/// What a check has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Veil refuses these, or would not get far with them.
    pub mistakes: Vec<Diagnostic>,
    /// What may well be a mistake.
    pub warnings: Vec<Diagnostic>,
}

/// Checks the text alone.
pub fn text(source: &Source) -> Findings {
    match config::load(source) {
        Ok(config) => Findings {
            mistakes: Vec::new(),
            warnings: doubts(source, &config),
        },
        Err(mistakes) => Findings {
            mistakes,
            warnings: Vec::new(),
        },
    }
}

/// Checks the text, and opens what it names.
pub fn all(source: &Source) -> Findings {
    let mut findings = text(source);
    if let (true, Ok(config)) = (findings.mistakes.is_empty(), config::load(source)) {
        let unusable = [
            certificates(&config),
            filters(&config),
            access_log(&config).into_iter().collect(),
            workers(&config),
            names(&config),
        ]
        .concat();
        let lists = lists(source, &config);
        findings.warnings.extend(located(source, stale_certificates(&config)));
        findings.mistakes = located(source, unusable);
        findings.mistakes.extend(trust(source));
        findings.mistakes.extend(lists.mistakes);
        findings.warnings.extend(lists.warnings);
        findings
            .mistakes
            .sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
    }
    findings
}

/// What may well be a mistake in a configuration that has none.
pub fn doubts(source: &Source, config: &Config) -> Vec<Diagnostic> {
    let parts = located(
        source,
        [bodies(config), cookies(config), files(config), unused_pools(config)].concat(),
    );
    [config::doubts(source), parts].concat()
}

/// A sentence, and the place of what it is about.
type Remark = (Path, String);

fn located(source: &Source, remarks: Vec<Remark>) -> Vec<Diagnostic> {
    let remarks = remarks.into_iter();
    remarks.map(|(at, what)| config::mistake(source, &at, what)).collect()
}

/// Browsers drop a cookie of `SameSite=None` that is not `Secure`.
fn cookies(config: &Config) -> Vec<Remark> {
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
fn files(config: &Config) -> Vec<Remark> {
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
fn bodies(config: &Config) -> Vec<Remark> {
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

/// Certificates that have run out, or are for none of the names that a listener is asked by.
fn stale_certificates(config: &Config) -> Vec<Remark> {
    let now = SystemTime::now();
    let mut doubts = Vec::new();
    for (name, listener) in &config.listeners {
        let at = steps!["listeners", name.as_str(), "tls"].to_vec();
        let Some(Ok(certificates)) = listener.tls.as_ref().map(TlsConfig::certificates) else {
            continue;
        };
        for certificate in &certificates.all {
            let file = certificate.pair.certificate.display();
            let days =
                |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default().as_secs() / 86_400;
            if certificate.facts.until < now {
                let ago = days(certificate.facts.until, now);
                doubts.push((
                    at.clone(),
                    format!("listener {name:?}: certificate {file} has run out {ago} days ago"),
                ));
            } else if certificate.facts.from > now {
                let until = days(now, certificate.facts.from);
                doubts.push((
                    at.clone(),
                    format!("listener {name:?}: certificate {file} holds in {until} days only"),
                ));
            }
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

/// Filters that cannot be made: what they name is not there, or has mistakes.
fn filters(config: &Config) -> Vec<Remark> {
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

/// Pools that nobody asks.
fn unused_pools(config: &Config) -> Vec<Remark> {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for route in &config.routes {
        used.extend(route.pools());
        used.extend(route.mirror.iter().map(|mirror| mirror.pool.as_str()));
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

fn certificates(config: &Config) -> Vec<Remark> {
    let listeners = config.listeners.iter();
    let unusable = listeners.filter_map(|(name, listener)| {
        let error = listener.tls.as_ref()?.acceptor(listener.http2).err()?;
        let at = steps!["listeners", name.as_str(), "tls"].to_vec();
        Some((at, format!("listener {name:?}: {}", with_sources(&error))))
    });
    unusable.collect()
}

/// Whom the environment says to trust, which is no part of the file.
fn trust(source: &Source) -> Option<Diagnostic> {
    let error = check_trust().err()?;
    Some(Diagnostic {
        file: source.to_string(),
        place: None,
        what: error.to_string(),
        help: Some("unset it, or let it name a bundle of PEM certificates".to_owned()),
    })
}

fn access_log(config: &Config) -> Option<Remark> {
    let Destination::File(path) = &config.access_log.to else {
        return None;
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let target = if path.exists() {
        path
    } else {
        folder.unwrap_or(FilePath::new("."))
    };
    let error = access(target, Access::WRITE_OK).err()?;
    let what = format!(
        "access_log: {} cannot be written: {}",
        target.display(),
        std::io::Error::from(error)
    );
    Some((steps!["access_log", "to"].to_vec(), what))
}

/// Programs to spawn that are not there.
fn workers(config: &Config) -> Vec<Remark> {
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
fn names(config: &Config) -> Vec<Remark> {
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
fn lists(source: &Source, config: &Config) -> Findings {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");

    /// What is found in a configuration with these parts, each without its file's name.
    fn found(parts: &str, backends: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("veil.yaml");
        fs::write(&file, format!("version: 1\n{parts}")).unwrap();
        fs::write(folder.path().join("backends.yaml"), backends).unwrap();
        let findings = all(&Source::File(file));
        let folder = format!("{}/", folder.path().display());
        let all = findings.mistakes.into_iter().chain(findings.warnings);
        all.map(|finding| finding.to_string().replace(&folder, "")).collect()
    }

    fn listener(certificate: &str, key: &str) -> String {
        format!(
            "listeners:\n  secure:\n    address: 127.0.0.1:0\n    \
             tls: {{ certificate: {CERTIFICATES}/{certificate}, key: {CERTIFICATES}/{key} }}\n\
             routes: [{{ match: {{ path_prefix: / }}, pool: blur }}]\n"
        )
    }

    #[test]
    fn a_certificate_has_to_fit_its_key() {
        let pools = "pools: { blur: { backends: [{ address: 10.0.0.1:80 }] } }\n";
        assert_eq!(
            found(&(listener("one.crt", "one.key") + pools), ""),
            Vec::<String>::new()
        );
        for (certificate, key) in [
            ("one.crt", "other.key"),
            ("one.crt", "none.key"),
            ("README.md", "one.key"),
        ] {
            let found = found(&(listener(certificate, key) + pools), "");
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].starts_with("veil.yaml:5:5: listener \"secure\": "),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_cookie_that_browsers_drop_is_doubtful() {
        let cookie = |secure: &str| {
            let parts = format!(
                "listeners: {{ public: {{ address: 127.0.0.1:0 }} }}\n\
                 routes: [{{ match: {{ path_prefix: / }}, pool: blur }}]\n\
                 pools: {{ blur: {{ backends: [{{ address: 10.0.0.1:80 }}], sticky: {{ same_site: none, secure: {secure} }} }} }}\n"
            );
            found(&parts, "")
        };
        assert_eq!(cookie("always"), Vec::<String>::new());
        let found = cookie("never");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("browsers drop"), "{found:?}");
    }

    #[test]
    fn what_is_named_has_to_be_there_and_all_is_told_at_once() {
        let parts = listener("one.crt", "one.key")
            + "\
pools:
  blur:
    backends:
      - { address: nobody.invalid:80 }
    discover:
      - file: backends.yaml
      - file: nowhere.yaml
  own:
    spawn: { command: [./no-such-worker] }
access_log: { to: no/such/folder/access.log }
";
        let found = found(&parts, "- { address: 10.0.0.1:80, wieght: 3 }\n");
        let places: Vec<&str> = found.iter().map(|text| text.split(": ").next().unwrap()).collect();
        let expected = [
            "backends.yaml:1:27",
            "veil.yaml:10:20",
            "veil.yaml:15:24",
            "veil.yaml:16:19",
            "veil.yaml:14:3",
            "veil.yaml:13:15",
        ];
        assert_eq!(places, expected, "{found:#?}");
    }

    #[test]
    fn a_pattern_that_no_file_fits_and_a_list_that_is_not_there_yet_are_doubtful() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("veil.yaml");
        let text = "\
version: 1
include: [more.d/*.yaml]
listeners: { public: { address: 127.0.0.1:0 } }
routes: [{ match: { path_prefix: / }, pool: blur }]
pools: { blur: { discover: [{ file: backends.yaml }] } }
";
        fs::write(&file, text).unwrap();
        let Findings { mistakes, warnings } = all(&Source::File(file));
        assert_eq!(mistakes, []);
        let told: Vec<_> = warnings
            .iter()
            .map(|warning| (warning.place.unwrap(), warning.what.as_str()))
            .collect();
        assert_eq!(told[0], ((2, 11), "no file is called \"more.d/*.yaml\""));
        assert_eq!(told[1].0, (5, 37));
        assert!(told[1].1.contains("names nobody until it can"), "{told:?}");
    }

    #[test]
    fn a_body_larger_than_all_memory_is_doubted() {
        let parts = listener("one.crt", "one.key").replace("pool: blur", "pool: blur, body: { max_size: 2GiB }")
            + "pools: { blur: { backends: [{ address: 10.0.0.1:80 }] } }\nbody: { max_size: 64MiB, memory: 32MiB }\n";
        let found = found(&parts, "");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found
                .iter()
                .all(|text| text.contains("more than the memory for all bodies, 32MiB")),
            "{found:?}"
        );
    }
}
