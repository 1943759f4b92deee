//! Where a configuration of Nginx's lies, and what Nginx's command line adds to it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::syntax::Directive;
use super::version::Version;

/// A configuration of Nginx's, to be read each time that it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The main file. Nginx: `-c`.
    pub file: PathBuf,
    /// The folder that names in the configuration are relative to where Nginx runs it. Nginx: `-p`.
    pub prefix: Option<PathBuf>,
    /// Directives outside of any block, which come last. Nginx: `-g`.
    pub directives: String,
    /// What it was written for.
    pub version: Version,
}

/// Names in these are relative to the prefix; in all others, to the main file's folder.
const UNDER_PREFIX: [&str; 5] = ["access_log", "alias", "error_log", "pid", "root"];
const BESIDE_MAIN: [&str; 7] = [
    "auth_basic_user_file",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
];

impl Origin {
    /// A file alone.
    pub fn of(file: PathBuf) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    /// The main file's.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// What `veil run` has to be told of it.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--nginx".into(), self.file.clone().into()];
        if let Some(prefix) = &self.prefix {
            arguments.extend(["--nginx-prefix".into(), prefix.clone().into()]);
        }
        if !self.directives.is_empty() {
            arguments.extend(["--nginx-directives".into(), self.directives.clone().into()]);
        }
        if self.version != Version::NEWEST {
            arguments.extend(["--nginx-version".into(), self.version.to_string().into()]);
        }
        arguments
    }

    /// Makes names of files whole, if it is known where Nginx would have looked.
    pub(super) fn root(&self, directives: &mut [Directive]) {
        let Some(prefix) = &self.prefix else {
            return;
        };
        for directive in directives {
            let folder = match directive.name.as_str() {
                name if UNDER_PREFIX.contains(&name) => Some(prefix.as_path()),
                name if BESIDE_MAIN.contains(&name) => Some(self.folder()),
                _ => None,
            };
            if let (Some(folder), Some(word)) = (folder, directive.words.first_mut())
                && (is_name_of_file(&word.text)
                    || directive.name == "auth_basic_user_file" && word.text.starts_with('$'))
            {
                word.text = folder.join(&word.text).to_string_lossy().into_owned();
            }
            self.root(directive.block.as_deref_mut().unwrap_or_default());
        }
    }
}

fn is_name_of_file(word: &str) -> bool {
    !matches!(word, "" | "off" | "stderr") && !word.contains(':') && !word.starts_with(['$', '/'])
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    #[test]
    fn names_of_files_are_relative_to_what_nginx_takes_them_for() {
        let origin = Origin {
            file: "/c/nginx.conf".into(),
            prefix: Some("/p".into()),
            ..Origin::default()
        };
        let text = "pid x; http { access_log off; server { root html; ssl_certificate a.pem; access_log /x; error_log stderr; } }";
        let mut directives = parse("x", text).unwrap();
        origin.root(&mut directives);
        let shown: Vec<String> = directives[1].block.as_ref().unwrap()[1]
            .block
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        let wanted = [
            "root /p/html",
            "ssl_certificate /c/a.pem",
            "access_log /x",
            "error_log stderr",
        ];
        assert_eq!(
            (directives[0].to_string().as_str(), shown.as_slice()),
            ("pid /p/x", &wanted.map(String::from)[..])
        );
    }
}
