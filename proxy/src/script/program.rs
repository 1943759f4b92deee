//! A script that has been read: what it may do is settled here, once, and it runs from here.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Position, Scope};

use super::bounds::bounded;
use super::draft::{Decision, Draft};
use super::engine::engine;
use super::hook::{Failure, Hook, Mistake};
use super::inspect;
use super::library::{Request, Response};
use super::limits::Limits;
use super::plain::Plain;
use super::view::{Kept, Seen};
use super::wording::{uncapitalised, worded};

/// A condition or the hooks of one script, ready to run on any thread.
pub struct Program {
    engine: Arc<Engine>,
    ast: AST,
    /// The same, where it takes no interpreter.
    plain: Option<Plain>,
    limits: Limits,
    /// Each with the line that it begins in.
    hooks: Vec<(Hook, usize)>,
}

impl Program {
    /// Reads an expression that is true or false.
    ///
    /// # Errors
    /// It is none, or names what there is not.
    pub fn condition(text: &str) -> Result<Self, Mistake> {
        let limits = Limits::default();
        let engine = engine(&limits);
        let ast = engine
            .compile_expression(text)
            .map_err(|error| mistake(&error.0.to_string(), text, error.1))?;
        inspect::condition(&engine, &ast)?;
        Ok(Self {
            engine,
            plain: Plain::of(&ast),
            ast,
            limits,
            hooks: Vec::new(),
        })
    }

    /// Reads functions, of which Veil calls those that are hooks.
    ///
    /// # Errors
    /// They are none, or name what there is not.
    pub fn hooks(text: &str, limits: &Limits) -> Result<Self, Mistake> {
        if text.len() > LONGEST {
            let what = "is longer than 256 KiB; split it into several filters".to_owned();
            return Err(Mistake {
                line: 1,
                column: 1,
                what,
            });
        }
        let engine = engine(limits);
        let ast = engine
            .compile(text)
            .map_err(|error| mistake(&error.0.to_string(), text, error.1))?;
        let line = |hook: Hook| {
            let begins = format!("fn {}", hook.name());
            text.lines()
                .position(|line| line.contains(&begins))
                .map_or(0, |line| line + 1)
        };
        let hooks = inspect::hooks(&engine, &ast)?;
        let hooks = hooks.into_iter().map(|hook| (hook, line(hook))).collect();
        Ok(Self {
            engine,
            ast,
            plain: None,
            limits: limits.clone(),
            hooks,
        })
    }

    pub fn has(&self, hook: Hook) -> bool {
        self.hooks.iter().any(|(known, _)| *known == hook)
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// It goes wrong on this request, or takes too much.
    pub fn holds(&self, seen: Seen<'_>) -> Result<bool, Failure> {
        self.plain(seen).map_or_else(|| self.interpreted(seen), Ok)
    }

    pub(super) fn plain(&self, seen: Seen<'_>) -> Option<bool> {
        self.plain.as_ref().and_then(|plain| plain.holds(seen))
    }

    pub(super) fn interpreted(&self, seen: Seen<'_>) -> Result<bool, Failure> {
        let run = || self.engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &self.ast);
        let value = bounded(&self.limits, Instant::now(), || seen.shown(|| caught(run)))?;
        value.as_bool().map_err(|kind| Failure {
            line: 1,
            column: 1,
            what: format!("gives {kind}, which is neither true nor false"),
        })
    }

    /// Runs a hook, and gives back what it decides and what it wants to be done.
    ///
    /// # Errors
    /// It goes wrong on this request, or takes too much.
    pub fn run(&self, hook: Hook, seen: Seen<'_>, kept: Kept<'_>) -> Result<(Dynamic, Draft), Failure> {
        let options = || CallFnOptions::new().eval_ast(false).rewind_scope(false);
        let call = || {
            let scope = &mut Scope::new();
            match hook {
                Hook::OnResponse => {
                    self.engine
                        .call_fn_with_options(options(), scope, &self.ast, hook.name(), (Response, Request))
                }
                _ => self
                    .engine
                    .call_fn_with_options(options(), scope, &self.ast, hook.name(), (Request,)),
            }
        };
        let (value, draft) = bounded(&self.limits, Instant::now(), || seen.open(kept, || caught(call)));
        let value = value.map_err(|failure| self.placed(failure, hook))?;
        Ok((value, draft))
    }

    /// That a hook has gone wrong although the interpreter found nothing wrong.
    pub fn failure(&self, hook: Hook, what: String) -> Failure {
        let nowhere = Failure {
            line: 0,
            column: 0,
            what,
        };
        self.placed(nowhere, hook)
    }

    /// The interpreter does not say where a limit was reached: then it is the hook that has.
    fn placed(&self, failure: Failure, hook: Hook) -> Failure {
        let line = self
            .hooks
            .iter()
            .find(|(known, _)| *known == hook)
            .map_or(0, |(_, line)| *line);
        match failure.line {
            0 => Failure { line, ..failure },
            _ => failure,
        }
    }
}

/// What a hook's value says is to become of the request; nothing where it goes on.
pub fn decision(value: Dynamic) -> Option<Decision> {
    value.try_cast()
}

/// What it gives as text; nothing where it gives nothing.
pub fn text(value: Dynamic) -> Option<String> {
    (!value.is_unit())
        .then(|| value.to_string())
        .filter(|text| !text.is_empty())
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
    }
}

/// Runs the interpreter; a panic in it is the script's failure, and nobody else's.
fn caught(run: impl FnOnce() -> Result<Dynamic, Box<EvalAltResult>>) -> Result<Dynamic, Failure> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => exit(*error).map_err(failure),
        Err(panic) => Err(Failure {
            line: 0,
            column: 0,
            what: format!("panics: {}", panicked(&*panic)),
        }),
    }
}

/// What a decision has ended the script with, be it in a function that another one called.
fn exit(error: EvalAltResult) -> Result<Dynamic, EvalAltResult> {
    match error {
        EvalAltResult::Exit(value, _) => Ok(value),
        EvalAltResult::ErrorInFunctionCall(name, source, inner, place) => {
            exit(*inner).map_err(|inner| EvalAltResult::ErrorInFunctionCall(name, source, inner.into(), place))
        }
        error => Err(error),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("for no reason given")
        .to_owned()
}

fn failure(error: EvalAltResult) -> Failure {
    let mut error = error;
    let mut place = error.position();
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        error = *inner;
        place = Some(error.position()).filter(|inner| !inner.is_none()).unwrap_or(place);
    }
    let _ = error.take_position();
    let what = match error {
        EvalAltResult::ErrorTooManyOperations(_) => "it takes more operations than its limit".to_owned(),
        EvalAltResult::ErrorStackOverflow(_) => "its functions call one another deeper than its limit".to_owned(),
        EvalAltResult::ErrorTerminated(why, _) => why.to_string(),
        EvalAltResult::ErrorRuntime(what, _) => what.to_string(),
        other => uncapitalised(&other.to_string()),
    };
    Failure {
        line: place.line().unwrap_or(0),
        column: place.position().unwrap_or(0),
        what,
    }
}

/// A mistake in the interpreter's words.
fn mistake(what: &str, text: &str, place: Position) -> Mistake {
    Mistake {
        line: place.line().unwrap_or(1),
        column: place.position().unwrap_or(1),
        what: worded(what, text, place),
    }
}

/// Bytes of a script: reading takes time in proportion.
const LONGEST: usize = 256 << 10;
