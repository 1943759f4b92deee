//! Nginx's configuration language: directives of words, with blocks in them.
//!
//! Words are cut as Nginx cuts them (`ngx_conf_read_token`): at white space, `;`, `{` and `}`, except in quotes, behind a
//! backslash, and in `${name}`; `#` begins a comment only where a word could begin.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

/// `name words…;` or `name words… { block }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    pub name: String,
    pub words: Vec<Word>,
    pub block: Option<Vec<Directive>>,
    pub place: Place,
}

/// A word as it is meant: without its quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Nginx takes `"{"` and `'if'` for plain text.
    pub quoted: bool,
}

/// Where a directive begins. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why a text is no configuration: Nginx would not take it either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct SyntaxError {
    pub place: Place,
    pub what: String,
}

/// Blocks in blocks in blocks: more than anybody writes, and few enough to walk.
const DEEPEST: usize = 64;

/// The directives of a text; `file` is what places are shown with.
pub fn parse(file: &str, text: &str) -> Result<Vec<Directive>, SyntaxError> {
    let mut tokens = Tokens::new(file, text);
    let mut open: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut here = Vec::new();
    let mut words: Vec<(Word, Place)> = Vec::new();
    while let Some((token, place)) = tokens.next()? {
        match token {
            Token::Word(word) => words.push((word, place)),
            Token::End => here.push(directive(&mut words, &place, ";")?),
            Token::Open if open.len() == DEEPEST => return Err(error(place, "blocks are nested too deeply")),
            Token::Open => open.push((directive(&mut words, &place, "{")?, std::mem::take(&mut here))),
            Token::Close => {
                if !words.is_empty() {
                    return Err(error(place, "unexpected \"}\"; a directive ends with \";\""));
                }
                let Some((mut block, around)) = open.pop() else {
                    return Err(error(place, "unexpected \"}\""));
                };
                block.block = Some(std::mem::replace(&mut here, around));
                here.push(block);
            }
        }
    }
    match open.last() {
        Some((block, _)) => Err(error(
            block.place.clone(),
            format!("{:?} is never closed with \"}}\"", block.name),
        )),
        None if words.is_empty() => Ok(here),
        None => Err(error(
            tokens.place(),
            "unexpected end of file, expecting \";\" or \"}\"",
        )),
    }
}

fn directive(words: &mut Vec<(Word, Place)>, end: &Place, ending: &str) -> Result<Directive, SyntaxError> {
    let mut words = std::mem::take(words).into_iter();
    let Some((name, place)) = words.next() else {
        return Err(error(end.clone(), format!("unexpected {ending:?}")));
    };
    Ok(Directive {
        name: name.text,
        words: words.map(|(word, _)| word).collect(),
        block: None,
        place,
    })
}

fn error(place: Place, what: impl Into<String>) -> SyntaxError {
    SyntaxError {
        place,
        what: what.into(),
    }
}

enum Token {
    Word(Word),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

struct Tokens<'a> {
    file: Arc<str>,
    line: usize,
    rest: Peekable<Chars<'a>>,
}

impl<'a> Tokens<'a> {
    fn new(file: &str, text: &'a str) -> Self {
        Self {
            file: file.into(),
            line: 1,
            rest: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(),
        }
    }

    fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: self.line,
        }
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.rest.next();
        self.line += usize::from(taken == Some('\n'));
        taken
    }

    fn next(&mut self) -> Result<Option<(Token, Place)>, SyntaxError> {
        loop {
            let place = self.place();
            let Some(&first) = self.rest.peek() else {
                return Ok(None);
            };
            let token = match first {
                c if is_space(c) => {
                    self.take();
                    continue;
                }
                '#' => {
                    while self.take().is_some_and(|c| c != '\n') {}
                    continue;
                }
                ';' => self.single(Token::End),
                '{' => self.single(Token::Open),
                '}' => self.single(Token::Close),
                '"' | '\'' => self.quoted(first)?,
                _ => self.bare()?,
            };
            return Ok(Some((token, place)));
        }
    }

    fn single(&mut self, token: Token) -> Token {
        self.take();
        token
    }

    fn quoted(&mut self, quote: char) -> Result<Token, SyntaxError> {
        let begin = self.place();
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(error(begin, format!("a quote {quote} is never closed"))),
                Some('\\') => self.escape(&mut text),
                Some(c) if c == quote => break,
                Some(c) => text.push(c),
            }
        }
        match self.rest.peek() {
            Some(&c) if !is_space(c) && !matches!(c, ';' | '{' | ')') => Err(error(
                self.place(),
                format!("unexpected {c:?} right behind a quoted word"),
            )),
            _ => Ok(Token::Word(Word { text, quoted: true })),
        }
    }

    fn bare(&mut self) -> Result<Token, SyntaxError> {
        let mut text = String::new();
        while let Some(&c) = self.rest.peek() {
            match c {
                c if is_space(c) => break,
                '{' if text.ends_with('$') => self.braced(&mut text)?,
                ';' | '{' => break,
                '\\' => {
                    self.take();
                    self.escape(&mut text);
                }
                c => {
                    self.take();
                    text.push(c);
                }
            }
        }
        Ok(Token::Word(Word { text, quoted: false }))
    }

    /// `${name}`, from its brace on.
    fn braced(&mut self, text: &mut String) -> Result<(), SyntaxError> {
        let begin = self.place();
        loop {
            match self.take() {
                Some(c) if !is_space(c) && c != ';' => text.push(c),
                _ => return Err(error(begin, "a variable \"${…}\" is never closed")),
            }
            if text.ends_with('}') {
                return Ok(());
            }
        }
    }

    /// What is behind a backslash, which stays where it means nothing: `\.` in a regular expression.
    fn escape(&mut self, text: &mut String) {
        match self.take() {
            Some(c @ ('"' | '\'' | '\\')) => text.push(c),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Shown so that a test can be read: `a b{c;}`.
    fn shown(directives: &[Directive]) -> String {
        let one = |directive: &Directive| {
            let words = directive
                .words
                .iter()
                .map(|word| format!(" <{}>", word.text))
                .collect::<String>();
            match &directive.block {
                Some(block) => format!("{}{words}{{{}}}", directive.name, shown(block)),
                None => format!("{}{words};", directive.name),
            }
        };
        directives.iter().map(one).collect()
    }

    #[test]
    fn cuts_words_as_nginx_does() {
        for (text, means) in [
            ("a b  c;", "a <b> <c>;"),
            ("a 'b c' \"d;{}\";", "a <b c> <d;{}>;"),
            ("a{b;}c{}", "a{b;}c{}"),
            ("a b{c;}", "a <b>{c;}"),
            ("a b#c; # d;\ne;", "a <b#c>;e;"),
            ("a ${b}c;", "a <${b}c>;"),
            (r"a \.php$ b\ c;", r"a <\.php$> <b\ c>;"),
            (r#"a "b\"c\n";"#, "a <b\"c\n>;"),
            ("a ''; b \"\";", "a <>;b <>;"),
            ("\u{feff}a;", "a;"),
            ("", ""),
            ("# only words about nothing", ""),
            ("a b'c;", "a <b'c>;"),
        ] {
            assert_eq!(shown(&parse("x", text).unwrap()), means, "{text}");
        }
    }

    #[test]
    fn says_where_it_cannot_be_read() {
        for (text, what) in [
            ("a;\nb", "x:2: unexpected end of file"),
            ("a {\nb;", "x:1: \"a\" is never closed"),
            ("a;\n}", "x:2: unexpected \"}\""),
            ("a { b }", "x:1: unexpected \"}\"; a directive ends"),
            (";", "x:1: unexpected \";\""),
            ("a 'b", "x:1: a quote ' is never closed"),
            ("a 'b'c;", "x:1: unexpected 'c'"),
            ("a ${b c;", "x:1: a variable"),
            (&"a{".repeat(1000), "x:1: blocks are nested too deeply"),
        ] {
            let error = parse("x", text).unwrap_err().to_string();
            assert!(error.starts_with(what), "{text:.20}: {error}");
        }
    }

    #[test]
    fn a_directive_is_where_it_begins() {
        let directives = parse("x", "# about\na b\n  c;\n\nd { e; }").unwrap();
        let lines: Vec<usize> = directives.iter().map(|directive| directive.place.line).collect();
        assert_eq!(lines, [2, 5]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ab;{}$'\"\\\\# \\n]{0,64}") {
            let _ = parse("x", &text);
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^\\\\\"]{0,12}", 1..5)) {
            let text = words.iter().map(|word| format!(" \"{word}\"")).collect::<String>();
            let directives = parse("x", &format!("a{text};")).unwrap();
            let read: Vec<&str> = directives[0].words.iter().map(|word| word.text.as_str()).collect();
            prop_assert_eq!(read, words);
        }
    }
}
