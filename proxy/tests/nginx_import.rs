//! Configurations of Nginx, what becomes of them as Veil's, and what is reported: `NAME.conf`, `NAME.yaml`, `NAME.report`.
//! `VEIL_BLESS=1 cargo test` writes the latter two anew, to be read in the diff.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn configurations_are_imported_as_before() {
    let mut wrong = Vec::new();
    for conf in configurations() {
        let imported = veil::nginx::import(&veil::nginx::Origin::of(conf.clone())).unwrap();
        let report = imported
            .report
            .to_string()
            .replace(&format!("{}/", folder().display()), "");
        let yaml = imported.yaml.replace(&format!("{}/", folder().display()), "");
        for (extension, found) in [("yaml", yaml), ("report", report)] {
            let path = conf.with_extension(extension);
            if std::env::var_os("VEIL_BLESS").is_some() {
                fs::write(&path, found).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != found {
                wrong.push(format!("{}:\n{found}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_imported_is_a_configuration() {
    for conf in configurations() {
        let imported = veil::nginx::import(&veil::nginx::Origin::of(conf.clone())).unwrap();
        let mistakes = veil::config::parse("x.yaml", &imported.yaml).err().unwrap_or_default();
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(
            mistakes.is_empty(),
            "{}: {}\n{}",
            conf.display(),
            mistakes.join("\n"),
            imported.yaml
        );
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nginx_import")
}

fn configurations() -> Vec<PathBuf> {
    let all = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    all.sort();
    assert!(all.len() >= 4);
    all
}
