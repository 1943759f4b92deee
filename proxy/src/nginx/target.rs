//! Where `proxy_pass` sends requests, and what of their paths is written anew on the way.

use super::draft::{Draft, Map};
use super::locations::Paths;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;

/// What `proxy_pass` names.
pub struct Target {
    /// An upstream, or an address with its port.
    pub name: String,
    /// What becomes of the path; none where it stays as it was sent.
    pub rewrite: Option<Draft>,
}

impl Target {
    /// `http://NAME[URI]` in a location for these paths; nothing where the report says why it cannot be carried over.
    pub fn of(pass: &Directive, paths: &Paths, report: &mut Report) -> Option<Self> {
        let url = pass.word(0);
        let mut missing = |what: &str| {
            report.missing(pass, what);
            None
        };
        if texts::has_variables(url) {
            return missing("a server that is known with each request only; write a route for each of them");
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return missing("only plain HTTP goes to backends here; those requests are answered with 404");
        };
        if rest.starts_with("unix:") {
            return missing("let the server listen on loopback; those requests are answered with 404");
        }
        let (name, path) = name_and_path(rest);
        let rewrite = match path {
            None => None,
            Some(path) => match in_place(paths, path) {
                Ok(rewrite) => rewrite,
                Err(what) => return missing(what),
            },
        };
        report.carried(pass);
        Some(Self {
            name: name.to_owned(),
            rewrite,
        })
    }
}

/// `NAME` and `/PATH` of `NAME/PATH`.
pub fn name_and_path(url: &str) -> (&str, Option<&str>) {
    let (name, path) = url.split_at(url.find('/').unwrap_or(url.len()));
    (name, Some(path).filter(|path| !path.is_empty()))
}

/// The location's own path is replaced by that of `proxy_pass`.
fn in_place(paths: &Paths, path: &str) -> Result<Option<Draft>, &'static str> {
    let rewrite = |map: Map| Some(Draft::from(Map::default().with("rewrite", map)));
    match paths {
        Paths::Prefix(prefix) | Paths::Exact(prefix) if prefix == path => Ok(None),
        Paths::Exact(_) => Ok(rewrite(Map::default().with("to", path))),
        Paths::Prefix(prefix) => {
            let expression = format!("(?s)^{}(.*)$", texts::escaped(prefix));
            let to = format!("{path}$capture_1");
            Ok(rewrite(Map::default().with("path", expression).with("to", to)))
        }
        Paths::Regex(_) => Err("Nginx does not take a path here"),
    }
}

/// `rewrite EXPRESSION PATH break`.
pub fn rewrites(scope: &Scope, report: &mut Report) -> Vec<Draft> {
    let mut filters = Vec::new();
    for directive in scope.own_named("rewrite") {
        let to = texts::template(directive.word(1));
        match (directive.word(2), to) {
            ("break", Ok(to)) if to.starts_with('/') => {
                report.carried(directive);
                let rewrite = Map::default().with("path", directive.word(0)).with("to", to);
                filters.push(Map::default().with("rewrite", rewrite).into());
            }
            ("break", Err(variable)) => report.missing(directive, format!("{variable} is not known")),
            _ => report.missing(
                directive,
                "only `break` is known, which looks for no other location; write a route for such paths",
            ),
        }
    }
    filters
}
