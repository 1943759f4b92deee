//! How things were before a filter saw them, and what is otherwise since, in words.

use http::{HeaderMap, HeaderName, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use crate::request::RequestCtx;

/// Of a request.
pub struct Before {
    fields: HeaderMap,
    target: Option<Box<str>>,
    pool: Option<Box<str>>,
    key: Option<Box<str>>,
    noted: Vec<(Box<str>, Box<str>)>,
    failed: Option<Box<str>>,
}

/// Of an answer.
pub struct AnswerBefore {
    status: StatusCode,
    fields: HeaderMap,
    failed: Option<Box<str>>,
}

impl Before {
    pub fn of(head: &RequestHeader, ctx: &RequestCtx) -> Self {
        Self {
            fields: head.headers.clone(),
            target: ctx.notes.target.clone(),
            pool: ctx.notes.wanted_pool.clone(),
            key: ctx.notes.key.clone(),
            noted: ctx.notes.noted.clone(),
            failed: ctx.notes.failed_script.told(),
        }
    }

    pub fn effects(&self, head: &RequestHeader, ctx: &RequestCtx) -> Vec<String> {
        let notes = &ctx.notes;
        let mut effects = on_fields(&self.fields, &head.headers);
        effects.extend(changed("asks backends for", &self.target, &notes.target));
        effects.extend(changed("chooses pool", &self.pool, &notes.wanted_pool));
        effects.extend(changed("tells apart by", &self.key, &notes.key));
        let noted = notes.noted.iter().filter(|note| !self.noted.contains(note));
        effects.extend(noted.map(|(name, text)| format!("notes {name}: {text}")));
        effects.extend(changed("fails at", &self.failed, &notes.failed_script.told()));
        effects
    }
}

impl AnswerBefore {
    pub fn of(head: &ResponseHeader, ctx: &RequestCtx) -> Self {
        Self {
            status: head.status,
            fields: head.headers.clone(),
            failed: ctx.notes.failed_script.told(),
        }
    }

    pub fn effects(&self, head: &ResponseHeader, ctx: &RequestCtx) -> Vec<String> {
        let mut effects = on_fields(&self.fields, &head.headers);
        let is_other = self.status != head.status;
        effects.extend(is_other.then(|| format!("makes the status {}", head.status.as_u16())));
        effects.extend(changed("fails at", &self.failed, &ctx.notes.failed_script.told()));
        effects
    }
}

fn on_fields(before: &HeaderMap, after: &HeaderMap) -> Vec<String> {
    let (mut effects, mut told) = (Vec::new(), Vec::new());
    for name in after.keys().chain(before.keys()) {
        let (was, is) = (shown(before, name), shown(after, name));
        if was != is && !told.contains(&name) {
            told.push(name);
            effects.push(is.map_or_else(|| format!("removes {name}"), |is| format!("sets {name}: {is}")));
        }
    }
    effects
}

fn changed(what: &str, was: &Option<Box<str>>, is: &Option<Box<str>>) -> Option<String> {
    is.as_ref().filter(|_| was != is).map(|is| format!("{what} {is}"))
}

/// All values of a field; nothing where there is none.
pub fn shown(fields: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = fields
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}
