//! Configurations of Nginx, what becomes of them as Veil's, and what is reported: `NAME.conf`, `NAME.yaml`, `NAME.report`.
//! `VEIL_BLESS=1 cargo test` writes the latter two anew, to be read in the diff.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use veil::nginx::Origin;

#[test]
fn configurations_are_imported_as_before() {
    let mut wrong = Vec::new();
    for conf in configurations() {
        let imported = veil::nginx::import(&origin(&conf)).unwrap();
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
        let imported = veil::nginx::import(&origin(&conf)).unwrap();
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

/// Its first line may name the Nginx that it was written for.
fn origin(conf: &Path) -> Origin {
    let text = fs::read_to_string(conf).unwrap();
    let version = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# nginx-version: "));
    Origin {
        version: version.map(|version| version.parse().unwrap()).unwrap_or_default(),
        ..Origin::of(conf.to_owned())
    }
}

/// As many as `VEIL_MUTATIONS` says, for those who have time.
const MUTATIONS: usize = 1000;

#[test]
fn whatever_is_written_is_told_of_and_nothing_panics() {
    let texts: Vec<String> = configurations()
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let scratch = tempfile::NamedTempFile::new().unwrap();
    let wanted = std::env::var("VEIL_MUTATIONS")
        .ok()
        .and_then(|count| count.parse().ok());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..wanted.unwrap_or(MUTATIONS) {
        let mut text = texts[random.below(texts.len())].clone();
        for _ in 0..=random.below(6) {
            text = mutated(&text, &words, &mut random);
        }
        // Files of this machine are nobody's business.
        let text = text.replace("include", "included");
        fs::write(scratch.path(), &text).unwrap();
        let origin = Origin::of(scratch.path().to_owned());
        if let Ok(imported) = veil::nginx::import(&origin) {
            let _ = veil::config::parse("x.yaml", &imported.yaml);
            let _ = imported.report.to_string();
        }
    }
}

/// Words taken out, put in, put elsewhere, or written into one another.
fn mutated(text: &str, words: &[&str], random: &mut Random) -> String {
    const SIGNS: [&str; 16] = [
        "{", "}", ";", "$", "~", "=", "\"", "'", "\\", "#", "$$", "${", "=é", "(", "?", "\u{0}",
    ];
    let mut parts: Vec<&str> = text.split_inclusive([' ', ';', '{', '}', '\n']).collect();
    if parts.is_empty() {
        return String::new();
    }
    let place = random.below(parts.len());
    match random.below(6) {
        0 => drop(parts.remove(place)),
        1 => parts.insert(place, words[random.below(words.len())]),
        2 => parts.insert(place, SIGNS[random.below(SIGNS.len())]),
        3 => {
            let other = random.below(parts.len());
            parts.swap(place, other);
        }
        4 => parts[place] = words[random.below(words.len())],
        _ => {
            let length = random.below(12);
            let copied: Vec<&str> = parts.iter().skip(place).take(length).copied().collect();
            let there = random.below(parts.len());
            parts.splice(there..there, copied);
        }
    }
    parts.concat()
}

/// The same on every machine (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
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
