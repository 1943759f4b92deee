//! `conf/veil.yaml` is complete: there is no key that it does not show.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use veil::yaml::document::Step;

#[test]
fn every_configuration_that_is_shipped_is_good() {
    let folder = conf();
    for folder in [folder.clone(), folder.join("examples")] {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let mistakes = veil::config::load(&veil::config::Source::File(path.clone()))
                    .err()
                    .unwrap_or_default();
                assert!(mistakes.is_empty(), "{}: {mistakes:#?}", path.display());
            }
        }
    }
}

/// What it names need not be there yet, as long as Veil would run without.
#[test]
fn the_complete_example_passes_the_whole_check() {
    let findings = veil::config::check::all(&veil::config::Source::File(conf().join("veil.yaml")));
    assert!(findings.mistakes.is_empty(), "{:#?}", findings.mistakes);
    assert!(
        findings
            .warnings
            .iter()
            .all(|warning| warning.what.contains("backends.yaml"))
    );
}

/// Puts a key that nobody knows into each map in turn; the answer names all keys that are known there.
#[test]
fn the_complete_example_shows_every_key() {
    let text = fs::read_to_string(conf().join("veil.yaml")).unwrap();
    let shown = |key: &str| text.contains(&format!("{key}: ")) || text.contains(&format!("{key}:\n"));
    let complete: Value = serde_yaml::from_str(&text).unwrap();
    let mut known = 0;
    for place in [Vec::new()].into_iter().chain(nodes(&complete)) {
        if !node_mut(&mut complete.clone(), &place).is_mapping() {
            continue;
        }
        for key in known_keys(&complete, &place) {
            known += 1;
            assert!(shown(&key), "conf/veil.yaml does not show {key:?}, known at {place:?}");
        }
    }
    assert!(known > 80, "{known}: the errors do not name the keys any more");
}

/// Takes out each line that is marked `(default)` in turn: nothing may change.
#[test]
fn what_is_said_to_be_the_default_is_the_default() {
    let text = fs::read_to_string(conf().join("veil.yaml")).unwrap();
    let read = |text: &str| format!("{:#?}", veil::config::parse("veil.yaml", text).unwrap());
    let complete = read(&text);
    let marked =
        |line: &&str| line.contains("# (default)") && !line.trim_start().starts_with('#') && !line.contains(": #");
    let lines: Vec<&str> = text.lines().filter(marked).collect();
    assert!(lines.len() > 30, "{}", lines.len());
    for line in lines {
        assert_eq!(read(&text.replacen(&format!("{line}\n"), "", 1)), complete, "{line}");
    }
}

/// Puts a map that means nothing in the place of each value in turn.
#[test]
fn no_wrong_value_is_taken_in_silence() {
    let text = fs::read_to_string(conf().join("veil.yaml")).unwrap();
    let complete: Value = serde_yaml::from_str(&text).unwrap();
    for place in nodes(&complete) {
        let mut spoilt = complete.clone();
        let node = node_mut(&mut spoilt, &place);
        *node = serde_yaml::from_str("{ nobody_knows_me: [[]] }").unwrap();
        let parsed = veil::config::parse("spoilt", &serde_yaml::to_string(&spoilt).unwrap());
        assert!(parsed.is_err(), "{place:?}");
    }
}

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}

fn known_keys(complete: &Value, place: &[Step]) -> Vec<String> {
    let mut spoilt = complete.clone();
    let map = node_mut(&mut spoilt, place).as_mapping_mut().unwrap();
    map.insert("nobody_knows_me".into(), Value::Null);
    let mistakes = veil::config::parse("spoilt", &serde_yaml::to_string(&spoilt).unwrap())
        .err()
        .unwrap_or_default();
    let about_keys = mistakes.iter().find(|mistake| mistake.what.contains("unknown key"));
    let help = about_keys
        .and_then(|mistake| mistake.help.as_deref())
        .unwrap_or_default();
    let named = help.split(';').next().unwrap_or_default();
    named.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn node_mut<'a>(tree: &'a mut Value, place: &[Step]) -> &'a mut Value {
    place.iter().fold(tree, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Index(index) => &mut value[*index],
    })
}

/// The ways to all nodes of a tree, its root left out.
fn nodes(tree: &Value) -> Vec<Vec<Step>> {
    let with_those_below = |step: Step, child: &Value| -> Vec<Vec<Step>> {
        let below = [Vec::new()].into_iter().chain(nodes(child));
        below
            .map(|path| [std::slice::from_ref(&step), &path].concat())
            .collect()
    };
    match tree {
        Value::Mapping(map) => map
            .iter()
            .flat_map(|(key, child)| with_those_below(key.as_str().unwrap().into(), child))
            .collect(),
        Value::Sequence(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| with_those_below(index.into(), item))
            .collect(),
        _ => Vec::new(),
    }
}
