//! What holds in a block: its own directives, and those of the blocks around it that it does not replace.

use super::report::Report;
use super::syntax::Directive;
use super::values;
use crate::yaml::units::{ByteSize, Duration};

/// A block with those around it, the outermost first.
#[derive(Clone)]
pub struct Scope<'a>(Vec<&'a [Directive]>);

impl<'a> Scope<'a> {
    pub fn of(directives: &'a [Directive]) -> Self {
        Self(vec![directives])
    }

    pub fn within(&self, block: &'a Directive) -> Self {
        let mut blocks = self.0.clone();
        blocks.push(block.block.as_deref().unwrap_or_default());
        Self(blocks)
    }

    /// The block's own directives.
    pub fn own(&self) -> &'a [Directive] {
        self.0.last().copied().unwrap_or_default()
    }

    /// The block's own directives of that name.
    pub fn own_named(&self, name: &'static str) -> impl Iterator<Item = &'a Directive> {
        self.own().iter().filter(move |directive| directive.name == name)
    }

    /// The directive that holds here where one replaces another.
    pub fn one(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).pop()
    }

    /// The directives that hold here where those of a block replace all of the blocks around it.
    pub fn all(&self, name: &str) -> Vec<&'a Directive> {
        self.all_of(&[name])
    }

    /// As [`Self::all`], of names that replace each other, such as `allow` and `deny`.
    pub fn all_of(&self, names: &[&str]) -> Vec<&'a Directive> {
        let in_block = |block: &&'a [Directive]| -> Vec<&'a Directive> {
            let named = |directive: &&Directive| names.contains(&directive.name.as_str());
            block.iter().filter(named).collect()
        };
        let found = self.0.iter().rev().map(in_block).find(|found| !found.is_empty());
        found.unwrap_or_default()
    }

    /// The block that a directive stands in, as a directive of the block around it.
    pub fn holder(&self, directive: &Directive) -> Option<&'a Directive> {
        let blocks = self.0.windows(2).rev();
        blocks.flat_map(|pair| pair[0]).find(|holder| {
            let own = holder.block.iter().flatten();
            own.into_iter().any(|own| std::ptr::eq(own, directive))
        })
    }

    pub fn time(&self, name: &str, report: &mut Report) -> Option<Duration> {
        self.value(name, values::time, report)
    }

    pub fn size(&self, name: &str, report: &mut Report) -> Option<ByteSize> {
        self.value(name, values::size, report)
    }

    pub fn is_on(&self, name: &str, report: &mut Report) -> Option<bool> {
        let flag = |text: &str| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        self.value(name, flag, report)
    }

    /// The first word of the directive that holds here, as Nginx reads it.
    fn value<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>, report: &mut Report) -> Option<T> {
        let directive = self.one(name)?;
        let value = directive.words.first().and_then(|word| read(&word.text));
        match value {
            Some(_) => report.carried(directive),
            None => report.missing(directive, "Nginx does not take such a value; write another"),
        }
        value
    }
}

impl Directive {
    /// The text of a word, counted from 0; empty where there is none.
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| &word.text)
    }

    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| word.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
    use super::*;

    #[test]
    fn inner_blocks_replace_what_outer_ones_say() {
        let outer = parse("x", "t 1s; h a; h b; allow 1; s { t 2s; deny 2; }").unwrap();
        let around = Scope::of(&outer);
        let scope = around.within(outer.last().unwrap());
        let mut report = Report::default();
        assert_eq!(scope.time("t", &mut report).unwrap().get().as_secs(), 2);
        assert_eq!(scope.all("h").len(), 2);
        let access: Vec<&str> = scope.all_of(&["allow", "deny"]).iter().map(|one| one.word(0)).collect();
        assert_eq!(access, ["2"]);
        assert_eq!(around.time("t", &mut report).unwrap().get().as_secs(), 1);
    }
}
