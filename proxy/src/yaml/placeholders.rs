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
/// and `variable` makes of it what it stands for; nothing where there is no such variable, of which `known` lists all where that
/// has to be told.
///
/// # Errors
/// There is no such variable, and what to do.
pub fn pieces<V>(
    text: &str,
    is_in_name: impl Fn(char) -> bool,
    variable: impl Fn(&str) -> Option<V>,
    known: impl FnOnce() -> Vec<String>,
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
            let known = known();
            let help = suggest("variables", name, known.iter().map(String::as_str)).unwrap_or_default();
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

/// What texts may name: variables, and kinds of them that need a name of one's own behind a prefix, such as `cookie_NAME`.
pub struct Vocabulary<V: 'static> {
    pub simple: &'static [(&'static str, V)],
    pub named: &'static [(&'static str, Make<V>)],
}

/// Makes a variable of a name of one's own.
pub type Make<V> = fn(Box<str>) -> V;

impl<V: Clone> Vocabulary<V> {
    /// Takes a text apart, as [`pieces`].
    ///
    /// # Errors
    /// It names what there is not.
    pub fn pieces(&self, text: &str) -> Result<Vec<Piece<V>>, String> {
        let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        pieces(text, is_in_name, |name| self.find(name), || self.names())
    }

    fn find(&self, name: &str) -> Option<V> {
        let simple = self.simple.iter().find(|(known, _)| *known == name);
        let own = || {
            self.named.iter().find_map(|(before, make)| {
                let own = name.strip_prefix(before).filter(|own| !own.is_empty())?;
                Some(make(own.into()))
            })
        };
        simple.map(|(_, variable)| variable.clone()).or_else(own)
    }

    /// Of all, in the order of the alphabet.
    fn names(&self) -> Vec<String> {
        let simple = self.simple.iter().map(|(name, _)| (*name).to_owned());
        let named = self.named.iter().map(|(before, _)| format!("{before}NAME"));
        let mut names: Vec<String> = simple.chain(named).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Vocabulary<String> = Vocabulary {
        simple: &[("host", String::new())],
        named: &[("arg_", String::from)],
    };

    #[test]
    fn every_variable_is_listed() {
        assert_eq!(WORDS.names(), ["arg_NAME", "host"]);
    }

    #[test]
    fn variables_are_listed_for_mistakes_alone() {
        let taken_apart = |text| {
            pieces(
                text,
                char::is_alphabetic,
                |name| (name == "a").then_some(()),
                || panic!("nobody asks"),
            )
        };
        assert_eq!(
            taken_apart("x $a$$"),
            Ok(vec![
                Piece::Text("x ".into()),
                Piece::Variable(()),
                Piece::Text("$".into())
            ])
        );
        let mistake = pieces("$b", char::is_alphabetic, |_| None::<()>, || vec!["a".to_owned()]).unwrap_err();
        assert!(mistake.contains("variables are \"a\""), "{mistake}");
    }

    #[test]
    fn a_prefix_alone_is_no_variable() {
        assert_eq!(WORDS.find("arg_a"), Some("a".to_owned()));
        assert_eq!((WORDS.find("arg_"), WORDS.find("hos")), (None, None));
    }
}
