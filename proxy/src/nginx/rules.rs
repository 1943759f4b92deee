//! `set`, `if`, `rewrite`, `return` and `break`, which Nginx does in their order before all else, become filters.

use super::conditions::{Condition, condition, known};
use super::draft::{Draft, Map};
use super::fields;
use super::limits;
use super::policies::{self, Place, filter};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;

/// The filters of a block.
#[derive(Default)]
pub struct Rules {
    pub filters: Vec<Draft>,
    /// Whether no request gets past them.
    pub answer: bool,
    /// When answers have other fields than those that the block says outside of any `if`.
    pub own_fields: Vec<String>,
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
    let place = Place::of(scope, port, report);
    let mut writer = Writer {
        level,
        place,
        report,
        rules: Rules::default(),
        unless: Vec::new(),
        is_open: false,
        ifs: scope.own_named("if").count(),
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
    place: Place,
    report: &'r mut Report,
    rules: Rules,
    /// What has to hold so that nothing before has ended the rules.
    unless: Vec<String>,
    /// Whether a path may have been rewritten without a search yet.
    is_open: bool,
    /// How many of them the block has.
    ifs: usize,
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
        let answer = policies::answer(directive, &self.place, self.report);
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
        // A group that begins where the path does begins with its slash.
        let of_beginning = ["(.*", "(.+", "(/"]
            .iter()
            .any(|begin| expression.trim_start_matches('^').starts_with(begin));
        let is_path = to.starts_with('/')
            || of_beginning && ["$capture_1", "$(capture_1)"].iter().any(|group| to.starts_with(group));
        let to = match (then, is_path) {
            ("redirect" | "redirect_for_good", true) => format!("{}{to}", self.place.here),
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
        if inner.iter().any(|inner| inner.name == "add_header") {
            self.rules.own_fields.push(holds);
        }
        false
    }

    /// What `if` should better not have in it.
    fn unsafe_in_if(&mut self, directive: &Directive, name: &str, conditions: &[String]) {
        let made = match name {
            "deny" | "allow" => policies::access(&Scope::of(std::slice::from_ref(directive)), self.report),
            "add_header" => {
                let scope = Scope::of(std::slice::from_ref(directive));
                let mut made = fields::response_headers(&scope, self.report);
                if self.ifs > 1 {
                    self.report.changed(
                        directive,
                        "where several ifs hold, the fields of all of them are said, not those of the last one",
                    );
                }
                made.pop()
            }
            "expires" => policies::expires(&Scope::of(std::slice::from_ref(directive)), self.report),
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
