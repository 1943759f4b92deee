//! The paths that a file names, and what it defines.

use std::collections::BTreeSet;

use crate::tokens::{Token, tokens};

/// A file's share in its crate.
#[derive(Debug, Default)]
pub struct Contents {
    pub paths: Vec<NamedPath>,
    /// What other files may name: items of the file's own, and modules that stand in it.
    pub defined: BTreeSet<String>,
    /// Modules that are files for the tests alone.
    pub test_files: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPath {
    /// How many inline modules lie around it: so many times `super` stays in the file.
    pub depth: usize,
    /// As written, without generic arguments.
    pub segments: Vec<String>,
    /// What it is called from here on, if it is a `use`; `*` for all that is in it.
    pub alias: Option<String>,
    pub is_test: bool,
}

pub fn read(text: &str) -> Contents {
    let mut reader = Reader {
        tokens: tokens(text),
        at: 0,
        blocks: Vec::new(),
        contents: Contents::default(),
    };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.contents
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    blocks: Vec<BlockKind>,
    contents: Contents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    Module { is_test: bool },
    Other,
}

impl<'a> Reader<'a> {
    fn step(&mut self) {
        match self.tokens[self.at] {
            Token::Sign('{') => self.enter(BlockKind::Other),
            Token::Sign('}') => {
                self.blocks.pop();
                self.at += 1;
            }
            Token::Word("mod") => self.read_module(),
            Token::Word("use") => self.read_use(),
            Token::Word(word) if DEFINING.contains(&word) => self.read_definition(),
            Token::Word(_) if self.token(1) == Some(Token::PathSeparator) && self.begins_a_path() => self.read_path(),
            _ => self.at += 1,
        }
    }

    fn token(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn word(&self, ahead: usize) -> Option<&'a str> {
        match self.token(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn enter(&mut self, kind: BlockKind) {
        self.blocks.push(kind);
        self.at += 1;
    }

    fn read_module(&mut self) {
        let is_test = self.is_for_tests();
        let Some(name) = self.word(1) else {
            self.at += 1;
            return;
        };
        self.at += 2;
        match self.token(0) {
            Some(Token::Sign('{')) => {
                self.define(name);
                self.enter(BlockKind::Module { is_test });
            }
            _ if is_test => drop(self.contents.test_files.insert(name.to_owned())),
            _ => {}
        }
    }

    /// Whether `#[cfg(test)]` stands before the item here, perhaps with other attributes and a visibility between.
    fn is_for_tests(&self) -> bool {
        let start = self.tokens[..self.at]
            .iter()
            .rposition(|token| matches!(token, Token::Sign(';' | '{' | '}')))
            .map_or(0, |at| at + 1);
        let attributes = &self.tokens[start..self.at];
        attributes.windows(4).any(|four| {
            four == [
                Token::Word("cfg"),
                Token::Sign('('),
                Token::Word("test"),
                Token::Sign(')'),
            ]
        })
    }

    fn define(&mut self, name: &str) {
        if self.blocks.is_empty() {
            self.contents.defined.insert(name.to_owned());
        }
    }

    fn read_definition(&mut self) {
        let keyword = self.word(0);
        self.at += 1;
        if keyword == Some("macro_rules") {
            self.at += 1;
        }
        if let Some(name) = self.word(0) {
            self.define(name);
        }
    }

    fn begins_a_path(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.tokens[at]);
        let is_visibility = before == Some(Token::Word("in"));
        !is_visibility && !matches!(before, Some(Token::PathSeparator | Token::Sign('.')))
    }

    fn read_path(&mut self) {
        let mut segments = Vec::new();
        while let Some(word) = self.word(0) {
            segments.push(word.to_owned());
            self.at += 1;
            if self.token(0) != Some(Token::PathSeparator) {
                break;
            }
            self.at += 1;
        }
        self.name(segments, None);
    }

    fn read_use(&mut self) {
        self.at += 1;
        // Generic bounds have another `use`.
        if matches!(self.token(0), Some(Token::Word(_) | Token::Sign('{'))) {
            self.read_tree(&[]);
        }
    }

    fn read_tree(&mut self, before: &[String]) {
        let mut segments = before.to_vec();
        loop {
            match self.token(0) {
                Some(Token::Word(word)) => {
                    segments.push(word.to_owned());
                    self.at += 1;
                }
                Some(Token::Sign('*')) => {
                    self.at += 1;
                    return self.name(segments, Some("*".to_owned()));
                }
                Some(Token::Sign('{')) => return self.read_branches(&segments),
                _ => return,
            }
            if self.token(0) != Some(Token::PathSeparator) {
                break;
            }
            self.at += 1;
        }
        // `a::{self}` is `a` itself.
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let mut alias = segments.last().cloned();
        if self.word(0) == Some("as") {
            alias = self.word(1).map(str::to_owned);
            self.at += 2;
        }
        self.name(segments, alias);
    }

    fn read_branches(&mut self, before: &[String]) {
        self.at += 1;
        loop {
            match self.token(0) {
                Some(Token::Sign(',')) => self.at += 1,
                Some(Token::Word(_) | Token::Sign('{' | '*')) => self.read_tree(before),
                Some(Token::Sign('}')) => break self.at += 1,
                _ => break,
            }
        }
    }

    fn name(&mut self, segments: Vec<String>, alias: Option<String>) {
        let modules = || self.blocks.iter().filter(|block| **block != BlockKind::Other);
        self.contents.paths.push(NamedPath {
            depth: modules().count(),
            segments,
            alias,
            is_test: modules().any(|block| *block == BlockKind::Module { is_test: true }),
        });
    }
}

const DEFINING: [&str; 9] = [
    "struct",
    "enum",
    "union",
    "trait",
    "type",
    "fn",
    "const",
    "static",
    "macro_rules",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_as_they_are_written() {
        let contents = read(
            "use crate::{a::{self, B as C}, d::*}; mod e; mod f { use super::g; #[cfg(test)] mod h { i::j::<k>(); } } \
             pub(in crate::x) struct S; impl S { fn m() { x.n::<u8>(); } } #[cfg(test)] mod t;",
        );
        let told: Vec<String> = contents
            .paths
            .iter()
            .map(|path| {
                let alias = path.alias.as_deref().unwrap_or("-");
                let test = if path.is_test { " test" } else { "" };
                format!("{} {} {alias}{test}", path.depth, path.segments.join("::"))
            })
            .collect();
        assert_eq!(
            told,
            [
                "0 crate::a a",
                "0 crate::a::B C",
                "0 crate::d *",
                "1 super::g g",
                "2 i::j - test"
            ]
        );
        assert_eq!(contents.defined.into_iter().collect::<Vec<_>>(), ["S", "f"]);
        assert_eq!(contents.test_files.into_iter().collect::<Vec<_>>(), ["t"]);
    }
}
