//! `access_log` and `log_format`.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use super::draft::Map;
use super::report::Report;
use super::scope::Scope;
use super::servers::Server;
use super::syntax::Directive;
use super::texts;
use crate::observe::access_log::Format;

/// Where all requests are logged: as the `http` block says, or else as the first server that does.
pub fn access_log(http: &Scope, servers: &[Server], report: &mut Report) -> Option<Map> {
    let of_servers = servers.iter().map(|server| &server.scope);
    let said = [http].into_iter().chain(of_servers).find_map(|scope| {
        let all = scope.all("access_log");
        all.into_iter().find(|log| log.word(0) != "off")
    });
    let Some(directive) = said else {
        let off = http.one("access_log")?;
        report.carried(off);
        return Some(Map::default().with("to", "off"));
    };
    let Some(to) = destination(directive.word(0)) else {
        report.missing(directive, "it goes to a file, or to syslog; here to stderr");
        return None;
    };
    let mut log = Map::default().with("to", to);
    put_format(&mut log, directive, http, report);
    if directive.texts().any(|word| word.starts_with("if=")) {
        report.changed(directive, "all requests are logged, whatever if= says");
    }
    report.carried(directive);
    Some(log)
}

/// Whether a place's requests are not logged at all.
pub fn is_off(scope: &Scope, report: &mut Report) -> bool {
    match scope.one("access_log").filter(|log| log.word(0) == "off") {
        Some(off) => {
            report.carried(off);
            true
        }
        None => false,
    }
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
    let text: String = words.collect();
    match known(&text) {
        Ok(()) => {
            log.put("format", text);
            match format.word(1) {
                "escape=json" | "escape=none" => {
                    report.changed(format, "what is escaped is escaped as escape=default does")
                }
                _ => report.carried(format),
            }
        }
        Err(why) => report.missing(format, format!("each line is a JSON object, since of the format {why}")),
    }
}

const COMBINED: &str = "combined";

fn known(format: &str) -> Result<(), Error> {
    let words: StrDeserializer<'_, Error> = format.into_deserializer();
    Format::deserialize(words).map(drop)
}
