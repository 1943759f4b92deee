//! Regular expressions whose search takes a bounded time, whatever they and the text are.
//!
//! Each is searched for by an automaton that is made on the way, a step a byte. One that would have too many states (an
//! expression such as `(a?b?c?){60}z`) is given up; then all ways are followed at once, where text and expression together are
//! small enough for that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use parking_lot::Mutex;
use regex_automata::Input;
use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, Compiler, WhichCaptures};

/// What is looked for.
struct Expression {
    automaton: DFA,
    all_ways: PikeVM,
    /// Of the expression itself.
    states: usize,
}

/// An expression with what one thread needs for it.
struct Ready {
    expression: Arc<Expression>,
    cache: dfa::Cache,
}

/// Makes an expression once, when the script is read that holds it.
///
/// # Errors
/// It is none, or one that would take too much memory.
pub fn prepare(text: &str) -> Result<(), String> {
    known(text).map(|_| ())
}

/// Whether an expression is found in a text.
///
/// # Errors
/// That cannot be said in the time that there is.
pub fn is_found(expression: &str, text: &str) -> Result<bool, String> {
    thread_local! {
        static READY: RefCell<HashMap<Box<str>, Ready>> = RefCell::default();
    }
    READY.with_borrow_mut(|ready| {
        if let Some(ready) = ready.get_mut(expression) {
            return ready.is_found(text);
        }
        let mut made = Ready::new(known(expression)?);
        let found = made.is_found(text);
        if ready.len() >= MOST_KEPT {
            ready.clear();
        }
        ready.insert(expression.into(), made);
        found
    })
}

impl Ready {
    fn new(expression: Arc<Expression>) -> Self {
        let cache = expression.automaton.create_cache();
        Self { expression, cache }
    }

    fn is_found(&mut self, text: &str) -> Result<bool, String> {
        let input = Input::new(text).earliest(true);
        if let Ok(found) = self.expression.automaton.try_search_fwd(&mut self.cache, &input) {
            return Ok(found.is_some());
        }
        if text.len().saturating_mul(self.expression.states) > MOST_STEPS {
            return Err("the expression has too many ways to be looked for in so long a text".to_owned());
        }
        let all_ways = &self.expression.all_ways;
        Ok(all_ways.is_match(&mut all_ways.create_cache(), input))
    }
}

/// Shared by all threads. The lock is for who reads configurations, and for each thread once an expression.
fn known(text: &str) -> Result<Arc<Expression>, String> {
    static KNOWN: Mutex<Option<HashMap<Box<str>, Arc<Expression>>>> = Mutex::new(None);
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    if let Some(expression) = known.get(text) {
        return Ok(Arc::clone(expression));
    }
    let expression = Arc::new(made(text).map_err(|error| worded(text, &*error))?);
    if known.len() >= MOST_KEPT {
        known.clear();
    }
    known.insert(text.into(), Arc::clone(&expression));
    Ok(expression)
}

fn made(text: &str) -> Result<Expression, Box<dyn Error>> {
    let bounded = thompson::Config::new()
        .nfa_size_limit(Some(LARGEST))
        .which_captures(WhichCaptures::None);
    let states = Compiler::new().configure(bounded).build(text)?;
    let gives_up = dfa::Config::new()
        .cache_capacity(LARGEST_AUTOMATON)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(TIMES_ANEW))
        .unicode_word_boundary(true);
    Ok(Expression {
        states: states.states().len(),
        automaton: DFA::builder().configure(gives_up).build_from_nfa(states.clone())?,
        all_ways: PikeVM::new_from_nfa(states)?,
    })
}

fn worded(text: &str, error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let why = innermost.to_string();
    let last = why.lines().last().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    format!("{text:?} is not a regular expression: {last}")
}

/// Bytes of what an expression is made into.
const LARGEST: usize = 64 << 10;
/// Bytes of the automaton that is made on the way, and how often it is begun anew before it is given up.
const LARGEST_AUTOMATON: usize = 64 << 10;
const TIMES_ANEW: usize = 2;
/// States times bytes.
const MOST_STEPS: usize = 1 << 18;
/// Expressions.
const MOST_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn finds_what_the_ordinary_ones_find() {
        let texts = [
            "",
            "abc",
            "/a/b?c=d",
            "Mozilla/5.0 (compatible; Bot/1.0)",
            "é über 東京",
            "a\nb",
            "K\u{212a}k",
        ];
        for expression in [
            "",
            "^$",
            "b",
            "^/[a-z]+",
            "(?i)bot|crawler",
            r"\bber\b",
            r"\bküber\b",
            "東",
            "^a$",
            "(?m)^b$",
            "(?i)k{3}",
            r"\w+\s\W",
        ] {
            let ordinary = regex::Regex::new(expression).unwrap();
            for text in texts {
                assert_eq!(
                    is_found(expression, text),
                    Ok(ordinary.is_match(text)),
                    "{expression} in {text}"
                );
            }
        }
    }

    #[test]
    fn says_what_is_none() {
        for (expression, part) in [
            ("(", "unclosed group"),
            (r"\p{Nothing}", "property"),
            ("a{99999}", "limit"),
        ] {
            let error = prepare(expression).unwrap_err();
            assert!(error.contains(part), "{expression}: {error}");
        }
    }

    #[test]
    fn gives_up_on_what_has_no_end_of_ways() {
        let text = crate::script::hostile::mixed(100_000);
        let error = is_found("[ab]*a[ab]{20}c", &text).unwrap_err();
        assert!(error.contains("too many ways"), "{error}");
        assert_eq!(is_found("[ab]*a[ab]{20}c", "aaaaaaaaaaaaaaaaaaaaaaaac"), Ok(true));
    }
}
