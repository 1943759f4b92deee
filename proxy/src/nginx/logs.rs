//! `access_log` and `log_format`.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use super::conditions;
use super::draft::{Draft, Map};
use super::report::Report;
use super::scope::Scope;
use super::servers::Server;
use super::syntax::Directive;
use super::texts::{self, Words};
use crate::observe::access_log::Format;

/// What says where all requests are logged: the `http` block, or else the first server that does.
pub fn main<'a>(http: &Scope<'a>, servers: &[Server<'a>]) -> Option<&'a Directive> {
    let of_servers = servers.iter().map(|server| &server.scope);
    let mut scopes = [http].into_iter().chain(of_servers);
    let said = scopes.find_map(|scope| scope.all("access_log").into_iter().find(|log| log.word(0) != "off"));
    said.or_else(|| http.one("access_log"))
}

/// Where all requests are logged.
pub fn access_log(main: Option<&Directive>, http: &Scope, report: &mut Report) -> Option<Map> {
    log(main?, http, report)
}

/// Where requests of a place are logged; none where that is where all are.
pub fn of_place(scope: &Scope, main: Option<&Directive>, http: &Scope, report: &mut Report) -> Option<Draft> {
    let said = scope.all("access_log");
    let is_main = |log: &&Directive| main.is_some_and(|main| main.place == log.place);
    if said.iter().all(is_main) {
        return None;
    }
    if let Some(off) = said.iter().find(|log| log.word(0) == "off") {
        report.carried(off);
        return Some("off".into());
    }
    let mut logs: Vec<Map> = said.iter().filter_map(|said| log(said, http, report)).collect();
    match logs.len() {
        0 => None,
        1 => logs.pop().map(Draft::from),
        _ => Some(logs.into()),
    }
}

fn log(directive: &Directive, http: &Scope, report: &mut Report) -> Option<Map> {
    if directive.word(0) == "off" {
        report.carried(directive);
        return Some(Map::default().with("to", "off"));
    }
    let Some(to) = destination(directive.word(0)) else {
        report.missing(directive, "it goes to a file, or to syslog; here where all others go");
        return None;
    };
    let mut log = Map::default().with("to", to);
    put_format(&mut log, directive, http, report);
    match directive
        .texts()
        .find_map(|word| word.strip_prefix("if="))
        .map(|name| conditions::is_something(name, report))
    {
        None => report.carried(directive),
        Some(Ok(holds)) => {
            report.carried(directive);
            log.put("when", holds);
        }
        Some(Err(why)) => report.missing(directive, format!("{why}; all requests are logged")),
    }
    Some(log)
}

/// A file, or `syslog:server=10.0.0.1:514,facility=local7`, or `syslog:server=unix:/dev/log`.
fn destination(word: &str) -> Option<String> {
    let Some(options) = word.strip_prefix("syslog:") else {
        return (!texts::has_variables(word)).then(|| word.to_owned());
    };
    let server = options.split(',').find_map(|option| option.strip_prefix("server="))?;
    Some(match server.strip_prefix("unix:") {
        Some(path) => format!("syslog:unix:{path}"),
        None if server.contains(':') => format!("syslog:udp:{server}"),
        None => format!("syslog:udp:{server}:514"),
    })
}

/// The words of the `log_format` that it names, `combined` where it names none.
fn put_format(log: &mut Map, directive: &Directive, http: &Scope, report: &mut Report) {
    let name = Some(directive.word(1)).filter(|name| !name.is_empty() && !name.contains('='));
    let name = name.unwrap_or(COMBINED);
    if name == COMBINED {
        return log.put("format", COMBINED);
    }
    let Some(format) = http.own_named("log_format").find(|format| format.word(0) == name) else {
        return report.missing(
            directive,
            format!("there is no log_format {name:?}: each line is a JSON object"),
        );
    };
    let words = format.texts().skip(1).filter(|word| !word.starts_with("escape="));
    let text = words.collect::<String>();
    let unknown = report
        .words
        .unknown_in(&text, |name| known(&format!("${name}")).is_ok());
    let text = report.words.in_log_format(&Words::without(&text, &unknown));
    if let Err(why) = known(&text) {
        return report.missing(format, format!("each line is a JSON object, since of the format {why}"));
    }
    log.put("format", text);
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("${name}")).collect();
        let names = names.join(", ");
        report.missing(
            format,
            format!("a dash stands in the place of {names}, for which there is nothing"),
        );
    }
    match format.word(1) {
        "escape=json" | "escape=none" => report.changed(format, "what is escaped is escaped as escape=default does"),
        _ => report.carried(format),
    }
}

const COMBINED: &str = "combined";

fn known(format: &str) -> Result<(), Error> {
    let words: StrDeserializer<'_, Error> = format.into_deserializer();
    Format::deserialize(words).map(drop)
}
