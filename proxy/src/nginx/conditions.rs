//! Conditions of `if`, and of `access_log`, in Rhai.

use super::report::Report;
use super::syntax::Directive;
use super::texts;
use crate::script::Program;

/// What has to hold, and what is known where it does.
pub struct Condition {
    /// In Rhai.
    pub holds: String,
    /// The text and the regular expression whose groups the block names.
    pub groups_of: Option<(String, String)>,
}

/// `($name)`, `($name = text)`, `($name ~ expression)` and their opposites.
///
/// # Errors
/// It is not known, or nothing of the kind.
pub fn condition(directive: &Directive, report: &Report) -> Result<Condition, String> {
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
///
/// # Errors
/// One is not known.
pub fn rhai(text: &str, report: &Report) -> Result<String, String> {
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

/// What stands behind `~` or `~*`; nothing where neither does.
///
/// # Errors
/// Those of [`known`].
pub fn expression(text: &str) -> Result<Option<String>, String> {
    let expression = match (text.strip_prefix("~*"), text.strip_prefix('~')) {
        (Some(expression), _) => in_any_case(expression.to_owned()),
        (None, Some(expression)) => expression.to_owned(),
        (None, None) => return Ok(None),
    };
    known(&expression).map(|()| Some(expression))
}

pub fn in_any_case(expression: String) -> String {
    match expression.starts_with("(?i)") {
        true => expression,
        false => format!("(?i){expression}"),
    }
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
