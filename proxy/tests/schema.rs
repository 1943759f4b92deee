//! `conf/veil.schema.json` is what `veil schema` prints. `VEIL_BLESS=1 cargo test` writes it anew. What it lets pass and
//! what it refuses is for another validator to say: `tests/manifests/veil_schema.py`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde_json::Value;

#[test]
fn the_shipped_schema_is_the_one_of_this_program() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/veil.schema.json");
    let schema = veil::cli::schema::schema();
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
