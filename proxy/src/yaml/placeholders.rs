//! Texts with variables in them, such as `https://$host$request_uri`, taken apart once. What the variables are is told by
//! whoever has them.

use crate::yaml::diagnostic::suggest;

/// A part of a text with variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<V> {
    Text(String),
    Variable(V),
}

/// Takes a text with variables (`$name`) apart; a dollar sign itself is `$$`, and `$(name)` is `$name` where a letter follows. A name goes on while `is_in_name` says so,
/// and `variable` makes of it what it stands for; nothing where there is no such variable, of which `known` lists all.
///
/// # Errors
/// There is no such variable, and what to do.
pub fn pieces<V, const N: usize>(
    text: &str,
    is_in_name: impl Fn(char) -> bool,
    variable: impl Fn(&str) -> Option<V>,
    known: [&str; N],
) -> Result<Vec<Piece<V>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.push(Piece::Text(before.to_owned()));
        if let Some(after) = after.strip_prefix('$') {
            pieces.push(Piece::Text("$".to_owned()));
            rest = after;
            continue;
        }
        let bracketed = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        let (name, after) = bracketed.unwrap_or_else(|| {
            let end = after.find(|c| !is_in_name(c)).unwrap_or(after.len());
            after.split_at(end)
        });
        let Some(variable) = variable(name) else {
            let help = suggest("variables", name, known).unwrap_or_default();
            return Err(format!(
                "there is no variable \"${name}\"; write $$ for a dollar sign; {help}"
            ));
        };
        pieces.push(Piece::Variable(variable));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    Ok(pieces)
}
