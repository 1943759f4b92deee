//! The request: its head as it came, with what the script itself has changed, and what Veil knows of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use pingora::http::RequestHeader;
use rhai::{Array, Dynamic, Engine};

use super::outcome::{Outcome, change, change_request, failure};
use crate::request::RequestCtx;
use crate::request::syntax;
use crate::request::target::Target;
use crate::request::variables::{Known, Template};
use crate::script::draft::field_value;
use crate::script::library::answers::Response;
use crate::script::library::remembered::Remembered;
use crate::script::view;

/// Stands for the request that is shown.
#[derive(Clone, Copy)]
pub struct Request;

/// The names of all that stands for itself: `path`, `client`.
pub fn variables() -> impl Iterator<Item = &'static str> {
    all().keys().copied().chain(["request", "response", "store"])
}

pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Request>("Request");
    for (name, variable) in all().keys().filter_map(|name| Some((*name, Variable::named(name)?))) {
        engine.register_get(name, move |_: &mut Request| variable.shown());
    }
    #[allow(deprecated, reason = "it is not deprecated, but said to be volatile")]
    engine.on_var(|name, place, _| match place {
        0 => Ok(named(name)),
        _ => Ok(None),
    });
    engine
        .register_fn("header", |name: &str| view::first_request_field(name))
        .register_fn("header", |_: &mut Request, name: &str| view::first_request_field(name))
        .register_fn("headers", |name: &str| list(view::request_field(name)))
        .register_fn("headers", |_: &mut Request, name: &str| list(view::request_field(name)))
        .register_fn("cookie", cookie)
        .register_fn("cookie", |_: &mut Request, name: &str| cookie(name))
        .register_fn("query", argument)
        .register_fn("query", |_: &mut Request, name: &str| argument(name))
        .register_fn("cookies", |name: &str| list(cookies(name)))
        .register_fn("cookies", |_: &mut Request, name: &str| list(cookies(name)))
        .register_fn("queries", |name: &str| list(arguments(name)))
        .register_fn("queries", |_: &mut Request, name: &str| list(arguments(name)))
        .register_fn("filled", filled)
        .register_fn("claim", claim)
        .register_fn("claim", |_: &mut Request, name: &str| claim(name))
        .register_fn("capture", capture)
        .register_fn("capture", |_: &mut Request, name: &str| capture(name))
        .register_fn("noted", noted)
        .register_fn("noted", |_: &mut Request, name: &str| noted(name));
    register_changes(engine);
}

fn register_changes(engine: &mut Engine) {
    engine
        .register_fn("set_header", |_: &mut Request, name: &str, value: &str| {
            change_request(|draft| draft.request.set(name, value))
        })
        .register_fn("add_header", |_: &mut Request, name: &str, value: &str| {
            change_request(|draft| draft.request.add(name, value))
        })
        .register_fn("remove_header", |_: &mut Request, name: &str| {
            change_request(|draft| draft.request.remove(name))
        })
        .register_fn("set_cookie", |_: &mut Request, name: &str, value: &str| {
            set_cookie(name, Some(value))
        })
        .register_fn("remove_cookie", |_: &mut Request, name: &str| set_cookie(name, None))
        .register_fn("set_path", |_: &mut Request, path: &str| {
            retarget(|target| target.with_path(path))
        })
        .register_fn("set_query", |_: &mut Request, query: &str| {
            retarget(|target| target.with_query(query))
        })
        .register_fn("note", |_: &mut Request, name: &str, text: &str| {
            change(|draft| {
                if draft.notes.len() >= MOST_NOTES {
                    return Err(format!("a request has at most {MOST_NOTES} notes"));
                }
                draft.notes.retain(|(known, _)| **known != *name);
                draft.notes.push((name.into(), text.into()));
                Ok(())
            })
        });
}

/// What a request has, under a name that stands for itself.
#[derive(Clone, Copy)]
pub struct Variable {
    known: &'static Known,
    /// 0 where that is unknown; all else is text.
    pub is_number: bool,
}

impl Variable {
    pub fn named(name: &str) -> Option<Self> {
        all().get(name).map(|(known, is_number)| Self {
            known,
            is_number: *is_number,
        })
    }

    pub fn text(self, head: &RequestHeader, ctx: &RequestCtx) -> String {
        let bytes = self.known.bytes(head, ctx);
        String::from_utf8(bytes).unwrap_or_else(|error| view::text(error.as_bytes()).into_owned())
    }

    pub fn number(self, head: &RequestHeader, ctx: &RequestCtx) -> i64 {
        self.text(head, ctx).parse().unwrap_or(0)
    }

    fn shown(self) -> Dynamic {
        match self.is_number {
            true => view::request(|head, ctx| self.number(head, ctx)).unwrap_or(0).into(),
            false => view::request(|head, ctx| self.text(head, ctx))
                .unwrap_or_default()
                .into(),
        }
    }
}

/// Each with whether it is a number.
fn all() -> &'static HashMap<&'static str, (Known, bool)> {
    static ALL: OnceLock<HashMap<&'static str, (Known, bool)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let short = [("client", "client_address"), ("uri", "request_uri")];
        let short = short.into_iter().flat_map(|(short, long)| {
            let found = Known::all().find(|(name, _)| *name == long);
            found.map(|(_, known)| (short, known))
        });
        let all = Known::all().chain(short);
        all.map(|(name, known)| (name, (known, NUMBERS.contains(&name))))
            .collect()
    })
}

fn named(name: &str) -> Option<Dynamic> {
    match name {
        "request" => Some(Dynamic::from(Request)),
        "response" => Some(Dynamic::from(Response)),
        "store" => Some(Dynamic::from(Remembered)),
        _ => Variable::named(name).map(Variable::shown),
    }
}

fn list(values: Vec<String>) -> Array {
    values.into_iter().map(Dynamic::from).collect()
}

fn cookie(name: &str) -> String {
    let changed = view::draft(|draft| draft.request.over("cookie", Vec::new())).unwrap_or_default();
    if let Some(line) = changed.first() {
        let pairs = line.split(';').filter_map(|pair| pair.trim().split_once('='));
        return pairs
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default();
    }
    let read = view::request(|head, _| syntax::cookie(head, name).map(|value| view::text(value).into_owned()));
    read.flatten().unwrap_or_default()
}

fn set_cookie(name: &str, value: Option<&str>) -> Outcome<()> {
    let lines = view::request_field("cookie").join("; ");
    let others = lines.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> = others
        .filter(|pair| pair.split('=').next() != Some(name))
        .map(str::to_owned)
        .collect();
    if !syntax::is_token(name.as_bytes()) || value.is_some_and(|value| value.contains([';', ' ', '"', ','])) {
        return Err(failure(format!(
            "{name:?} is no cookie's name, or its value cannot stand in one"
        )));
    }
    pairs.extend(value.map(|value| format!("{name}={value}")));
    match pairs.is_empty() {
        true => change_request(|draft| draft.request.remove("cookie")),
        false => change_request(|draft| draft.request.set("cookie", &pairs.join("; "))),
    }
}

/// Those that clients send twice too.
fn cookies(name: &str) -> Vec<String> {
    let lines = view::request_field("cookie");
    let pairs = lines.iter().flat_map(|line| line.split(';'));
    let named = pairs.filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    named.map(str::to_owned).collect()
}

fn arguments(name: &str) -> Vec<String> {
    let read = |head: &RequestHeader, _: &RequestCtx| {
        let pairs = head.uri.query().unwrap_or_default().split('&');
        let named = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        named.map(str::to_owned).collect::<Vec<_>>()
    };
    view::request(read).unwrap_or_default()
}

fn argument(name: &str) -> String {
    let read =
        view::request(|head, _| syntax::argument(head.uri.query(), name).map(|value| view::text(value).into_owned()));
    read.flatten().unwrap_or_default()
}

/// A text with variables, as templates have them. Those that scripts hold are written in them, so that each is taken apart once.
fn filled(text: &str) -> Outcome<String> {
    thread_local! {
        static KNOWN: RefCell<HashMap<Box<str>, Arc<Template>>> = RefCell::default();
    }
    let known = KNOWN.with_borrow(|known| known.get(text).map(Arc::clone));
    let template = match known {
        Some(template) => template,
        None => {
            let template = Arc::new(Template::parse(text).map_err(failure)?);
            KNOWN.with_borrow_mut(|known| {
                if known.len() >= MOST_TEMPLATES {
                    known.clear();
                }
                known.insert(text.into(), Arc::clone(&template));
            });
            template
        }
    };
    let filled = view::request(|head, ctx| view::text(&template.bytes(head, ctx)).into_owned());
    Ok(filled.unwrap_or_default())
}

fn claim(name: &str) -> String {
    view::request(|_, ctx| ctx.notes.claim(name))
        .flatten()
        .unwrap_or_default()
}

fn capture(name: &str) -> String {
    view::request(|_, ctx| ctx.notes.capture(name).map(str::to_owned))
        .flatten()
        .unwrap_or_default()
}

fn noted(name: &str) -> String {
    let own = view::draft(|draft| {
        draft
            .notes
            .iter()
            .find(|(known, _)| **known == *name)
            .map(|(_, text)| text.to_string())
    });
    let before = || view::request(|_, ctx| ctx.notes.noted(name).map(str::to_owned)).flatten();
    own.flatten().or_else(before).unwrap_or_default()
}

/// Another target for backends, from what the script has made of it so far.
fn retarget(with: impl FnOnce(&Target) -> Option<Box<str>>) -> Outcome<()> {
    let drafted = view::draft(|draft| draft.target.clone()).flatten();
    let target = match &drafted {
        Some(target) => Some(Target::from(&**target)),
        None => view::request(Target::of),
    };
    let made = target
        .and_then(|target| with(&target))
        .ok_or_else(|| failure("that cannot be asked for"))?;
    field_value("target", &made).map_err(failure)?;
    change_request(|draft| {
        draft.target = Some(made);
        Ok(())
    })
}

const NUMBERS: [&str; 14] = [
    "client_port",
    "connection",
    "connection_requests",
    "connections_accepted",
    "connections_active",
    "connections_reading",
    "connections_requests",
    "connections_waiting",
    "connections_writing",
    "duration_ms",
    "server_port",
    "status",
    "upstream_ms",
    "upstream_status",
];
const MOST_NOTES: usize = 16;
/// That a thread remembers.
const MOST_TEMPLATES: usize = 1000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use crate::request::testing::{ctx, request};
    use crate::script::{Hook, Kept, Limits, Program, Seen, Store};

    #[test]
    fn names_of_ones_own_come_before_those_of_the_request() {
        let (store, settings) = (Store::default(), BTreeMap::new());
        let kept = Kept {
            store: &store,
            settings: &settings,
        };
        let (head, ctx) = (request("GET", "/there", &[]), ctx("192.0.2.1"));
        for body in [
            "let path = 1; path",
            "let path = 0; path += 1; path",
            "let path = 0; if true { let path = 7; path += 1; } path + 1",
            "let path = 0; for key in 0..2 { path = key; } path",
            "[1].map(|path| path)[0]",
            "let path = 0; while path < 1 { path += 1; } path",
            "own(1)",
            "let path = #{ path: 1 }; path.path",
            "switch 1 { 1 => { let path = 1; path } _ => 0 }",
            "try { throw 1 } catch (path) { return path; }",
            "{ let path = 7; } if path == \"/there\" { 1 } else { 0 }",
        ] {
            let text = format!("fn own(path) {{ path }}\nfn key(request) {{ {body} }}");
            let program =
                Program::hooks(&text, &Limits::default()).unwrap_or_else(|mistake| panic!("{body}: {mistake:?}"));
            let (value, _) = program.run(Hook::Key, Seen::of(&head, &ctx), kept).unwrap();
            assert_eq!(value.as_int(), Ok(1), "{body}");
        }
    }
}
