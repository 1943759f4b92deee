//! A configuration with all that it includes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::origin::Origin;
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

/// A configuration's directives, and the files that they were read from.
pub struct Read {
    pub directives: Vec<Directive>,
    /// Each file as it is, in the order in which they were first named.
    pub files: Vec<(PathBuf, String)>,
}

/// Reads the main file and, in place of each `include`, what it names. As Nginx does, names are relative to the folder of
/// the main file. An included file that is not there is for the report, since a file may be imported on another machine.
pub fn read(origin: &Origin, report: &mut Report) -> Result<Read, ReadError> {
    let mut reader = Reader {
        folder: origin.folder(),
        report,
        files: Vec::new(),
    };
    let main = reader.one(&origin.file)?;
    let mut directives = reader.spliced(main, DEEPEST)?;
    directives.extend(syntax::parse("-g", &origin.directives)?);
    let files = reader.files;
    origin.root(&mut directives);
    Ok(Read { directives, files })
}

struct Reader<'a> {
    folder: &'a Path,
    report: &'a mut Report,
    files: Vec<(PathBuf, String)>,
}

impl Reader<'_> {
    fn one(&mut self, path: &Path) -> Result<Vec<Directive>, ReadError> {
        let bytes = fs::read(path).map_err(|source| ReadError::File {
            path: path.to_owned(),
            source,
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let directives = syntax::parse(&path.to_string_lossy(), &text)?;
        if self.files.iter().all(|(known, _)| known != path) {
            self.files.push((path.to_owned(), text));
        }
        Ok(directives)
    }

    fn spliced(&mut self, directives: Vec<Directive>, deeper: usize) -> Result<Vec<Directive>, ReadError> {
        let mut all = Vec::new();
        for mut directive in directives {
            if directive.name != "include" || directive.block.is_some() {
                directive.block = match directive.block {
                    Some(block) => Some(self.spliced(block, deeper)?),
                    None => None,
                };
                all.push(directive);
                continue;
            }
            if deeper == 0 {
                return Err(ReadError::Circle(directive.place));
            }
            for path in included(&directive, self.folder) {
                if fs::metadata(&path).is_err() {
                    let what = format!("{} cannot be read here; copy it, or leave it out", path.display());
                    self.report.missing(&directive, what);
                    continue;
                }
                let included = self.one(&path)?;
                all.extend(self.spliced(included, deeper - 1)?);
            }
            self.report.carried(&directive);
        }
        Ok(all)
    }
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
        let read = read(&Origin::of(folder.path().join("nginx.conf")), &mut report).unwrap();
        let inside: Vec<&str> = read.directives[1]
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
        let read = read(&Origin::of(path), &mut Report::default());
        assert!(matches!(read, Err(ReadError::Circle(_))));
    }
}
