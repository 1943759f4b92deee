//! `set`, `if`, `rewrite`, `return` and `break`, which Nginx does in their order before all else, become filters.

use super::draft::{Draft, Map};
use super::fields;
use super::limits;
use super::policies::{self, filter};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;
use crate::script::Program;

/// The filters of a block.
#[derive(Default)]
pub struct Rules {
    pub filters: Vec<Draft>,
    /// Whether no request gets past them.
    pub answer: bool,
}

/// Where rules stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// They hold before a location is found, and only then.
    Server,
    Location,
}

/// The rules of a block, or all that stand there until one always answers.
pub fn rules(scope: &Scope, level: Level, port: u16, report: &mut Report) -> Rules {
    let here = policies::here(scope, port, report);
    let mut writer = Writer {
        level,
        here,
        content_type: policies::content_type(scope),
        report,
        rules: Rules::default(),
        unless: Vec::new(),
        is_open: false,
    };
    writer.block(scope.own(), None);
    if writer.is_open {
        let conditions = writer.unless.clone();
        writer.push(filter("reroute", Map::default()), &conditions);
    }
    writer.rules
}

/// Whether a block has any.
pub fn has_any(own: &[Directive]) -> bool {
    own.iter()
        .any(|directive| matches!(directive.name.as_str(), "set" | "if" | "rewrite" | "return" | "break"))
}

struct Writer<'r> {
    level: Level,
    /// What a redirect's path comes behind.
    here: String,
    /// Of texts that are answered with.
    content_type: String,
    report: &'r mut Report,
    rules: Rules,
    /// What has to hold so that nothing before has ended the rules.
    unless: Vec<String>,
    /// Whether a path may have been rewritten without a search yet.
    is_open: bool,
}

impl Writer<'_> {
    /// Whether the rules end here, whatever the request.
    fn block(&mut self, own: &[Directive], condition: Option<&str>) {
        for (place, directive) in own.iter().enumerate() {
            let mut conditions = self.unless.clone();
            conditions.extend(condition.map(str::to_owned));
            let is_last = condition.is_none() && !has_any(&own[place + 1..]);
            let ends = match directive.name.as_str() {
                "set" => self.set(directive, &conditions),
                "rewrite" => self.rewrite(directive, &conditions, is_last),
                "return" => self.answer(directive, &conditions),
                "if" if condition.is_none() => self.branch(directive),
                "break" => {
                    self.report.carried(directive);
                    condition.is_none() || self.ended(directive, &conditions)
                }
                name if condition.is_some() => {
                    self.unsafe_in_if(directive, name, &conditions);
                    false
                }
                _ => false,
            };
            if ends {
                return;
            }
        }
    }

    fn push(&mut self, filter: Draft, conditions: &[String]) {
        let filter = match (filter, conditions) {
            (Draft::Map(map), [_, ..]) => map.with("when", conditions.join(" && ")).into(),
            (filter, _) => filter,
        };
        self.rules.filters.push(filter);
    }

    /// Notes that no rule behind is to be looked at.
    fn ended(&mut self, directive: &Directive, conditions: &[String]) -> bool {
        let name = format!("ended_{}", directive.place.line);
        let set = Map::default().with(&name, "1");
        self.push(filter("note", Map::default().with("set", set)), conditions);
        self.unless.push(format!("noted({name:?}) == \"\""));
        false
    }

    fn set(&mut self, directive: &Directive, conditions: &[String]) -> bool {
        let name = directive.word(0).trim_start_matches('$');
        match self.report.words.template(directive.word(1)) {
            Ok(value) => {
                self.report.carried(directive);
                let set = Map::default().with(name, value);
                self.push(filter("note", Map::default().with("set", set)), conditions);
            }
            Err(variable) => {
                self.report.missing(
                    directive,
                    format!("{variable} is not known; those requests are answered with 403"),
                );
                self.push(policies::closed(), conditions);
            }
        }
        false
    }

    fn answer(&mut self, directive: &Directive, conditions: &[String]) -> bool {
        let answer = policies::answer(directive, (&self.here, &self.content_type), self.report);
        let answer = answer.unwrap_or_else(|| filter("respond", Map::default().with("status", 404_u16)));
        self.push(answer, conditions);
        self.rules.answer |= conditions.is_empty();
        conditions.is_empty()
    }

    fn rewrite(&mut self, directive: &Directive, conditions: &[String], is_last: bool) -> bool {
        let (expression, to, flag) = (directive.word(0), directive.word(1), directive.word(2));
        let template = self.report.words.template(to);
        let to = match (template, known(expression)) {
            (Ok(to), Ok(())) => to,
            (Err(variable), _) => {
                self.report.missing(
                    directive,
                    format!("{variable} is not known; such paths stay as they are"),
                );
                return false;
            }
            (_, Err(why)) => {
                self.report
                    .missing(directive, format!("{why}; such paths stay as they are"));
                return false;
            }
        };
        let is_url = ["http://", "https://", "$scheme"]
            .iter()
            .any(|begin| to.starts_with(begin));
        let then = match (flag, is_url, self.level) {
            ("permanent", ..) => "redirect_for_good",
            ("redirect", ..) | (_, true, _) => "redirect",
            // The location is found by the path that the server's rules have made.
            ("last", ..) | ("break", _, Level::Server) => "search",
            ("break", ..) => "go_on",
            _ if is_last => "search",
            _ => "go_on",
        };
        self.report.carried(directive);
        let to = match (then, to.starts_with('/')) {
            ("redirect" | "redirect_for_good", true) => format!("{}{to}", self.here),
            _ => to,
        };
        let mut settings = Map::default();
        let is_any = matches!(expression, "^" | ".*" | "^.*" | "^.*$" | "^/" | "/" | ".");
        if !is_any {
            settings.put("path", expression);
        }
        match to.strip_suffix('?') {
            Some(bare) if bare.contains('?') => settings.put("to", bare),
            Some(_) => settings.put("to", to),
            None => {
                let has_query = to.contains('?');
                settings.put("to", to);
                if has_query {
                    settings.put("keep_query", true);
                }
            }
        }
        if then != "go_on" {
            settings.put("then", then);
        }
        if self.level == Level::Server {
            settings.put("once", true);
        }
        let ends_rules = flag == "break" && then == "go_on" && !is_last;
        let name = format!("ended_{}", directive.place.line);
        if ends_rules {
            settings.put("note", name.as_str());
        }
        self.push(filter("rewrite", settings), conditions);
        if ends_rules {
            self.unless.push(format!("noted({name:?}) == \"\""));
        }
        self.is_open |= then == "go_on" && flag.is_empty();
        let is_certain = is_any && conditions.is_empty() && self.level == Level::Location;
        self.rules.answer |= is_certain && then != "go_on";
        is_certain && then != "go_on"
    }

    fn branch(&mut self, directive: &Directive) -> bool {
        let inner = directive.block.as_deref().unwrap_or_default();
        let condition = match condition(directive, self.report) {
            Ok(condition) => condition,
            Err(why) => {
                self.report.missing(
                    directive,
                    format!("{why}; until it is replaced, those requests are answered with 403"),
                );
                self.push(policies::closed(), &self.unless.clone());
                return false;
            }
        };
        self.report.carried(directive);
        let Condition { holds, groups_of } = condition;
        let mut holds = holds;
        let rules = inner
            .iter()
            .filter(|inner| has_any(std::slice::from_ref(*inner)))
            .count();
        if let Some((of, regex)) = groups_of {
            let note = Map::default().with("of", of).with("regex", regex);
            let mut conditions = self.unless.clone();
            conditions.push(holds.clone());
            self.push(filter("note", note), &conditions);
        }
        if rules > 1 {
            // What is done may change what was asked.
            let name = format!("if_{}", directive.place.line);
            let mut conditions = self.unless.clone();
            conditions.push(holds);
            let set = Map::default().with(&name, "1");
            self.push(filter("note", Map::default().with("set", set)), &conditions);
            holds = format!("noted({name:?}) == \"1\"");
        }
        self.block(inner, Some(&holds));
        false
    }

    /// What `if` should better not have in it.
    fn unsafe_in_if(&mut self, directive: &Directive, name: &str, conditions: &[String]) {
        let made = match name {
            "deny" | "allow" => policies::access(&Scope::of(std::slice::from_ref(directive)), self.report),
            "add_header" => {
                let scope = Scope::of(std::slice::from_ref(directive));
                let mut made = fields::response_headers(&scope, self.report);
                self.report.changed(
                    directive,
                    "beside what add_header says outside of the if, not in place of it",
                );
                made.pop()
            }
            "limit_rate" => {
                let scope = Scope::of(std::slice::from_ref(directive));
                limits::bandwidth(&scope, self.report)
            }
            "access_log" => {
                self.report.changed(directive, "all requests are logged in one place");
                return;
            }
            _ => {
                self.report.missing(
                    directive,
                    "it is not known in an if; those requests are answered with 403",
                );
                Some(policies::closed())
            }
        };
        if let Some(made) = made {
            self.push(made, conditions);
        }
    }
}

struct Condition {
    /// In Rhai.
    holds: String,
    /// The text and the regular expression whose groups the block names.
    groups_of: Option<(String, String)>,
}

/// `($name)`, `($name = text)`, `($name ~ expression)` and their opposites.
fn condition(directive: &Directive, report: &Report) -> Result<Condition, String> {
    let words: Vec<&str> = directive.texts().collect();
    let text = words.join(" ");
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    // A quote ends a word, so that the bracket behind it is one of its own.
    let mut parts: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    if let Some(first) = parts.first_mut() {
        *first = first.strip_prefix('(').unwrap_or(first).to_owned();
    }
    match parts.last_mut() {
        Some(last) if last == ")" => drop(parts.pop()),
        Some(last) => *last = last.strip_suffix(')').unwrap_or(last).to_owned(),
        None => {}
    }
    if parts.first().is_some_and(String::is_empty) {
        parts.remove(0);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let plain = |holds| Ok(Condition { holds, groups_of: None });
    match parts.as_slice() {
        _ if inner.is_none() => Err("it has no condition".to_owned()),
        [name] if name.starts_with('$') => plain(is_something(name, report)?),
        [name, "=", text] => plain(compared(name, "==", text, report)?),
        [name, "!=", text] => plain(compared(name, "!=", text, report)?),
        [name, operator @ ("~" | "~*" | "!~" | "!~*"), expression] => {
            let expression = match operator.ends_with('*') {
                true => format!("(?i){expression}"),
                false => (*expression).to_owned(),
            };
            known(&expression)?;
            let not = if operator.starts_with('!') { "!" } else { "" };
            let of = report.words.template(name).map_err(unknown)?;
            let wants_groups = not.is_empty() && expression.contains('(');
            Ok(Condition {
                holds: format!("{not}matches({}, {})", rhai(name, report)?, quoted(&expression)),
                groups_of: wants_groups.then_some((of, expression)),
            })
        }
        ["-f" | "!-f" | "-d" | "!-d" | "-e" | "!-e" | "-x" | "!-x", _] => {
            Err("files are not asked for here".to_owned())
        }
        _ => Err("its condition is not known".to_owned()),
    }
}

/// Whether a variable is neither empty nor `0`, in Rhai.
///
/// # Errors
/// It is not known.
pub fn is_something(name: &str, report: &Report) -> Result<String, String> {
    let (empty, zero) = (compared(name, "!=", "", report)?, compared(name, "!=", "0", report)?);
    Ok(format!("{empty} && {zero}"))
}

/// As a condition of Veil's own if it may hold; one that never does is a mistake there, and none in Nginx.
fn compared(name: &str, operator: &str, text: &str, report: &Report) -> Result<String, String> {
    let holds = format!("{} {operator} {}", rhai(name, report)?, rhai(text, report)?);
    if Program::condition(&holds).is_ok() {
        return Ok(holds);
    }
    let filled = |text: &str| match texts::has_variables(text) {
        true => report
            .words
            .template(text)
            .map(|template| format!("filled({})", quoted(&template)))
            .map_err(unknown),
        false => Ok(quoted(text)),
    };
    Ok(format!("{} {operator} {}", filled(name)?, filled(text)?))
}

/// A text with variables, as conditions have it.
fn rhai(text: &str, report: &Report) -> Result<String, String> {
    if !texts::has_variables(text) {
        return Ok(quoted(text));
    }
    let template = report.words.template(text).map_err(unknown)?;
    let name = template.strip_prefix('$').unwrap_or_default();
    Ok(match name {
        "method" | "host" | "scheme" | "path" | "query" | "request_uri" | "authority" => name.to_owned(),
        name => match (name.strip_prefix("note_"), name.strip_prefix("header_")) {
            (Some(note), _) if is_name(note) => format!("noted({note:?})"),
            (_, Some(header)) if is_name(header) => format!("header({:?})", header.replace('_', "-")),
            _ => format!("filled({})", quoted(&template)),
        },
    })
}

/// A text as Rhai has it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn unknown(variable: String) -> String {
    format!("{variable} is not known")
}

/// Whether Veil reads a regular expression as Nginx does.
///
/// # Errors
/// It has what costs more time than it has text.
pub fn known(expression: &str) -> Result<(), String> {
    let read = regex::Regex::new(expression);
    read.map(drop)
        .map_err(|_| format!("{expression:?} is no regular expression of Veil's"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    fn holds(text: &str) -> Result<String, String> {
        let directives = parse("x", &format!("if {text} {{ }}")).unwrap();
        condition(&directives[0], &Report::default()).map(|condition| condition.holds)
    }

    #[test]
    fn conditions_are_rhai() {
        for (text, is) in [
            ("($request_method = POST)", r#"method == "POST""#),
            ("($request_method = \"POST\")", r#"method == "POST""#),
            ("( $http_x_a )", r#"header("x-a") != "" && header("x-a") != "0""#),
            ("($arg_a != b)", r#"filled("$query_a") != "b""#),
            ("($host ~ ^www\\.)", r#"matches(host, "^www\\.")"#),
            ("($host !~* a$)", r#"!matches(host, "(?i)a$")"#),
            ("($host = \"\")", r#"host == """#),
            ("($request_method = post)", r#"filled("$method") == "post""#),
            ("($scheme != HTTPS)", r#"filled("$scheme") != "HTTPS""#),
            ("($host = A.test)", r#"filled("$host") == "A.test""#),
            ("($uri)", r#"filled("$path") != "" && filled("$path") != "0""#),
            ("($host = \u{200b}\u{7})", "host == \"\u{200b}\\u0007\""),
        ] {
            assert_eq!(holds(text).as_deref(), Ok(is), "{text}");
            assert!(Program::condition(is).is_ok(), "{text}");
        }
        for text in ["(-f $request_filename)", "($host ~ (?=a))", "($nothing)", "(a", ""] {
            assert!(holds(text).is_err(), "{text}");
        }
    }
}
