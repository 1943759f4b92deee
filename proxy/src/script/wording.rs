//! What the interpreter says of a text that it cannot read, with what was probably meant: most people come from another
//! language.

use rhai::Position;

/// `text` is the script, in which the interpreter has stopped at `place`.
pub fn worded(what: &str, text: &str, place: Position) -> String {
    let (before, after) = around(text, place);
    let what = uncapitalised(what);
    if let Some(quoted) = what.strip_prefix("invalid character: ") {
        let inner = quoted.trim_matches('\'');
        return format!("{quoted} is no text; write \"{inner}\", in double quotes");
    }
    if before.ends_with('.') && before.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit()) {
        return "there are no decimals; write whole numbers: status >= 500, duration_ms > 1500".to_owned();
    }
    if what.contains("This is not JavaScript") {
        let operator = after.split(|c: char| !"=!<>".contains(c)).next().unwrap_or_default();
        return format!("there is no {operator}; write {}", operator.get(..2).unwrap_or("=="));
    }
    match meant(&what, before, after) {
        Some(meant) => format!("{what}; write {meant}"),
        None => what,
    }
}

fn meant(what: &str, before: &str, after: &str) -> Option<&'static str> {
    Some(match what {
        "unexpected 'and'" => "&&",
        "unexpected 'or'" => "||",
        "unexpected 'not'" => "!(…)",
        "unexpected '='" => "== to compare",
        "unknown operator: '~'" | "unknown operator: '=~'" => "path.matches(\"^/a\") for a regular expression",
        "'null' is a reserved keyword" | "'nil' is a reserved keyword" => "\"\" for no text: what is unknown is that",
        "'var' is a reserved keyword" => "let",
        _ if what.starts_with("'$'") || after.starts_with('$') => {
            "a variable without its $, or filled(\"$name\") for a text with variables"
        }
        _ if before.trim_end().ends_with("function") || after.starts_with("function") => "fn in place of function",
        _ if what.starts_with("expecting '{'") => "{ … } around what is to be done",
        _ if what.starts_with("expecting ',' after the iteration variable") => "for i in 0..3 { … }",
        _ => return None,
    })
}

/// What the line has before a place, and from there on.
fn around(text: &str, place: Position) -> (&str, &str) {
    let line = place
        .line()
        .and_then(|line| text.lines().nth(line - 1))
        .unwrap_or_default();
    let at = place.position().map_or(0, |column| column - 1);
    let at = line.char_indices().nth(at).map_or(line.len(), |(at, _)| at);
    line.split_at(at)
}

pub fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next();
    first.map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
