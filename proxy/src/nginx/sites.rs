//! `root`, `alias`, `index` and `try_files`: files of folders.

use super::draft::{Draft, Map};
use super::paths::{self, Paths};
use super::policies::{compression, filter, here};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;

/// The files that a place serves, which clients reach by a port; none where it serves none, or none that are known.
pub fn files(scope: &Scope, paths: &Paths, port: u16, report: &mut Report) -> Option<Vec<Draft>> {
    let said = scope.all_of(&["alias", "root"]).pop()?;
    let try_files = scope.own_named("try_files").next();
    let folder = match said.name.as_str() {
        "alias" => alias(said, scope, (paths, try_files.is_some()), report),
        _ => root(said, report),
    };
    let mut settings = match folder {
        Ok(settings) => settings,
        Err(why) => {
            report.missing(said, format!("{why}; those requests are answered with 404"));
            return None;
        }
    };
    if !report.knows(said) {
        report.carried(said);
    }
    if let Some(directive) = scope.one("default_type") {
        report.changed(directive, "files are what Veil knows by the ends of their names");
    }
    // Nginx looks for a folder with each request.
    settings.put("may_be_absent", true);
    let here = here(scope, port, report);
    if !here.is_empty() {
        settings.put("origin", here);
    }
    settings.put_some("index", index(scope, report));
    let mut behind = None;
    if let Some(try_files) = try_files {
        let tried = tried(try_files, said, report);
        // What stands for one path is there under its own name alone.
        if !settings.has("try") {
            settings.put("try", tried);
        }
        behind = fallback(try_files, report);
    }
    if behind.is_some() {
        settings.put("pass_on", true);
    }
    if let Some(directive) = scope.one("gzip_static").filter(|directive| directive.word(0) == "on") {
        report.carried(directive);
        settings.put("precompressed", true);
    }
    let mut filters: Vec<Draft> = compression(scope, report).into_iter().collect();
    filters.push(filter("files", settings));
    filters.extend(behind);
    Some(filters)
}

/// A folder, or the part of it that is the same for all requests and one below that for each.
fn root(said: &Directive, report: &Report) -> Result<Map, String> {
    let folder = report.words.with_constants(said.word(0));
    if !texts::has_variables(&folder) {
        return Ok(Map::default().with("root", folder));
    }
    let (folder, within) = apart(&folder)?;
    Ok(Map::default()
        .with("root", folder)
        .with("within", template(within, report)?))
}

/// What stands in the place of a location's path.
fn alias(
    said: &Directive,
    scope: &Scope,
    (paths, is_tried): (&Paths, bool),
    report: &mut Report,
) -> Result<Map, String> {
    let text = report.words.with_constants(said.word(0));
    let is_own = scope.own().iter().any(|own| std::ptr::eq(own, said));
    let around = scope.holder(said).filter(|_| !is_own);
    let around = around.map(|holder| paths::paths(holder, false)).transpose()?;
    match around.as_ref().unwrap_or(paths) {
        _ if texts::has_variables(&text) && is_tried => Err("variables, and other files that are tried".to_owned()),
        Paths::Regex(_) if is_tried => Ok(Map::default().with("root", text)),
        Paths::Prefix(_) | Paths::Firm(_) if texts::has_variables(&text) => Err("an alias with variables".to_owned()),
        Paths::Prefix(prefix) | Paths::Firm(prefix) if is_file(prefix, &text) => {
            report.changed(said, "it is that file alone, whatever follows the location's path");
            one_file(&text, report)
        }
        Paths::Prefix(prefix) | Paths::Firm(prefix) => {
            let mut settings = Map::default().with("root", &*text);
            settings.put_some("under", Some(prefix.as_str()).filter(|prefix| prefix.len() > 1));
            Ok(settings)
        }
        Paths::Exact(_) | Paths::Regex(_) if text.ends_with('/') => Err("a folder in the place of one path".to_owned()),
        Paths::Exact(_) | Paths::Regex(_) => one_file(&text, report),
    }
}

/// Whether a prefix stands for a file: neither that nor its name looks like a folder's.
fn is_file(prefix: &str, alias: &str) -> bool {
    let name = alias.rsplit('/').next().unwrap_or_default();
    !prefix.ends_with('/') && name.contains('.')
}

fn one_file(path: &str, report: &Report) -> Result<Map, String> {
    let (folder, name) = apart(path)?;
    let tried = vec![format!("/{}", template(name, report)?)];
    Ok(Map::default().with("root", folder).with("try", tried))
}

/// The folder before the first name with variables, or before the last name, and what follows it.
fn apart(path: &str) -> Result<(&str, &str), String> {
    let plain = path.split('$').next().unwrap_or_default();
    match plain.rfind('/') {
        Some(slash) => Ok((&path[..=slash], &path[slash + 1..])),
        None => Err("a folder that is known with each request only".to_owned()),
    }
}

fn template(text: &str, report: &Report) -> Result<String, String> {
    let template = report.words.template(text);
    template.map_err(|variable| format!("{variable} is not known"))
}

fn index(scope: &Scope, report: &mut Report) -> Option<String> {
    let index = scope.one("index")?;
    match index.words.len() {
        1 => report.carried(index),
        _ => report.changed(index, "the first of them stands for a folder"),
    }
    let name = template(index.word(0), report);
    name.map_err(|why| report.missing(index, format!("{why}; index.html stands for a folder")))
        .ok()
}

/// What `try_files` looks for: all but the last.
fn tried(try_files: &Directive, said: &Directive, report: &mut Report) -> Vec<String> {
    report.carried(try_files);
    let all = try_files.words.split_last().map_or(&[][..], |(_, files)| files);
    let mut tried = Vec::new();
    for file in all.iter().map(|word| word.text.as_str()) {
        match template(file, report) {
            Ok(path) if path.starts_with(['/', '$']) || said.name == "alias" => tried.push(path),
            Ok(_) => report.missing(
                try_files,
                format!("{file} has no slash before it; it is not looked for"),
            ),
            Err(why) => report.missing(try_files, format!("{why}; it is not looked for")),
        }
    }
    tried
}

/// What `try_files` does with what is not there; nothing where that is 404.
fn fallback(try_files: &Directive, report: &mut Report) -> Option<Draft> {
    let last = &try_files.words.last()?.text;
    if let Some(status) = last.strip_prefix('=') {
        let status = status.parse::<u16>().ok().filter(|status| *status != 404)?;
        return Some(filter("respond", Map::default().with("status", status)));
    }
    if last.starts_with('@') {
        let to = report.words.route(last);
        return Some(filter("reroute", Map::default().with("to", to)));
    }
    match template(last, report) {
        Ok(to) if to.starts_with(['/', '$']) => {
            let to = Map::default().with("to", to).with("then", "search");
            Some(filter("rewrite", to))
        }
        _ => {
            report.missing(try_files, "where it leads to at last is not known; that is 404");
            None
        }
    }
}

/// Whether a directive says who answers, in a way that is not known: what lies in a folder is none of it, such as programs' source.
pub fn is_content(name: &str) -> bool {
    let is_pass = name.ends_with("_pass") && !matches!(name, "proxy_pass" | "grpc_pass");
    is_pass || name.starts_with("content_by_lua") || matches!(name, "js_content" | "perl" | "passenger_enabled")
}

/// Whether a location is there for `auth_request` within this block.
pub fn asks_for_leave(block: &Directive, location: &Directive) -> bool {
    let path = location.words.last().map(|word| word.text.as_str());
    block.block.iter().flatten().any(|directive| {
        directive.name == "auth_request" && Some(directive.word(0)) == path || asks_for_leave(directive, location)
    })
}

pub const STUB_STATUS: &str = "Active connections: $connections_active \nserver accepts handled requests\n \
     $connections_accepted $connections_accepted $connections_requests \nReading: $connections_reading \
     Writing: $connections_writing Waiting: $connections_waiting \n";
