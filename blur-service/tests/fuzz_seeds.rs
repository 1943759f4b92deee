//! What fuzzing kept, as plain tests: every seed and every file that was once a finding, through its target's check.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/checks/options.rs"]
mod options;
#[path = "../fuzz/checks/parts.rs"]
mod parts;
#[path = "../fuzz/checks/pictures.rs"]
mod pictures;
#[path = "../fuzz/checks/proof.rs"]
mod proof;
#[path = "../fuzz/checks/splice.rs"]
mod splice;

use std::{fs, path::Path};

#[test]
fn options_hold() {
    each_seed("options", options::check);
}

#[test]
fn pictures_hold() {
    each_seed("pictures", pictures::check);
}

#[test]
fn parts_hold() {
    each_seed("parts", parts::check);
}

#[test]
fn the_proof_holds() {
    each_seed("proof", proof::check);
    proof::check(&proof::promised());
}

#[test]
fn the_splice_holds() {
    each_seed("splice", splice::check);
}

fn each_seed(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds > 20, "only {seeds} seeds of {target}");
}
