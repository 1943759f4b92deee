//! Rust source as words and signs, without comments, strings and characters.

/// A word (identifier, keyword or number), `::`, or any other sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Word(&'a str),
    PathSeparator,
    Sign(char),
}

pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut rest = text;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        if let Some(length) = passed_over(rest, first) {
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let (token, length) = token(rest, first);
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens
}

fn token(rest: &str, first: char) -> (Token<'_>, usize) {
    if rest.starts_with("::") {
        return (Token::PathSeparator, 2);
    }
    let length = word_length(rest);
    if length > 0 {
        (Token::Word(&rest[..length]), length)
    } else {
        (Token::Sign(first), first.len_utf8())
    }
}

/// How many bytes are no token: space, a comment, a string, a character, a lifetime.
fn passed_over(rest: &str, first: char) -> Option<usize> {
    match first {
        _ if first.is_whitespace() => Some(first.len_utf8()),
        '/' if rest.starts_with("//") => Some(rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => Some(comment_length(rest)),
        '"' => Some(string_length(rest)),
        '\'' => Some(quote_length(rest)),
        'r' | 'b' | 'c' => prefixed_string_length(rest),
        _ => None,
    }
}

fn word_length(rest: &str) -> usize {
    rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(rest.len())
}

/// Comments may stand in each other.
fn comment_length(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = letter == '\\' && !is_escaped,
        }
    }
    rest.len()
}

/// A character such as `'a'` or `'\''`, or only the quote before a lifetime's name.
fn quote_length(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => {
            letters.next();
            let end = letters.find(|(_, letter)| *letter == '\'');
            end.map_or(rest.len(), |(at, _)| at + 1)
        }
        _ => match letters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
    }
}

/// `b"…"`, `c"…"`, `r"…"`, `r#"…"#`, `br#"…"#`; nothing if it is a word.
fn prefixed_string_length(rest: &str) -> Option<usize> {
    let prefix = word_length(rest);
    let behind = rest.get(prefix..)?;
    match &rest[..prefix] {
        "b" | "c" if behind.starts_with('"') => Some(prefix + string_length(behind)),
        "b" if behind.starts_with('\'') => Some(prefix + quote_length(behind)),
        "r" | "br" | "cr" => {
            let marks = behind.len() - behind.trim_start_matches('#').len();
            let text = behind[marks..].strip_prefix('"')?;
            let end = format!("\"{}", "#".repeat(marks));
            let length = text.find(&end).map_or(text.len(), |at| at + end.len());
            Some(prefix + marks + 1 + length)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_left_out() {
        let text = r##"a::b // crate::c
            /* x /* y */ z */ "s \" t" r#"raw " text"# b'\'' 'x' &'static str r#type"##;
        let words: Vec<String> = tokens(text)
            .iter()
            .map(|token| match token {
                Token::Word(word) => (*word).to_owned(),
                Token::PathSeparator => "::".to_owned(),
                Token::Sign(sign) => sign.to_string(),
            })
            .collect();
        assert_eq!(words, ["a", "::", "b", "&", "static", "str", "r", "#", "type"]);
    }
}
