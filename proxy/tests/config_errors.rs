//! Files with mistakes, and what Veil says of them. Each holds both: the configuration, and under the line
//! `# mistakes:` the expected diagnostics as comments. `VEIL_BLESS=1 cargo test` writes them anew, to be read in the
//! diff.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const MARK: &str = "\n# mistakes:\n";

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    let mut wrong = Vec::new();
    for path in golden_files() {
        let content = fs::read_to_string(&path).unwrap();
        let (input, expected) = content.split_once(MARK).unwrap_or((content.trim_end(), ""));
        let found = found(&path, input);
        if std::env::var_os("VEIL_BLESS").is_some() {
            fs::write(&path, format!("{input}{MARK}{found}")).unwrap();
        } else if found != expected {
            wrong.push(format!("{}\nexpected:\n{expected}found:\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_a_file_for_at_least_forty_mistakes() {
    let mistakes: usize = golden_files()
        .iter()
        .map(|path| {
            fs::read_to_string(path)
                .unwrap()
                .lines()
                .filter(|line| line.contains(".yaml:"))
                .count()
        })
        .sum();
    assert!(mistakes >= 40, "{mistakes}");
}

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// What Veil says of a file, as comments.
fn found(path: &Path, input: &str) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let mistakes = veil::config::parse(name, input).err().unwrap_or_default();
    let lines = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    lines.lines().map(|line| format!("# {line}\n")).collect()
}
