//! A configuration with all that it includes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::report::Report;
use super::syntax::{self, Directive, Place, SyntaxError};

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{0}: files include each other too deeply")]
    Circle(Place),
}

/// Files within files: more than anybody writes.
const DEEPEST: usize = 16;

/// Reads a file and, in place of each `include`, what it names. As Nginx does, names are relative to the folder of the main
/// file. An included file that is not there is for the report, since a file may be imported on another machine.
pub fn read(main: &Path, report: &mut Report) -> Result<Vec<Directive>, ReadError> {
    let folder = main.parent().unwrap_or(Path::new(""));
    let directives = one(main)?;
    spliced(directives, folder, DEEPEST, report)
}

fn one(path: &Path) -> Result<Vec<Directive>, ReadError> {
    let bytes = fs::read(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(syntax::parse(
        &path.to_string_lossy(),
        &String::from_utf8_lossy(&bytes),
    )?)
}

fn spliced(
    directives: Vec<Directive>,
    folder: &Path,
    deeper: usize,
    report: &mut Report,
) -> Result<Vec<Directive>, ReadError> {
    let mut all = Vec::new();
    for mut directive in directives {
        if directive.name != "include" || directive.block.is_some() {
            directive.block = match directive.block {
                Some(block) => Some(spliced(block, folder, deeper, report)?),
                None => None,
            };
            all.push(directive);
            continue;
        }
        if deeper == 0 {
            return Err(ReadError::Circle(directive.place));
        }
        for path in included(&directive, folder) {
            if fs::metadata(&path).is_err() {
                report.missing(
                    &directive,
                    format!("{} cannot be read here; copy it, or leave it out", path.display()),
                );
                continue;
            }
            all.extend(spliced(one(&path)?, folder, deeper - 1, report)?);
        }
        report.carried(&directive);
    }
    Ok(all)
}

/// The files that an `include` means, in the order of their names; one that has no pattern in it is there, or should be.
fn included(directive: &Directive, folder: &Path) -> Vec<PathBuf> {
    let Some(word) = directive.words.first() else {
        return Vec::new();
    };
    let path = folder.join(&word.text);
    if !word.text.contains(['*', '?', '[']) {
        return vec![path];
    }
    let found = glob::glob(&path.to_string_lossy()).into_iter().flatten();
    found.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_included_stands_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "nginx.conf",
            "a;\nhttp { include b*.conf; include none/*.conf; include mime.types; }",
        );
        write("b2.conf", "c;");
        write("b1.conf", "include deep;");
        write("deep", "b;");
        let mut report = Report::default();
        let read = read(&folder.path().join("nginx.conf"), &mut report).unwrap();
        let inside: Vec<&str> = read[1]
            .block
            .iter()
            .flatten()
            .map(|directive| directive.name.as_str())
            .collect();
        assert_eq!(inside, ["b", "c"]);
        assert!(
            report.to_string().contains("mime.types cannot be read here"),
            "{report}"
        );
    }

    #[test]
    fn a_file_that_includes_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nginx.conf");
        fs::write(&path, "include nginx.conf;").unwrap();
        assert!(matches!(read(&path, &mut Report::default()), Err(ReadError::Circle(_))));
    }
}
