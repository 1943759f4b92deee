//! `conf/veil.schema.json` is what `veil schema` prints, fits every file that is shipped, and refuses mistakes.
//! `VEIL_BLESS=1 cargo test` writes it anew.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

#[test]
fn the_shipped_schema_is_the_one_of_this_program() {
    let file = conf().join("veil.schema.json");
    let schema = veil::schema::schema();
    if std::env::var_os("VEIL_BLESS").is_some() {
        fs::write(&file, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let shipped: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        shipped,
        *schema.as_value(),
        "conf/veil.schema.json is stale: veil schema > conf/veil.schema.json"
    );
}

#[test]
fn every_shipped_configuration_names_the_schema_and_fits_it() {
    let validator = validator();
    for (folder, schema) in [
        (conf(), "veil.schema.json"),
        (conf().join("examples"), "../veil.schema.json"),
    ] {
        for path in yaml_files(&folder) {
            let text = fs::read_to_string(&path).unwrap();
            let modeline = format!("# yaml-language-server: $schema={schema}\n");
            assert!(
                text.starts_with(&modeline),
                "{} does not begin with {modeline}",
                path.display()
            );
            let mistakes: Vec<String> = validator
                .iter_errors(&json(&text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(mistakes.is_empty(), "{}: {mistakes:#?}", path.display());
        }
    }
}

#[test]
fn what_one_place_alone_shows_to_be_wrong_is_refused() {
    let validator = validator();
    for name in [
        "section_misspelt",
        "timeout_misspelt",
        "select_misspelt",
        "filter_misspelt",
        "filter_redirect_status",
        "backend_weight_text",
        "backend_weight_negative",
        "backend_address",
        "backend_address_missing",
        "backends_a_map",
        "duration_without_unit",
        "size_unknown_unit",
        "match_path_query",
        "match_host_with_scheme",
        "version_unknown",
        "discover_type_misspelt",
        "discover_name_with_port",
        "discover_each_misspelt",
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/config_errors/{name}.yaml"));
        assert!(!validator.is_valid(&json(&fs::read_to_string(file).unwrap())), "{name}");
    }
}

#[test]
fn a_variable_may_stand_for_any_value() {
    let text = "
version: 1
threads: ${THREADS}
listeners: { public: { address: '${ADDRESS:-0.0.0.0:80}', max_head: '${HEAD}' } }
routes: [{ match: { path_prefix: '/${PREFIX}' }, pool: blur, idempotent: '${AGAIN}', body: { buffering: '${BUFFERING:-on}' } }]
pools: { blur: { backends: [{ address: '${WORKER}', weight: '${WEIGHT:-3}' }] } }
retry_budget: { share: '${SHARE}' }
";
    let mistakes: Vec<String> = validator()
        .iter_errors(&json(text))
        .map(|error| error.to_string())
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

fn validator() -> Validator {
    jsonschema::validator_for(veil::schema::schema().as_value()).unwrap()
}

/// A YAML text as the JSON that it stands for.
fn json(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn yaml_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
}

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}
