//! Comparisons that hold for no request: the interpreter takes values of unlike kinds for different, and finds no address in
//! a text that names a network. A rule that was meant to keep somebody out would let everybody in.

use std::net::IpAddr;

use rhai::{Expr, FnCallExpr};

use super::library::Variable;
use crate::yaml::units::Cidr;

/// What is wrong with a comparison. `own` are the script's own functions.
pub fn flaw(call: &FnCallExpr, own: &dyn Fn(&str) -> bool) -> Option<String> {
    match (call.name.as_str(), call.args.as_slice()) {
        ("==" | "!=", [one, other]) => unlike(one, other, own)
            .or_else(|| network(one, other))
            .or_else(|| never(one, other).or_else(|| never(other, one))),
        ("<" | "<=" | ">" | ">=", [one, other]) => unlike(one, other, own),
        // `other in one`
        ("contains", [one, other]) => network(one, other),
        ("!", [value]) => untrue(value, own),
        _ => None,
    }
}

/// Why a value says neither yes nor no, where that is known.
pub fn untrue(value: &Expr, own: &dyn Fn(&str) -> bool) -> Option<String> {
    let kind = Kind::of(value, own).filter(|kind| *kind != Kind::Truth)?;
    Some(format!(
        "is {}, which is neither true nor false; write what it is compared with: … == …",
        kind.name()
    ))
}

fn unlike(one: &Expr, other: &Expr, own: &dyn Fn(&str) -> bool) -> Option<String> {
    let (one, other) = (Kind::of(one, own)?, Kind::of(other, own)?);
    let hint = match (one, other) {
        (Kind::Text, Kind::Number) | (Kind::Number, Kind::Text) => "write both in quotes or neither, or parse_int(…)",
        (Kind::Nothing, _) | (_, Kind::Nothing) => "write \"\" for what is not there",
        (Kind::List, Kind::Text) | (Kind::Text, Kind::List) => "write … in … to look for one in a list",
        _ => "they never are the same",
    };
    (one != other).then(|| format!("compares {} with {}: {hint}", one.name(), other.name()))
}

fn network(one: &Expr, other: &Expr) -> Option<String> {
    let names_one = |expression: &Expr| texts(expression).iter().any(|text| is_network(text));
    let meant = is_address(other) && names_one(one) || is_address(one) && names_one(other);
    meant.then(|| "looks for the address in a text; write client in cidr(\"…\") for a network".to_owned())
}

/// What a part of a request never is.
fn never(part: &Expr, text: &Expr) -> Option<String> {
    let Expr::StringConstant(text, _) = text else {
        return None;
    };
    let has_upper = text.contains(|c: char| c.is_ascii_uppercase());
    Some(match variable(part)? {
        "method" if text.contains(|c: char| c.is_ascii_lowercase()) => {
            format!("compares the method with {text:?}; write {:?}", text.to_uppercase())
        }
        "host" if has_upper => format!("compares the host with {text:?}; write {:?}", text.to_lowercase()),
        "scheme" if !matches!(text.as_str(), "http" | "https") => {
            format!("compares the scheme with {text:?}; write \"http\" or \"https\"")
        }
        "path" if text.contains('?') => {
            format!("compares the path with {text:?}; write uri == … for a path with its query")
        }
        "path" if !text.starts_with('/') => format!("compares the path with {text:?}; write \"/{text}\""),
        "protocol" if !PROTOCOLS.contains(&text.as_str()) => {
            format!(
                "compares the protocol with {text:?}; write one of {}",
                PROTOCOLS.join(", ")
            )
        }
        "client" | "client_address" => {
            let address: IpAddr = text.parse().ok()?;
            let written = address.to_canonical().to_string();
            (written != text.as_str()).then(|| format!("compares the address with {text:?}; write {written:?}"))?
        }
        _ => return None,
    })
}

const PROTOCOLS: [&str; 3] = ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Truth,
    List,
    Nothing,
}

impl Kind {
    /// None where only a request shows it.
    pub fn of(expression: &Expr, own: &dyn Fn(&str) -> bool) -> Option<Self> {
        let call = match expression {
            Expr::StringConstant(..) => return Some(Self::Text),
            Expr::IntegerConstant(..) => return Some(Self::Number),
            Expr::BoolConstant(..) => return Some(Self::Truth),
            Expr::Array(..) => return Some(Self::List),
            Expr::Unit(_) => return Some(Self::Nothing),
            Expr::FnCall(call, _) => call,
            Expr::Dot(both, ..) => match &both.rhs {
                Expr::MethodCall(call, _) => call,
                Expr::Property(part, _) if part.2 == "len" => return Some(Self::Number),
                _ => return Self::of_variable(expression),
            },
            _ => return Self::of_variable(expression),
        };
        Self::of_function(&call.name).filter(|_| !own(&call.name))
    }

    fn of_function(name: &str) -> Option<Self> {
        Some(match name {
            "header" | "cookie" | "query" | "claim" | "capture" | "noted" | "filled" | "setting" | "sha256"
            | "hmac_sha256" | "hmac_sha256_base64" | "base64_encode" | "base64_decode" | "decode" | "encode"
            | "before" | "after" | "trim" | "to_lower" | "to_upper" | "sub_string" => Self::Text,
            "parse_int" | "bucket" | "now" | "index_of" => Self::Number,
            "starts_with" | "ends_with" | "matches" | "same" => Self::Truth,
            "headers" | "cookies" | "queries" => Self::List,
            _ => return None,
        })
    }

    fn of_variable(expression: &Expr) -> Option<Self> {
        let variable = Variable::named(variable(expression)?)?;
        Some(if variable.is_number { Self::Number } else { Self::Text })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::List => "a list",
            Self::Nothing => "nothing",
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
            ("parse_int(header(\"x\")) > \"10\"", "compares a number with a text"),
            ("bucket(cookie(\"s\")) < \"5\"", "compares a number with a text"),
            ("headers(\"x\") == \"5\"", "compares a list with a text"),
            ("header(\"x\") == ()", "write \"\" for what is not there"),
            ("!header(\"x\") == \"a\"", "is a text, which is neither"),
            ("path == \"/\" && header(\"x\")", "is a text, which is neither"),
            ("method == \"get\"", "write \"GET\""),
            ("scheme == \"HTTPS\"", "write \"http\" or"),
            ("\"Shop.Test\" == host", "write \"shop.test\""),
            ("path == \"cart\"", "write \"/cart\""),
            ("path == \"/cart?x=1\"", "write uri"),
            ("protocol == \"HTTP/2\"", "HTTP/2.0"),
            ("client == \"2001:DB8::1\"", "write \"2001:db8::1\""),
            ("header(\"x\").lenght == 5", "has no \"lenght\""),
            ("query.item == \"7\"", "has no \"item\""),
            ("filled(\"$nope\") == \"\"", "no variable \"$nope\""),
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
    fn what_is_no_condition_is_told() {
        for (condition, says) in [
            ("header(\"x\")", "is a text, which is neither"),
            ("\"true\"", "is a text, which is neither"),
            ("1", "is a number, which is neither"),
            ("client", "is a text, which is neither"),
            ("refuse(403)", "no function \"refuse\""),
            ("setting(\"x\") == \"\"", "no function \"setting\""),
        ] {
            let mistake = Program::condition(condition).err().unwrap();
            assert!(mistake.what.contains(says), "{condition}: {}", mistake.what);
        }
        for (hook, says) in [
            ("if header(\"x\") { refuse(403) }", "is a text, which is neither"),
            ("refuse(200)", "not a status from 400 to 599"),
            ("answer(99, \"x\")", "not a status from 200 to 599"),
            (
                "request.set_header(\"content-length\", \"1\")",
                "belongs to the connection",
            ),
            (
                "request.set_header(\"veil-deadline-ms\", \"1\")",
                "belongs to the connection",
            ),
            ("request.set_header(\"x\", 5)", "a header's value is a text"),
            ("request.path = \"/x\"", "cannot be set"),
            (
                "if store.count(\"x\", \"1 minute\") > 5 { refuse(403) }",
                "is not a time",
            ),
        ] {
            let text = format!("fn on_request(request) {{ {hook}; }}");
            let mistake = Program::hooks(&text, &Limits::default()).err().unwrap();
            assert!(mistake.what.contains(says), "{hook}: {}", mistake.what);
        }
        let swapped = "fn on_response(request, response) { response.set_header(\"x\", \"y\") }";
        assert!(Program::hooks(swapped, &Limits::default()).is_err());
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
        let own = "fn bucket(x) { x } fn on_request(request) { let status = \"x\"; if status == \"y\" || bucket(\"a\") == \"b\" { refuse(403); } }";
        assert!(Program::hooks(own, &Limits::default()).is_ok());
    }
}
