//! Finds the routes for a host and a path without a look at all the others.
//!
//! Hosts are looked up as they are and then by what follows each of their dots, paths as they are; regular expressions are
//! tried one after the other. Prefixes lie sorted: the last one that is not after a path in the alphabet either is the longest
//! of its prefixes or begins with it, so that following the links from each to the longest that it begins with itself meets
//! them all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;

use super::matching::{HostPattern, MatchConfig, PathPattern};
use crate::request::expression::Expression;

/// Routes by their places in the order of the file.
#[derive(Default)]
pub struct Index {
    exact: HashMap<String, Table>,
    /// By what a host ends in, its first dot included.
    wildcards: HashMap<String, Table>,
    /// By what a host begins with, its last dot included.
    beginnings: HashMap<String, Table>,
    /// In the order of the file.
    regexes: Vec<(Expression, Table)>,
    any: Table,
}

/// Those of one host.
#[derive(Default)]
struct Table {
    exact: HashMap<String, Vec<usize>>,
    regexes: Vec<(Expression, usize)>,
    prefixes: Vec<Prefix>,
}

struct Prefix {
    text: String,
    routes: Vec<usize>,
    /// The place of the longest other prefix that this one begins with.
    parent: Option<usize>,
}

impl Index {
    pub fn new<'a>(matches: impl IntoIterator<Item = &'a MatchConfig>) -> Self {
        let mut index = Self::default();
        for (route, matches) in matches.into_iter().enumerate() {
            if matches.hosts.is_empty() {
                index.any.insert(&matches.path, route);
            }
            for host in &matches.hosts {
                let table = match host {
                    HostPattern::Exact(host) => index.exact.entry(host.clone()).or_default(),
                    HostPattern::Wildcard(suffix) => index.wildcards.entry(suffix.clone()).or_default(),
                    HostPattern::Beginning(prefix) => index.beginnings.entry(prefix.clone()).or_default(),
                    HostPattern::Regex(expression) => index.of_regex(expression),
                };
                table.insert(&matches.path, route);
            }
        }
        let tables = index.exact.values_mut().chain(index.wildcards.values_mut());
        let tables = tables.chain(index.beginnings.values_mut());
        let tables = tables.chain(index.regexes.iter_mut().map(|(_, table)| table));
        tables.chain([&mut index.any]).for_each(Table::sort);
        index
    }

    fn of_regex(&mut self, expression: &Expression) -> &mut Table {
        let known = self.regexes.iter().position(|(known, _)| known == expression);
        let place = known.unwrap_or_else(|| {
            self.regexes.push((expression.clone(), Table::default()));
            self.regexes.len() - 1
        });
        &mut self.regexes[place].1
    }

    /// Shows the routes whose host and path fit, the most specific first, with the regular expression that they were found by,
    /// until told to stop.
    pub fn visit<B>(
        &self,
        host: &str,
        path: &str,
        mut look: impl FnMut(usize, Option<&Expression>) -> ControlFlow<B>,
    ) -> Option<B> {
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        let dots = |names: &HashMap<_, _>| {
            let text = if names.is_empty() { "" } else { &*host };
            text.match_indices('.').map(|(place, _)| place)
        };
        let wildcards = dots(&self.wildcards)
            .filter(|dot| *dot > 0)
            .filter_map(|dot| self.wildcards.get(&host[dot..]));
        let beginnings = dots(&self.beginnings)
            .filter(|dot| dot + 1 < host.len())
            .rev()
            .filter_map(|dot| self.beginnings.get(&host[..=dot]));
        let regexes = self.regexes.iter().filter(|(expression, _)| expression.matches(&host));
        let named = self.exact.get(&*host).into_iter().chain(wildcards).chain(beginnings);
        let tables = named.chain(regexes.map(|(_, table)| table)).chain([&self.any]);
        for table in tables {
            if let ControlFlow::Break(found) = table.visit(path, &mut look) {
                return Some(found);
            }
        }
        None
    }
}

impl Table {
    fn insert(&mut self, path: &PathPattern, route: usize) {
        match path {
            PathPattern::Exact(path) => self.exact.entry(path.clone()).or_default().push(route),
            PathPattern::Regex(expression) => self.regexes.push((expression.clone(), route)),
            PathPattern::Prefix(text) => self.prefixes.push(Prefix {
                text: text.clone(),
                routes: vec![route],
                parent: None,
            }),
        }
    }

    /// To be called once all are in.
    fn sort(&mut self) {
        let mut all = std::mem::take(&mut self.prefixes);
        // Those of one text stay in the order of the file.
        all.sort_by(|a, b| a.text.cmp(&b.text));
        for mut prefix in all {
            match self.prefixes.last_mut().filter(|last| last.text == prefix.text) {
                Some(last) => last.routes.append(&mut prefix.routes),
                None => {
                    prefix.parent = self.longest(self.prefixes.len().checked_sub(1), &prefix.text);
                    self.prefixes.push(prefix);
                }
            }
        }
    }

    /// The longest of a prefix and those that it begins with that `path` begins with.
    fn longest(&self, mut place: Option<usize>, path: &str) -> Option<usize> {
        while let Some(at) = place {
            let prefix = &self.prefixes[at];
            if path.starts_with(prefix.text.as_str()) {
                return Some(at);
            }
            place = prefix.parent;
        }
        None
    }

    fn visit<B>(
        &self,
        path: &str,
        look: &mut impl FnMut(usize, Option<&Expression>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for route in self.exact.get(path).into_iter().flatten() {
            look(*route, None)?;
        }
        for (expression, route) in &self.regexes {
            if expression.matches(path) {
                look(*route, Some(expression))?;
            }
        }
        let after = self.prefixes.partition_point(|prefix| prefix.text.as_str() <= path);
        let mut place = self.longest(after.checked_sub(1), path);
        while let Some(at) = place {
            for route in &self.prefixes[at].routes {
                look(*route, None)?;
            }
            place = self.prefixes[at].parent;
        }
        ControlFlow::Continue(())
    }
}
