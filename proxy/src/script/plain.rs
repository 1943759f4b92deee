//! Conditions that need no interpreter: what a request has is compared with what is written, joined by `&&`, `||` and `!`. Most
//! that people write are such. They mean what they mean to the interpreter; a test below asks both.

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderName;
use rhai::{AST, Expr, FnCallExpr, Stmt};

use super::library::{OfAText, Variable, bucket, is_found, length, networks, of_a_text};
use super::view::{Seen, text};
use crate::request::syntax;
use crate::yaml::units::Cidr;

/// Such a condition.
pub struct Plain(Test);

enum Test {
    Constant(bool),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Texts(Text, fn(&str, &str) -> bool, Text),
    Numbers(Number, fn(&i64, &i64) -> bool, Number),
    Within(Text, Vec<Cidr>),
    Matches(Text, Box<str>),
}

enum Text {
    Written(Box<str>),
    Variable(Variable),
    /// None where there can be no header of that name.
    Header(Option<HeaderName>),
    Cookie(Box<str>),
    Argument(Box<str>),
    Claim(Box<str>),
    Capture(Box<str>),
    Noted(Box<str>),
    Made(OfAText, Box<Text>),
    Joined(Box<[Text; 2]>),
}

enum Number {
    Written(i64),
    Variable(Variable),
    Length(Text),
    Parsed(Text),
    Bucket(Text),
}

impl Plain {
    /// None where it takes more than comparing, or as much as to need the interpreter's limits.
    pub fn of(ast: &AST) -> Option<Self> {
        let test = match ast.statements() {
            [Stmt::Expr(expression)] => Test::of(expression),
            [Stmt::FnCall(call, _)] => Test::of_call(&Call::of(call)),
            _ => None,
        }?;
        let (tests, made) = test.size();
        (tests <= MOST_TESTS && made <= MOST_MADE).then_some(Self(test))
    }

    /// None where that cannot be said here, and the interpreter knows why.
    pub fn holds(&self, seen: Seen<'_>) -> Option<bool> {
        self.0.holds(seen)
    }
}

impl Test {
    fn of(expression: &Expr) -> Option<Self> {
        let all = |expressions: &[Expr]| expressions.iter().map(Self::of).collect::<Option<Vec<_>>>();
        match expression {
            Expr::BoolConstant(held, _) => Some(Self::Constant(*held)),
            Expr::And(both, _) => all(both).map(Self::All),
            Expr::Or(either, _) => all(either).map(Self::Any),
            _ => Self::of_call(&Call::in_expression(expression)?),
        }
    }

    fn of_call(call: &Call<'_>) -> Option<Self> {
        match *call.values.as_slice() {
            [value] if call.name == "!" => Self::of(value).map(|test| Self::Not(Box::new(test))),
            [networks, address] if call.name == "contains" && is_call(networks, "cidr") => {
                Some(Self::Within(Text::of(address)?, written_networks(networks)?))
            }
            [text, expression] if call.name == "matches" => {
                Some(Self::Matches(Text::of(text)?, written(expression)?.into()))
            }
            [one, other] => Self::of_texts(call.name, one, other).or_else(|| Self::of_numbers(call.name, one, other)),
            _ => None,
        }
    }

    fn of_texts(name: &str, one: &Expr, other: &Expr) -> Option<Self> {
        let relation: fn(&str, &str) -> bool = match name {
            "==" => |one, other| one == other,
            "!=" => |one, other| one != other,
            "starts_with" => |one, other| one.starts_with(other),
            "ends_with" => |one, other| one.ends_with(other),
            "contains" => |one, other| one.contains(other),
            "<" => |one, other| one < other,
            "<=" => |one, other| one <= other,
            ">" => |one, other| one > other,
            ">=" => |one, other| one >= other,
            _ => return None,
        };
        Some(Self::Texts(Text::of(one)?, relation, Text::of(other)?))
    }

    fn of_numbers(name: &str, one: &Expr, other: &Expr) -> Option<Self> {
        let relation: fn(&i64, &i64) -> bool = match name {
            "==" => i64::eq,
            "!=" => i64::ne,
            "<" => i64::lt,
            "<=" => i64::le,
            ">" => i64::gt,
            ">=" => i64::ge,
            _ => return None,
        };
        Some(Self::Numbers(Number::of(one)?, relation, Number::of(other)?))
    }

    /// How many tests, and how many times they search for something or make a text.
    fn size(&self) -> (usize, usize) {
        let sum = |tests: &[Self]| {
            let sizes = tests.iter().map(Self::size);
            sizes.fold((1, 0), |(all, some), (tests, made)| (all + tests, some + made))
        };
        match self {
            Self::All(tests) | Self::Any(tests) => sum(tests),
            Self::Not(test) => test.size(),
            Self::Matches(text, _) => (1, 1 + text.makes()),
            Self::Texts(one, _, other) => (1, one.makes() + other.makes()),
            Self::Numbers(one, _, other) => (1, one.makes() + other.makes()),
            Self::Constant(_) | Self::Within(..) => (1, 0),
        }
    }

    fn holds(&self, seen: Seen<'_>) -> Option<bool> {
        Some(match self {
            Self::Constant(held) => *held,
            Self::All(tests) => {
                for test in tests {
                    if !test.holds(seen)? {
                        return Some(false);
                    }
                }
                true
            }
            Self::Any(tests) => {
                for test in tests {
                    if test.holds(seen)? {
                        return Some(true);
                    }
                }
                false
            }
            Self::Not(test) => !test.holds(seen)?,
            Self::Texts(one, relation, other) => relation(&one.shown(seen), &other.shown(seen)),
            Self::Numbers(one, relation, other) => relation(&one.shown(seen)?, &other.shown(seen)?),
            Self::Within(address, networks) => {
                let address: Option<IpAddr> = address.shown(seen).parse().ok();
                address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
            }
            Self::Matches(text, expression) => is_found(expression, &text.shown(seen)).ok()?,
        })
    }
}

impl Text {
    fn of(expression: &Expr) -> Option<Self> {
        match expression {
            Expr::StringConstant(text, _) => return Some(Self::Written(text.as_str().into())),
            Expr::Variable(variable, ..) => {
                let variable = Variable::named(&variable.1).filter(|variable| !variable.is_number);
                return variable.map(Self::Variable);
            }
            _ => {}
        }
        let call = Call::in_expression(expression)?;
        let name = match *call.values.as_slice() {
            [one, other] if call.name == "+" => {
                return Some(Self::Joined(Box::new([Self::of(one)?, Self::of(other)?])));
            }
            [value] => match of_a_text(call.name) {
                Some(makes) => return Some(Self::Made(makes, Box::new(Self::of(value)?))),
                None => written(value)?,
            },
            _ => return None,
        };
        Some(match call.name {
            "header" => Self::Header(HeaderName::try_from(name).ok()),
            "cookie" => Self::Cookie(name.into()),
            "query" => Self::Argument(name.into()),
            "claim" => Self::Claim(name.into()),
            "capture" => Self::Capture(name.into()),
            "noted" => Self::Noted(name.into()),
            _ => return None,
        })
    }

    /// How many texts it makes.
    fn makes(&self) -> usize {
        match self {
            Self::Made(_, text) => 1 + text.makes(),
            Self::Joined(both) => 1 + both[0].makes() + both[1].makes(),
            _ => 0,
        }
    }

    fn shown<'a>(&'a self, seen: Seen<'a>) -> Cow<'a, str> {
        let Seen { head, ctx, .. } = seen;
        let bytes = match self {
            Self::Written(text) => return Cow::Borrowed(text),
            Self::Variable(variable) => return Cow::Owned(variable.text(head, ctx)),
            Self::Claim(name) => return Cow::Owned(ctx.notes.claim(name).unwrap_or_default()),
            Self::Capture(name) => return Cow::Borrowed(ctx.notes.capture(name).unwrap_or_default()),
            Self::Noted(name) => return Cow::Borrowed(ctx.notes.noted(name).unwrap_or_default()),
            Self::Made(makes, text) => return Cow::Owned(makes(&text.shown(seen))),
            Self::Joined(both) => return both[0].shown(seen) + both[1].shown(seen),
            Self::Header(name) => name.as_ref().and_then(|name| Some(head.headers.get(name)?.as_bytes())),
            Self::Cookie(name) => syntax::cookie(head, name),
            Self::Argument(name) => syntax::argument(head.uri.query(), name),
        };
        text(bytes.unwrap_or_default())
    }
}

impl Number {
    fn of(expression: &Expr) -> Option<Self> {
        match expression {
            Expr::IntegerConstant(number, _) => return Some(Self::Written(*number)),
            Expr::Variable(variable, ..) => {
                let variable = Variable::named(&variable.1).filter(|variable| variable.is_number);
                return variable.map(Self::Variable);
            }
            Expr::Dot(both, ..) if matches!(&both.rhs, Expr::Property(part, _) if part.2 == "len") => {
                return Text::of(&both.lhs).map(Self::Length);
            }
            _ => {}
        }
        let call = Call::in_expression(expression)?;
        let [text] = *call.values.as_slice() else { return None };
        let text = Text::of(text)?;
        Some(match call.name {
            "len" => Self::Length(text),
            "parse_int" => Self::Parsed(text),
            "bucket" => Self::Bucket(text),
            _ => return None,
        })
    }

    fn makes(&self) -> usize {
        match self {
            Self::Written(_) | Self::Variable(_) => 0,
            Self::Length(text) | Self::Parsed(text) => text.makes(),
            Self::Bucket(text) => 1 + text.makes(),
        }
    }

    /// None where the interpreter knows why there is none.
    fn shown(&self, seen: Seen<'_>) -> Option<i64> {
        Some(match self {
            Self::Written(number) => *number,
            Self::Variable(variable) => variable.number(seen.head, seen.ctx),
            Self::Length(text) => length(&text.shown(seen)),
            Self::Parsed(text) => text.shown(seen).trim().parse().ok()?,
            Self::Bucket(text) => bucket(&text.shown(seen)),
        })
    }
}

/// `f(a, b)`, `a.f(b)`, `a == b`.
struct Call<'a> {
    name: &'a str,
    values: Vec<&'a Expr>,
}

impl<'a> Call<'a> {
    fn of(call: &'a FnCallExpr) -> Self {
        Self {
            name: &call.name,
            values: call.args.iter().collect(),
        }
    }

    fn in_expression(expression: &'a Expr) -> Option<Self> {
        match expression {
            Expr::FnCall(call, _) => Some(Self::of(call)),
            Expr::Dot(both, ..) => match &both.rhs {
                Expr::MethodCall(call, _) => {
                    let mut call = Self::of(call);
                    call.values.insert(0, &both.lhs);
                    Some(call)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_call(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::FnCall(call, _) if call.name == name)
}

fn written(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}

/// Of `cidr("…", "…")` or `cidr(["…"])`.
fn written_networks(expression: &Expr) -> Option<Vec<Cidr>> {
    let values = Call::in_expression(expression)?.values;
    let texts = match *values.as_slice() {
        [list @ (Expr::Array(..) | Expr::DynamicConstant(..))] => {
            let list = list.get_literal_value(None)?.into_typed_array::<String>().ok()?;
            return networks(list.iter().map(String::as_str)).ok();
        }
        _ => values.into_iter().map(written).collect::<Option<Vec<_>>>()?,
    };
    networks(texts).ok()
}

const MOST_TESTS: usize = 256;
/// For a regular expression, or that make a text.
const MOST_MADE: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::program::Program;
    use super::*;
    use crate::chance;
    use crate::request::testing::{ctx, request};

    const TESTS: &[&str] = &[
        "true",
        "false",
        "header(\"x-a\") == \"one\"",
        "header(\"X-A\") != \"one\"",
        "header(\"not a name\") == \"\"",
        "header(\"x-b\").starts_with(\"t\")",
        "ends_with(header(\"x-b\"), \"o\")",
        "\"w\" in header(\"x-b\")",
        "path.contains(\"/a\")",
        "path == uri",
        "query(\"q\") == cookie(\"q\")",
        "cookie(\"q\") == \"1\"",
        "query == \"q=1\"",
        "claim(\"sub\") == \"\"",
        "capture(\"1\") == \"first\"",
        "noted(\"n\") != \"noted\"",
        "client in cidr(\"192.0.2.0/24\")",
        "client !in cidr(\"10.0.0.0/8\", \"192.0.2.1\")",
        "client in cidr([\"10.0.0.0/8\", \"2001:db8::/32\"])",
        "path in cidr(\"10.0.0.0/8\")",
        "status == 200",
        "status >= 500",
        "client_port > 0",
        "status != 0",
        "-1 < status",
        "path.matches(\"^/[a-z]+$\")",
        "path < \"/b\"",
        "\"x\" >= header(\"x-a\")",
        "header(\"x-b\").to_upper() == \"TWO\"",
        "header(\"x-a\").to_lower().trim() != \"\u{e9}\"",
        "query(\"q\").decode() + \"/\" + path == \"1//b/a\"",
        "path.len == 2",
        "header(\"x-a\").len() < 3",
        "len(path + path) > 5",
        "parse_int(\"0\" + query(\"q\")) == 1",
        "bucket(client) < 50",
        "header(\"x-b\").matches(\"(?i)TWO\")",
    ];

    /// Joined at random.
    fn condition(next: &mut impl FnMut(usize) -> usize, depth: usize) -> String {
        match next(if depth == 0 { 1 } else { 4 }) {
            1 => format!("!({})", condition(next, depth - 1)),
            2 => format!("({} && {})", condition(next, depth - 1), condition(next, depth - 1)),
            3 => format!("({} || {})", condition(next, depth - 1), condition(next, depth - 1)),
            _ => TESTS[next(TESTS.len())].to_owned(),
        }
    }

    #[test]
    fn it_holds_where_the_interpreter_says_so() {
        let mut next = chance::below(0x2545_f491);
        let (mut plain, mut one, mut other) = (0, ctx("192.0.2.1"), ctx("2001:db8::7"));
        one.notes.captures = vec![("1".into(), "first".into())];
        other.notes.noted = vec![("n".into(), "noted".into())];
        other.notes.status = Some(503);
        let heads = [
            request("GET", "/a", &[("x-a", "one"), ("cookie", "q=1")]),
            request(
                "GET",
                "/b/a?q=1",
                &[("x-b", "two"), ("x-a", "\u{e9}"), ("cookie", "a=b; q=1")],
            ),
        ];
        let alone = TESTS.iter().map(|test| (*test).to_owned());
        let joined: Vec<String> = (0..2_000).map(|_| condition(&mut next, 3)).collect();
        for text in alone.chain(joined) {
            let program = Program::condition(&text).unwrap();
            for seen in heads
                .iter()
                .flat_map(|head| [&one, &other].map(|ctx| Seen::of(head, ctx)))
            {
                let interpreted = program.interpreted(seen).unwrap();
                assert_eq!(program.holds(seen).unwrap(), interpreted, "{text}");
                plain += usize::from(program.plain(seen) == Some(interpreted));
            }
        }
        assert!(plain > 7_000, "{plain}");
    }

    /// So many tests that two to this power are joined.
    fn balanced(power: usize) -> String {
        match power {
            0 => "status == 1".to_owned(),
            _ => format!("({0} || {0})", balanced(power - 1)),
        }
    }

    #[test]
    fn what_is_more_is_left_to_the_interpreter() {
        for text in [
            "path.split(\"/\").len == 1",
            "parse_int(query(\"q\") + \"0\") + 1 == 1",
            "header(path) == \"\"",
            "sha256(client) == \"\"",
            &[r#"path.matches("a")"#; 9].join(" && "),
            &[["path"; 10].join(" + "), "\"/\"".to_owned()].join(" == "),
            &balanced(8),
        ] {
            let (head, ctx) = (request("GET", "/", &[]), ctx("192.0.2.1"));
            assert_eq!(
                Program::condition(text).unwrap().plain(Seen::of(&head, &ctx)),
                None,
                "{text}"
            );
        }
    }
}
