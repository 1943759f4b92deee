//! `veil check`: all that is wrong with a configuration, with what it names on this machine too: certificates that do not
//! fit their keys, folders nobody may write to, names that nobody knows.

mod doubts;
mod machine;
mod routes;
mod sockets;

use crate::config::{self, Config, Source};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::Path;

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
    let (config, mistakes) = config::load_what_can_be_read(source);
    let mut findings = Findings {
        mistakes,
        warnings: Vec::new(),
    };
    if let Some(config) = config {
        if findings.mistakes.is_empty() {
            findings.warnings = doubts(source, &config);
        }
        let unusable = [
            machine::certificates(&config),
            machine::filters(&config),
            machine::access_logs(&config),
            machine::workers(&config),
            machine::transports(&config),
            machine::users(&config),
            sockets::obstructed(&config),
            machine::names(&config),
        ]
        .concat();
        let unusable = match unusable.is_empty() {
            true => examples(&config),
            false => unusable,
        };
        let lists = machine::lists(source, &config);
        findings
            .warnings
            .extend(located(source, doubts::stale_certificates(&config)));
        findings
            .warnings
            .extend(located(source, doubts::stale_own_certificates(&config)));
        findings.mistakes.extend(located(source, unusable));
        findings.mistakes.extend(machine::trust(source));
        findings.mistakes.extend(lists.mistakes);
        findings.warnings.extend(lists.warnings);
        findings
            .mistakes
            .sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
    }
    findings
}

/// Examples that do not go as expected.
fn examples(config: &Config) -> Vec<Remark> {
    config::example::failures(config).unwrap_or_else(|error| vec![(Path::new(), error.to_string())])
}

/// What may well be a mistake in a configuration that has none.
pub fn doubts(source: &Source, config: &Config) -> Vec<Diagnostic> {
    let remarks = [
        doubts::bodies(config),
        doubts::cookies(config),
        doubts::files(config),
        doubts::unused_pools(config),
        routes::redirects(config),
        routes::parameters(config),
        doubts::routes(config),
        doubts::unverified(config),
        doubts::timeouts(config),
        sockets::without_folder(config),
    ];
    let parts = located(source, remarks.concat());
    [config::doubts(source), parts].concat()
}

/// A sentence, and the place of what it is about.
type Remark = (Path, String);

fn located(source: &Source, remarks: Vec<Remark>) -> Vec<Diagnostic> {
    let remarks = remarks.into_iter();
    remarks.map(|(at, what)| config::mistake(source, &at, what)).collect()
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
    fn what_cannot_be_meant_is_doubted() {
        let listener = "listeners: { public: { address: 127.0.0.1:0 } }\n";
        let route = "routes: [{ match: { path_prefix: / }, pool: app }]\n";
        let pool = |more: &str| format!("pools: {{ app: {{ backends: [{{ address: 10.0.0.1:80 }}]{more} }} }}\n");
        for (parts, doubt) in [
            (format!("{listener}routes: []\n"), "there is no route"),
            (
                format!("{listener}{route}{}", pool(", timeouts: { read: 20s, total: 10s }")),
                "read is 20s, longer than total, 10s",
            ),
            (
                format!(
                    "{listener}{route}{}",
                    pool(", tls: { danger_accept_any_certificate: true }")
                ),
                "whoever stands between",
            ),
        ] {
            let found = found(&parts, "");
            assert!(found.len() == 1 && found[0].contains(doubt), "{found:?}");
        }
    }

    #[test]
    fn mistakes_of_all_stages_are_told_at_once() {
        let parts = "\
listeners: { public: { address: 127.0.0.1:8080 } }
admin: { address: 127.0.0.1:8080 }
routes: [{ match: { path_prefix: / }, pool: app, idempotant: true }]
pools: { app: { backends: [{ address: nobody.invalid:80 }] } }
access_log: { to: no/such/folder/access.log }
";
        let found = found(parts, "");
        let places: Vec<&str> = found.iter().map(|text| text.split(": ").next().unwrap()).collect();
        let expected = ["veil.yaml:3:19", "veil.yaml:4:50", "veil.yaml:5:39", "veil.yaml:6:19"];
        assert_eq!(places, expected, "{found:#?}");
    }

    #[test]
    fn a_socket_takes_nobodys_place_and_has_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        let parts = |socket: &std::path::Path| {
            format!(
                "listeners: {{ public: {{ address: [127.0.0.1:0, 'unix:{0}'] }} }}\nadmin: {{ address: 'unix:{0}' }}\n\
                 routes: [{{ match: {{ path_prefix: / }}, filters: [{{ respond: {{ status: 200 }} }}] }}]\n",
                socket.display()
            )
        };
        let admin_alone =
            |socket: &std::path::Path| parts(socket).replace(&format!(", 'unix:{}'", socket.display()), "");
        for (socket, wrong) in [
            (file.clone(), Some("is there already, and is no socket")),
            (folder.path().join("nowhere/socket"), Some("there is no folder")),
            (folder.path().join("socket"), None),
        ] {
            let found = found(&admin_alone(&socket), "");
            assert_eq!(found.len(), usize::from(wrong.is_some()), "{found:?}");
            assert!(
                wrong.is_none_or(|wrong| found[0].starts_with("veil.yaml:3:19: admin: ") && found[0].contains(wrong)),
                "{found:?}"
            );
        }
        let found = found(&parts(&file).replace("admin", "# admin"), "");
        assert!(
            found.len() == 1 && found[0].starts_with("veil.yaml:2:24: listener \"public\": "),
            "{found:?}"
        );
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
