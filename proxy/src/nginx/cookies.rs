//! `proxy_cookie_path`, `proxy_cookie_domain` and `proxy_cookie_flags`: the cookies that backends set.

use super::conditions::{expression, in_any_case};
use super::draft::{Draft, Map};
use super::policies::filter;
use super::redirects::{begin, template};
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::texts;

/// What becomes of cookies; nothing where they stay as they are.
pub fn cookies(scope: &Scope, report: &mut Report) -> Option<Draft> {
    let mut settings = Map::default();
    for (key, name, read) in [
        ("path", "proxy_cookie_path", path as Read),
        ("domain", "proxy_cookie_domain", domain),
        ("attributes", "proxy_cookie_flags", flags),
    ] {
        let rules: Vec<Map> = rules(&scope.all(name), read, report);
        if !rules.is_empty() {
            settings.put(key, rules);
        }
    }
    (!settings.is_empty()).then(|| filter("rewrite_cookies", settings))
}

type Read = fn(&Directive, &Report) -> Result<Map, String>;

fn rules(directives: &[&Directive], read: Read, report: &mut Report) -> Vec<Map> {
    let mut rules = Vec::new();
    for directive in directives {
        match read(directive, report) {
            _ if directive.word(0) == "off" => report.carried(directive),
            Ok(rule) => {
                report.carried(directive);
                rules.push(rule);
            }
            Err(why) => report.missing(directive, format!("{why}; such cookies stay as they are")),
        }
    }
    rules
}

fn path(directive: &Directive, report: &Report) -> Result<Map, String> {
    let to = template(directive.word(1), report)?;
    let (kind, from) = begin(directive.word(0), report)?;
    Ok(Map::default().with(kind, from).with("to", to))
}

/// A dot before a name is none of it.
fn domain(directive: &Directive, report: &Report) -> Result<Map, String> {
    let (from, to) = (directive.word(0), directive.word(1));
    let to = template(to.strip_prefix('.').unwrap_or(to), report)?;
    let rule = match expression(from)? {
        Some(expression) => Map::default().with("regex", in_any_case(expression)),
        None => Map::default().with("is", template(from.strip_prefix('.').unwrap_or(from), report)?),
    };
    Ok(rule.with("to", to))
}

fn flags(directive: &Directive, _: &Report) -> Result<Map, String> {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for flag in directive.texts().skip(1) {
        match flag.to_ascii_lowercase().as_str() {
            "secure" => set.push("Secure"),
            "httponly" => set.push("HttpOnly"),
            "samesite" => set.push("SameSite"),
            "samesite=strict" => set.push("SameSite=Strict"),
            "samesite=lax" => set.push("SameSite=Lax"),
            "samesite=none" => set.push("SameSite=None"),
            "nosecure" => remove.push("Secure"),
            "nohttponly" => remove.push("HttpOnly"),
            "nosamesite" => remove.push("SameSite"),
            _ => return Err(format!("{flag:?} is no flag that is known here")),
        }
    }
    let mut rule = match expression(directive.word(0))?.as_deref() {
        None if texts::has_variables(directive.word(0)) => return Err("a name with variables".to_owned()),
        None => Map::default().with("name", directive.word(0)),
        // All.
        Some("") => Map::default(),
        Some(expression) => Map::default().with("regex", in_any_case(expression.to_owned())),
    };
    for (key, flags) in [("set", set), ("remove", remove)] {
        if !flags.is_empty() {
            rule.put(key, flags);
        }
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    #[test]
    fn flags_are_attributes() {
        let flag = |text: &str| {
            flags(
                &parse("x", &format!("proxy_cookie_flags {text};")).unwrap()[0],
                &Report::default(),
            )
        };
        let one = Map::default().with("name", "one").with("set", vec!["HttpOnly"]);
        assert_eq!(flag("one httponly"), Ok(one));
        let all = Map::default()
            .with("set", vec!["SameSite=Strict"])
            .with("remove", vec!["Secure"]);
        assert_eq!(flag("~ nosecure samesite=strict"), Ok(all));
        let some = Map::default().with("regex", "(?i)^s").with("set", vec!["Secure"]);
        assert_eq!(flag("~^s secure"), Ok(some));
        for text in ["one partitioned", "$arg_a secure", "~( secure"] {
            assert!(flag(text).is_err(), "{text}");
        }
    }
}
