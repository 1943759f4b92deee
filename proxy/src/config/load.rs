//! From a file to a configuration: reads it, and gathers all that is wrong with it.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Config, cross_references};
use crate::nginx::{self, Imported, Report};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Document, Step};

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// Nginx's, imported each time that it is read.
    Nginx(nginx::Origin),
    /// `conf/local.yaml`, built in: a proxy and two blur workers on this machine; perhaps elsewhere than it says.
    Local {
        listen: Option<SocketAddr>,
    },
}

impl Source {
    pub const LOCAL: Self = Self::Local { listen: None };

    /// Whether TERM and INT wait for no request in flight, as where Nginx's command line is obeyed.
    pub fn ends_at_once(&self) -> bool {
        matches!(self, Self::Nginx(origin) if origin.prefix.is_some())
    }

    /// What to do where an address is taken, for whom has no file to change.
    pub fn way_out(&self, error: &io::Error) -> Option<String> {
        let is_taken = error.kind() == io::ErrorKind::AddrInUse;
        (is_taken && matches!(self, Self::Local { .. })).then(|| {
            "another program listens there; `veil run --listen 127.0.0.1:8090` takes that port, and the next one for the \
             admin listener"
                .to_owned()
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Nginx(origin) => origin.fmt(f),
            Self::Local { .. } => f.write_str("the built-in configuration"),
        }
    }
}

/// Reads and checks a configuration. All mistakes come at once, in the order of the file.
pub fn load(source: &Source) -> Result<Config, Vec<Diagnostic>> {
    match load_what_can_be_read(source) {
        (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
        (_, mistakes) => Err(mistakes),
    }
}

/// The same, with what is left of the configuration without its mistakes.
pub fn load_what_can_be_read(source: &Source) -> (Option<Config>, Vec<Diagnostic>) {
    let file = source.to_string();
    match read(source) {
        Ok((text, report)) => {
            if let Some(report) = report {
                announce(source, &report);
            }
            parse_what_can_be_read(&file, &text)
        }
        Err(error) => {
            let unreadable = Diagnostic {
                file,
                place: None,
                what: error.to_string(),
                help: None,
            };
            (None, vec![unreadable])
        }
    }
}

/// Tells what became of another program's configuration.
pub fn announce(source: &Source, report: &Report) {
    tracing::info!("imported {source}: {}", report.summary());
}

/// A mistake that only showed when the configuration was put to work, with its place.
pub fn mistake(source: &Source, path: &[Step], what: String) -> Diagnostic {
    let file = source.to_string();
    let parse = |text: String| whole(&file, &text).ok();
    let document = text(source).ok().and_then(parse).map(|(document, _)| document);
    match document {
        Some(document) => document.mistake(path, what, None),
        None => Diagnostic {
            file,
            place: None,
            what,
            help: None,
        },
    }
}

/// What may well be a mistake in how the files come cross_references.
pub fn doubts(source: &Source) -> Vec<Diagnostic> {
    let Source::File(path) = source else {
        return Vec::new();
    };
    let document = fs::read_to_string(path)
        .ok()
        .and_then(|text| whole(&source.to_string(), &text).ok());
    document.map_or_else(Vec::new, |(document, _)| document.doubts().to_vec())
}

fn text(source: &Source) -> io::Result<String> {
    Ok(read(source)?.0)
}

/// The text, and what became of another program's where it was imported.
fn read(source: &Source) -> io::Result<(String, Option<Report>)> {
    match source {
        Source::Local { listen } => Ok((local(*listen), None)),
        Source::File(path) => Ok((fs::read_to_string(path)?, None)),
        Source::Nginx(origin) => {
            let Imported { yaml, report } = nginx::import(origin).map_err(io::Error::other)?;
            Ok((yaml, Some(report)))
        }
    }
}

/// The built-in configuration, listening there.
fn local(listen: Option<SocketAddr>) -> String {
    let text = include_str!("../../../conf/local.yaml");
    let Some(address) = listen else {
        return text.to_owned();
    };
    // A free port has no next one.
    let admin = match address.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(port - 1),
    };
    text.replace(LOCAL_ADDRESS, &format!("\"{address}\""))
        .replace(LOCAL_ADMIN, &format!("127.0.0.1:{admin}"))
}

/// As `conf/local.yaml` has them.
const LOCAL_ADDRESS: &str = "127.0.0.1:8080";
const LOCAL_ADMIN: &str = "127.0.0.1:8081";

/// Reads and checks the text of a configuration; `file` is what the mistakes are shown with.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
    match parse_what_can_be_read(file, text) {
        (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
        (_, mistakes) => Err(mistakes),
    }
}

fn parse_what_can_be_read(file: &str, text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    if let Some(mistake) = of_nginx(file, text) {
        return (None, vec![mistake]);
    }
    let (mut document, mut mistakes) = match whole(file, text) {
        Ok(whole) => whole,
        Err(mistake) => return (None, vec![mistake]),
    };
    let pool_names = keys(&document, "pools");
    mistakes.extend(document.interpolate(|name| env::var(name).ok()));
    let (mut config, more) = document.read::<Config>();
    mistakes.extend(more);
    for (at, name) in config.iter_mut().flat_map(Config::file_names) {
        *name = document.folder(&at).join(&*name);
    }
    if let Some(config) = &config {
        mistakes.extend(cross_references::mistakes(config, &document, &pool_names));
    }
    mistakes.sort_by_cached_key(|mistake| document.rank(mistake));
    (config, mistakes)
}

/// Whether it is no YAML at all, but a configuration of Nginx's.
fn of_nginx(file: &str, text: &str) -> Option<Diagnostic> {
    let begins_block = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], ["http" | "events" | "server" | "stream", "{", ..])
    };
    let line = text.lines().position(begins_block)?;
    Some(Diagnostic {
        file: file.to_owned(),
        place: Some((line + 1, 1)),
        what: "this is a configuration of Nginx's".to_owned(),
        help: Some(
            "veil import nginx FILE -o veil.yaml writes it as Veil's, and veil run --nginx FILE runs it".to_owned(),
        ),
    })
}

/// The file with those that it includes, and what is wrong with how they come cross_references.
fn whole(file: &str, text: &str) -> Result<(Document, Vec<Diagnostic>), Diagnostic> {
    let mut document = Document::parse(file, text)?;
    let mistakes = document.include(|name| env::var(name).ok());
    Ok((document, mistakes))
}

fn keys(document: &Document, section: &str) -> Vec<String> {
    let section = document.root().get(section).and_then(|section| section.as_mapping());
    section
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| name.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_embedded_configuration_is_good() {
        let config = load(&Source::LOCAL).unwrap();
        assert_eq!(config.pools["blur"].spawn.as_ref().unwrap().workers, 2);
        assert!(config.routes.iter().any(|route| route.idempotent));
    }

    #[test]
    fn the_built_in_configuration_listens_where_it_is_told() {
        for (listen, admin) in [("127.0.0.2:8090", 8091), ("[::1]:0", 0), ("0.0.0.0:65535", 65534)] {
            let listen = listen.parse().unwrap();
            let config = load(&Source::Local { listen: Some(listen) }).unwrap();
            let public: Vec<_> = config.listeners["public"].address.iter().collect();
            assert_eq!(public.iter().map(|at| at.inet()).collect::<Vec<_>>(), [Some(listen)]);
            let local = SocketAddr::from(([127, 0, 0, 1], admin));
            assert_eq!(config.admin.unwrap().address, local.into());
        }
    }

    #[test]
    fn the_articles_configuration_is_good() {
        let config = parse("article.yaml", include_str!("../../../conf/examples/article.yaml")).unwrap();
        let backends = &config.pools["blur"].backends;
        assert_eq!(
            backends.iter().map(|backend| backend.weight).collect::<Vec<_>>(),
            [3, 3, 1]
        );
        assert!(backends[2].backup);
    }

    #[test]
    fn a_missing_file_is_a_mistake_with_its_name() {
        let mistakes = load(&Source::File("no/such.yaml".into())).unwrap_err();
        assert!(
            mistakes[0].to_string().starts_with("no/such.yaml: No such file"),
            "{}",
            mistakes[0]
        );
    }

    #[test]
    fn all_mistakes_come_at_once_in_the_order_of_the_file() {
        let text = "\
version: 1
listeners:
  public: { adress: 0.0.0.0:80 }
routes:
  - match: { path_prefix: / }
    pool: blurr
pools:
  blur:
    select: { ketamma: {} }
    backends:
      - { address: 10.0.0.1:5000, weight: many }
      - { address: 10.0.0.1:5000 }
";
        let mistakes = parse("x.yaml", text).unwrap_err();
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let places: Vec<&str> = shown.iter().map(|text| &text[..text.find(": ").unwrap()]).collect();
        assert_eq!(
            places,
            ["x.yaml:3:13", "x.yaml:6:11", "x.yaml:9:15", "x.yaml:11:43"],
            "{shown:#?}"
        );
    }
}
