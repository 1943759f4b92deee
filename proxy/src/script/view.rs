//! What a script sees, for the time of one call: borrowed, and read only as far as it is asked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use scoped_tls::scoped_thread_local;

use super::draft::Draft;
use super::store::Store;
use crate::request::RequestCtx;

scoped_thread_local!(static HEAD: RequestHeader);
scoped_thread_local!(static CTX: RequestCtx);
scoped_thread_local!(static ANSWER: ResponseHeader);
scoped_thread_local!(static STORE: Store);
scoped_thread_local!(static SETTINGS: BTreeMap<String, String>);
scoped_thread_local!(static DRAFT: RefCell<Draft>);

/// A request and, where there is one yet, the head of its answer.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub head: &'a RequestHeader,
    pub ctx: &'a RequestCtx,
    pub answer: Option<&'a ResponseHeader>,
}

/// What a hook has beside the request.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// Shared by all.
    pub store: &'a Store,
    /// The script's own.
    pub settings: &'a BTreeMap<String, String>,
}

impl<'a> Seen<'a> {
    pub fn of(head: &'a RequestHeader, ctx: &'a RequestCtx) -> Self {
        Self {
            head,
            ctx,
            answer: None,
        }
    }

    /// Shows it to what runs within, which can only look.
    pub fn shown<T>(&self, run: impl FnOnce() -> T) -> T {
        HEAD.set(self.head, || {
            CTX.set(self.ctx, || match self.answer {
                Some(answer) => ANSWER.set(answer, run),
                None => run(),
            })
        })
    }

    /// Shows it to what runs within, and notes what that wants to be done.
    pub fn open<T>(&self, kept: Kept<'_>, run: impl FnOnce() -> T) -> (T, Draft) {
        let draft = RefCell::default();
        let within = || STORE.set(kept.store, || SETTINGS.set(kept.settings, || DRAFT.set(&draft, run)));
        let result = self.shown(within);
        (result, draft.into_inner())
    }
}

/// The request that is shown; none where a script is only looked at.
pub fn request<T>(read: impl FnOnce(&RequestHeader, &RequestCtx) -> T) -> Option<T> {
    let is_shown = HEAD.is_set() && CTX.is_set();
    is_shown.then(|| HEAD.with(|head| CTX.with(|ctx| read(head, ctx))))
}

/// The head of its answer, where there is one.
pub fn answer<T>(read: impl FnOnce(&ResponseHeader) -> T) -> Option<T> {
    ANSWER.is_set().then(|| ANSWER.with(read))
}

/// What hooks remember; none in conditions.
pub fn store<T>(with: impl FnOnce(&Store) -> T) -> Option<T> {
    STORE.is_set().then(|| STORE.with(with))
}

/// A setting of the script's; none in conditions, and where there is no such one.
pub fn setting(name: &str) -> Option<String> {
    SETTINGS
        .is_set()
        .then(|| SETTINGS.with(|settings| settings.get(name).cloned()))
        .flatten()
}

/// What is to be done; none in conditions, which do nothing.
pub fn draft<T>(with: impl FnOnce(&mut Draft) -> T) -> Option<T> {
    DRAFT
        .is_set()
        .then(|| DRAFT.with(|draft| with(&mut draft.borrow_mut())))
}

/// All values of a field of the request, with what the script itself has done to it.
pub fn request_field(name: &str) -> Vec<String> {
    let there = request(|head, _| texts(&head.headers, name)).unwrap_or_default();
    draft(|draft| draft.request.over(name, there.clone())).unwrap_or(there)
}

/// The first value, without a list.
pub fn first_request_field(name: &str) -> String {
    let is_untouched = draft(|draft| draft.request.is_empty()).unwrap_or(true);
    if is_untouched {
        let first = |head: &RequestHeader, _: &RequestCtx| {
            head.headers.get(name).map(|value| text(value.as_bytes()).into_owned())
        };
        return request(first).flatten().unwrap_or_default();
    }
    request_field(name).into_iter().next().unwrap_or_default()
}

/// All values of a field of the answer, with what the script itself has done to it.
pub fn answer_field(name: &str) -> Vec<String> {
    let there = answer(|head| texts(&head.headers, name)).unwrap_or_default();
    draft(|draft| draft.answer.over(name, there.clone())).unwrap_or(there)
}

fn texts(fields: &HeaderMap, name: &str) -> Vec<String> {
    let values = HeaderName::try_from(name).map(|name| {
        fields
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .map(|value| text(value).into_owned())
            .collect()
    });
    values.unwrap_or_default()
}

/// Bytes of a head as text; what is no UTF-8 is replaced.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
