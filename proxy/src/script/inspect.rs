//! What can be said of a script before it meets a request: whether all that it names is there. The interpreter itself finds
//! that out only when it gets to it.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};

use super::draft::field_name;
use super::hook::{Hook, Mistake};
use super::library;
use super::relation::{self, Kind};
use crate::request::variables::Template;
use crate::yaml::diagnostic::suggest;

/// # Errors
/// The first thing that is not right.
pub fn condition(engine: &Engine, ast: &AST) -> Result<(), Mistake> {
    let hidden = ["request", "response", "store"];
    let mut inspection = Inspection::of(engine, ast, &hidden);
    let of_hooks = ["answer", "redirect", "refuse", "setting"];
    inspection
        .functions
        .retain(|(name, _)| !of_hooks.contains(&name.as_str()));
    inspection.all(ast)?;
    match ast.statements() {
        [Stmt::Expr(expression)] => inspection.truth(expression),
        [Stmt::FnCall(call, place)] => inspection.truth(&Expr::FnCall(call.clone(), *place)),
        _ => Ok(()),
    }
}

/// The hooks that are there.
///
/// # Errors
/// The first thing that is not right.
pub fn hooks(engine: &Engine, ast: &AST) -> Result<Vec<Hook>, Mistake> {
    if let Some(statement) = ast.statements().first() {
        let what = "stands outside of functions, where nobody runs it; write fn on_request(request) { … }";
        return Err(mistake(what, statement.position()));
    }
    let mut hooks = Vec::new();
    for function in ast.iter_functions() {
        match Hook::ALL.into_iter().find(|hook| hook.name() == function.name) {
            Some(Hook::OnResponse) if function.params.first() == Some(&"request") => {
                let what = "on_response gets the response first; write fn on_response(response, request)";
                return Err(mistake(what, Position::new(1, 1)));
            }
            Some(hook) if function.params.len() == hook.parameters() => hooks.push(hook),
            Some(hook) => {
                let what = format!(
                    "{} has {} parameters; write fn {}",
                    function.name,
                    function.params.len(),
                    hook.signature()
                );
                return Err(mistake(&what, Position::new(1, 1)));
            }
            None if function.name.starts_with("on_") => {
                let known = suggest("hooks", function.name, Hook::ALL.map(Hook::name)).unwrap_or_default();
                return Err(mistake(
                    &format!("there is no hook {:?}; {known}", function.name),
                    Position::new(1, 1),
                ));
            }
            None => {}
        }
    }
    if hooks.is_empty() {
        let what = "has none of the functions that are called; write fn on_request(request) { … }";
        return Err(mistake(what, Position::new(1, 1)));
    }
    Inspection::of(engine, ast, &[]).all(ast)?;
    Ok(hooks)
}

/// The names of all functions that are not the language's own.
pub fn functions() -> Vec<String> {
    let engine = super::engine::engine(&super::limits::Limits::default());
    let names = engine.collect_fn_metadata(None, |info| Some(info.metadata.name.to_string()), false);
    let names: BTreeSet<String> = names
        .into_iter()
        .map(|name| name.trim_start_matches("get$").trim_start_matches("set$").to_owned())
        .collect();
    const REFUSED: [&str; 5] = ["sort", "sort_desc", "order", "order_by", "sort_by"];
    names
        .into_iter()
        .filter(|name| !REFUSED.contains(&name.as_str()))
        .collect()
}

struct Inspection {
    /// Names and numbers of parameters; getters are `get$NAME`, setters `set$NAME`.
    functions: BTreeSet<(String, usize)>,
    /// Names of the script's own functions.
    own: BTreeSet<String>,
    variables: BTreeSet<&'static str>,
}

impl Inspection {
    fn of(engine: &Engine, ast: &AST, hidden: &[&str]) -> Self {
        let known = engine.collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        let own = || ast.iter_functions();
        let counted = own().map(|function| (function.name.to_owned(), function.params.len()));
        Self {
            functions: known.into_iter().chain(counted).collect(),
            own: own().map(|function| function.name.to_owned()).collect(),
            variables: library::variables().filter(|name| !hidden.contains(name)).collect(),
        }
    }

    fn all(&self, ast: &AST) -> Result<(), Mistake> {
        let mut first = None;
        ast.walk(&mut |path| {
            let found = match path.last() {
                Some(ASTNode::Expr(expression)) => self.expression(expression),
                Some(ASTNode::Stmt(Stmt::FnCall(call, place))) => self.called(call, *place),
                // The condition of `loop` is nothing.
                Some(ASTNode::Stmt(Stmt::If(flow, _) | Stmt::While(flow, _)))
                    if !matches!(flow.expr, Expr::Unit(_)) =>
                {
                    self.truth(&flow.expr)
                }
                Some(ASTNode::Stmt(Stmt::Assignment(both))) => self.assigned(&both.1.lhs),
                _ => Ok(()),
            };
            first = found.err();
            first.is_none()
        });
        first.map_or(Ok(()), Err)
    }

    fn expression(&self, expression: &Expr) -> Result<(), Mistake> {
        match expression {
            Expr::Variable(variable, short, place) if short.is_none() && variable.0.is_none() => {
                self.variable(&variable.1, *place)
            }
            Expr::FnCall(call, place) => self.called(call, *place),
            Expr::MethodCall(call, place) => {
                self.function(call, 1, *place)?;
                self.constants(call, 0, *place)
            }
            Expr::Dot(both, _, _) => self.property(&both.lhs, &both.rhs),
            Expr::And(all, _) | Expr::Or(all, _) => all.iter().try_for_each(|one| self.truth(one)),
            _ => Ok(()),
        }
    }

    /// That a value may say yes or no.
    fn truth(&self, value: &Expr) -> Result<(), Mistake> {
        match relation::untrue(value, &|name| self.own.contains(name)) {
            Some(what) => Err(mistake(&what, value.start_position())),
            None => Ok(()),
        }
    }

    /// Parts of the request and the answer that are changed by functions.
    fn assigned(&self, to: &Expr) -> Result<(), Mistake> {
        let Expr::Dot(both, _, _) = to else { return Ok(()) };
        let (Expr::Variable(of, _, _), Expr::Property(part, place)) = (&both.lhs, &both.rhs) else {
            return Ok(());
        };
        let (of, name) = (of.1.as_str(), part.2.as_str());
        let has_setter = of == "response" && name == "status";
        if !matches!(of, "request" | "response") || has_setter {
            return Ok(());
        }
        let what = match self.functions.contains(&(format!("set_{name}"), 2)) {
            true => format!("{of}.{name} cannot be set; write {of}.set_{name}(…)"),
            false => format!("{of}.{name} cannot be set"),
        };
        Err(mistake(&what, *place))
    }

    fn called(&self, call: &FnCallExpr, place: Position) -> Result<(), Mistake> {
        if let Some(flaw) = relation::flaw(call, &|name| self.own.contains(name)) {
            return Err(mistake(&flaw, place));
        }
        if call.op_token.is_some() {
            return Ok(());
        }
        self.function(call, 0, place)?;
        self.constants(call, 1, place)
    }

    fn variable(&self, name: &str, place: Position) -> Result<(), Mistake> {
        if self.variables.contains(name) {
            return Ok(());
        }
        if self.functions.iter().any(|(known, _)| known == name) {
            let what = format!("{name:?} is a function; write {name}(\"…\")");
            return Err(mistake(&what, place));
        }
        let known = suggest("variables", name, self.variables.iter().copied()).unwrap_or_default();
        Err(mistake(&format!("there is no {name:?}; {known}"), place))
    }

    /// `implied` is what stands before the dot.
    fn function(&self, call: &FnCallExpr, implied: usize, place: Position) -> Result<(), Mistake> {
        const OF_THE_LANGUAGE: [&str; 6] = ["type_of", "call", "Fn", "is_shared", "is_def_var", "is_def_fn"];
        let (name, count) = (call.name.as_str(), call.args.len() + implied);
        let is_function = |parameters: usize| self.functions.contains(&(name.to_owned(), parameters));
        if OF_THE_LANGUAGE.contains(&name) || is_function(count) || implied > 0 && is_function(call.args.len()) {
            return Ok(());
        }
        if name == "not" {
            return Err(mistake("there is no function \"not\"; write !(…)", place));
        }
        let counts: Vec<String> = self
            .functions
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, count)| count.to_string())
            .collect();
        if !counts.is_empty() {
            let what = format!("{name} takes {} values, not {count}", counts.join(" or "));
            return Err(mistake(&what, place));
        }
        let names = self
            .functions
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with(|c: char| c.is_alphabetic()) && !name.contains('$'));
        let near: BTreeSet<&str> = names
            .filter(|known| crate::yaml::diagnostic::is_near(name, known))
            .collect();
        let meant = suggest("similar ones", name, near)
            .map(|help| format!("; {help}"))
            .unwrap_or_default();
        Err(mistake(&format!("there is no function {name:?}{meant}"), place))
    }

    /// What belongs to the request and the answer is known.
    fn property(&self, of: &Expr, part: &Expr) -> Result<(), Mistake> {
        if let (Some(Kind::Text), Expr::Property(part, place)) = (self.kind(of), part)
            && part.2 != "len"
        {
            return Err(mistake(
                &format!("a text has no {:?}; write len for its length", part.2),
                *place,
            ));
        }
        let Expr::Variable(variable, _, _) = of else {
            return Ok(());
        };
        let part = match part {
            Expr::Dot(both, _, _) | Expr::Index(both, _, _) => &both.lhs,
            part => part,
        };
        let (Expr::Property(property, place), "request" | "response") = (part, variable.1.as_str()) else {
            return Ok(());
        };
        let name = property.2.as_str();
        if self.functions.contains(&(format!("get${name}"), 1)) {
            return Ok(());
        }
        let getters = self.functions.iter().filter_map(|(name, _)| name.strip_prefix("get$"));
        let known = suggest("its parts", name, getters).unwrap_or_default();
        Err(mistake(&format!("{} has no {name:?}; {known}", variable.1), *place))
    }

    fn kind(&self, of: &Expr) -> Option<Kind> {
        Kind::of(of, &|name| self.own.contains(name))
    }

    /// What is made of a text once, when the script is read, has to be written in it.
    fn constants(&self, call: &FnCallExpr, skip: usize, place: Position) -> Result<(), Mistake> {
        match call.name.as_str() {
            "cidr" => {
                let texts = call.args.iter().filter_map(written);
                library::networks(texts)
                    .map_err(|what| mistake(&what, place))
                    .map(|_| ())
            }
            "matches" => {
                let Some(expression) = call.args.get(skip) else {
                    return Ok(());
                };
                let what = "has an expression that is made while it runs; write it in the script, in quotes";
                let text =
                    written(expression).ok_or_else(|| mistake(&format!("matches {what}"), expression.position()))?;
                library::prepare(text).map_err(|what| mistake(&what, expression.position()))
            }
            "filled" => match call.args.first().and_then(written) {
                Some(text) => Template::parse(text).map(drop).map_err(|what| mistake(&what, place)),
                None => Ok(()),
            },
            name if self.own.contains(name) => Ok(()),
            name => literals(name, &call.args).map_err(|what| mistake(&what, place)),
        }
    }
}

/// What is wrong with values that are written there.
fn literals(function: &str, values: &[Expr]) -> Result<(), String> {
    match (function, values) {
        ("refuse", [code, ..]) => number(code).map_or(Ok(()), |code| library::status(code, 400..=599).map(drop)),
        ("answer", [code, _, ..]) => number(code).map_or(Ok(()), |code| library::status(code, 200..=599).map(drop)),
        ("redirect", [code, _]) => number(code).map_or(Ok(()), |code| library::status(code, 300..=399).map(drop)),
        ("set_header" | "add_header", [_, value]) if number(value).is_some() => {
            Err("a header's value is a text; write it in quotes, or \"\" + …".to_owned())
        }
        ("set_header" | "add_header" | "remove_header", [name, ..]) => {
            written(name).map_or(Ok(()), |name| field_name(name).map(drop))
        }
        ("count", [_, time]) | ("set", [_, _, time]) => {
            written(time).map_or(Ok(()), |time| library::time(time).map(drop))
        }
        _ => Ok(()),
    }
}

fn number(expression: &Expr) -> Option<i64> {
    match expression {
        Expr::IntegerConstant(number, _) => Some(*number),
        _ => None,
    }
}

fn written(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}

fn mistake(what: &str, place: Position) -> Mistake {
    Mistake {
        line: place.line().unwrap_or(1),
        column: place.position().unwrap_or(1),
        what: what.to_owned(),
    }
}
