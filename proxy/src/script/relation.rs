//! Comparisons that hold for no request: the interpreter takes values of unlike kinds for different, and finds no address in
//! a text that names a network. A rule that was meant to keep somebody out would let everybody in.

use rhai::{Expr, FnCallExpr};

use super::library::Variable;
use crate::yaml::units::Cidr;

/// What is wrong with a comparison.
pub fn flaw(call: &FnCallExpr) -> Option<String> {
    let [one, other] = call.args.as_slice() else {
        return None;
    };
    match call.name.as_str() {
        "==" | "!=" => unlike(one, other).or_else(|| network(one, other)),
        "<" | "<=" | ">" | ">=" => unlike(one, other),
        // `other in one`
        "contains" => network(one, other),
        _ => None,
    }
}

fn unlike(one: &Expr, other: &Expr) -> Option<String> {
    let (one, other) = (Kind::of(one)?, Kind::of(other)?);
    let hint = match (one, other) {
        (Kind::Text, Kind::Number) | (Kind::Number, Kind::Text) => "write both in quotes or neither, or parse_int(…)",
        _ => "they never are the same",
    };
    (one != other).then(|| format!("compares {} with {}: {hint}", one.name(), other.name()))
}

fn network(one: &Expr, other: &Expr) -> Option<String> {
    let names_one = |expression: &Expr| texts(expression).iter().any(|text| is_network(text));
    let meant = is_address(other) && names_one(one) || is_address(one) && names_one(other);
    meant.then(|| "looks for the address in a text; write client in cidr(\"…\") for a network".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
}

impl Kind {
    /// None where only a request shows it.
    fn of(expression: &Expr) -> Option<Self> {
        const TEXTS: [&str; 6] = ["header", "cookie", "query", "claim", "capture", "noted"];
        let call = match expression {
            Expr::StringConstant(..) => return Some(Self::Text),
            Expr::IntegerConstant(..) => return Some(Self::Number),
            Expr::BoolConstant(..) => return Some(Self::Truth),
            Expr::FnCall(call, _) => call,
            Expr::Dot(both, ..) => match (&both.lhs, &both.rhs) {
                (Expr::Variable(of, ..), Expr::MethodCall(call, _)) if of.1 == "request" || of.1 == "response" => call,
                _ => return Self::of_variable(expression),
            },
            _ => return Self::of_variable(expression),
        };
        (TEXTS.contains(&call.name.as_str()) && call.args.len() == 1).then_some(Self::Text)
    }

    fn of_variable(expression: &Expr) -> Option<Self> {
        let variable = Variable::named(variable(expression)?)?;
        Some(if variable.is_number { Self::Number } else { Self::Text })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Truth => "true or false",
        }
    }
}

/// The name in `client` and `request.client`, unless the script has given it to something of its own.
fn variable(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Variable(variable, short, _) if short.is_none() && variable.0.is_none() => Some(&variable.1),
        Expr::Dot(both, ..) => match (&both.lhs, &both.rhs) {
            (Expr::Variable(of, ..), Expr::Property(part, _)) if of.1 == "request" => Some(&part.2),
            _ => None,
        },
        _ => None,
    }
}

fn is_address(expression: &Expr) -> bool {
    variable(expression) == Some("client")
}

/// What is written there, alone or in a list.
fn texts(expression: &Expr) -> Vec<String> {
    match expression {
        Expr::StringConstant(text, _) => vec![text.to_string()],
        Expr::Array(..) | Expr::DynamicConstant(..) => {
            let list = expression.get_literal_value(None);
            let list = list.and_then(|list| list.into_array().ok()).unwrap_or_default();
            list.into_iter().filter_map(|text| text.into_string().ok()).collect()
        }
        _ => Vec::new(),
    }
}

fn is_network(text: &str) -> bool {
    text.contains('/') && text.parse::<Cidr>().is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::limits::Limits;
    use super::super::program::Program;

    #[test]
    fn what_never_holds_is_a_mistake() {
        for (condition, says) in [
            ("client in \"127.0.0.0/8\"", "write client in cidr("),
            ("client !in [\"10.0.0.0/8\", \"::1\"]", "write client in cidr("),
            ("client == \"10.0.0.0/8\"", "write client in cidr("),
            ("\"10.0.0.0/8\" != client", "write client in cidr("),
            ("header(\"x\") == 1", "compares a text with a number"),
            ("status >= \"400\"", "compares a number with a text"),
            (
                "path == \"/\" && !(cookie(\"a\") == true)",
                "compares a text with true or false",
            ),
        ] {
            let mistake = Program::condition(condition).err().unwrap();
            assert!(mistake.what.contains(says), "{condition}: {}", mistake.what);
            let hook = format!("fn on_request(request) {{\n  if {condition} {{ return refuse(403); }}\n}}");
            let mistake = Program::hooks(&hook, &Limits::default()).err().unwrap();
            assert_eq!(mistake.line, 2, "{condition}");
        }
        let request = "fn on_request(request) { if request.header(\"x\") < 1 || request.client == \"::/0\" { } }";
        assert!(Program::hooks(request, &Limits::default()).is_err());
    }

    #[test]
    fn what_may_hold_is_none() {
        for condition in [
            "client in [\"192.0.2.1\", \"::1\"]",
            "client == \"192.0.2.1\"",
            "client in cidr(\"10.0.0.0/8\")",
            "header(\"x\") == \"10.0.0.0/8\"",
            "\"10.0.0.0/8\" in header(\"x\")",
            "parse_int(header(\"x\")) == 1",
            "path < \"/b\"",
        ] {
            assert!(Program::condition(condition).is_ok(), "{condition}");
        }
        let own = "fn on_request(request) { let status = \"x\"; if status == \"y\" { refuse(403); } }";
        assert!(Program::hooks(own, &Limits::default()).is_ok());
    }
}
