//! `proxy_redirect`: where backends' answers send clients.

use super::conditions::expression;
use super::draft::{Draft, Map};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::target::Target;

/// What becomes of `Location`, as the directives of a place say; nothing where it stays as it is. `here` comes before a path
/// that is put there.
pub fn redirects(scope: &Scope, target: &Target, here: &str, report: &mut Report) -> Option<Draft> {
    let said = scope.all("proxy_redirect");
    let mut rules = Vec::new();
    for directive in &said {
        match directive.word(0) {
            "off" => {
                report.carried(directive);
                return None;
            }
            "default" => {
                report.carried(directive);
                rules.extend(of_target(target, here));
            }
            _ => rules.extend(rule(directive, here, report)),
        }
    }
    if said.is_empty() {
        rules.extend(of_target(target, here));
    }
    (!rules.is_empty()).then(|| Map::default().with("rewrite_location", rules).into())
}

/// `proxy_redirect default`: what was put in place of a location's path is put back.
fn of_target(target: &Target, here: &str) -> Option<Map> {
    let (theirs, ours) = target.back.as_ref()?;
    let (theirs, ours) = (theirs.replace('$', "$$"), ours.replace('$', "$$"));
    Some(leading_to(ours, here, Map::default().with("prefix", theirs)))
}

/// What an address or a path begins with, or is as a whole: the key of `rewrite_location` and `rewrite_cookies`, and its value.
pub fn begin(text: &str, report: &Report) -> Result<(&'static str, String), String> {
    match expression(text)? {
        Some(expression) => Ok(("regex", expression)),
        None => Ok(("prefix", template(text, report)?)),
    }
}

/// In Veil's variables.
pub fn template(text: &str, report: &Report) -> Result<String, String> {
    let template = report.words.template(text);
    template.map_err(|variable| format!("{variable} is not known"))
}

/// `proxy_redirect http://localhost:8000/ http://$host:$server_port/;` or with a regular expression.
fn rule(directive: &Directive, here: &str, report: &mut Report) -> Option<Map> {
    let read = begin(directive.word(0), report).and_then(|from| Ok((from, template(directive.word(1), report)?)));
    match read {
        Ok(((kind, from), to)) => {
            report.carried(directive);
            Some(leading_to(to, here, Map::default().with(kind, from)))
        }
        Err(why) => {
            report.missing(directive, format!("{why}; such addresses stay as they are"));
            None
        }
    }
}

/// Where that may be a path, it is made whole in `Location` alone.
fn leading_to(to: String, here: &str, rule: Map) -> Map {
    let may_be_path = to.starts_with(['/', '$']) && !to.starts_with("$scheme:") && !here.is_empty();
    let rule = rule.with("to", to);
    match may_be_path {
        true => rule.with("origin", here),
        false => rule,
    }
}
