//! What is found out about a request on its way: by the listener, the route, its filters, and the backends that were asked.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use serde_json::{Map, Value};

pub use super::connection::Keeping;
use super::connection::OnConnection;
use super::path::Slashes;
use super::spelling::Spelling;
use super::trace::Trace;
use super::traffic::Traffic;

/// Plain HTTP where TLS is spoken. Nginx has this number for it, and answers with 400.
pub const PLAIN_HTTP: u16 = 497;

/// For filters, templates and the access line. All of it may be unknown.
#[derive(Debug, Default)]
pub struct Notes {
    /// Path and query that backends get in the place of the client's.
    pub target: Option<Box<str>>,
    /// What becomes of several slashes in a row in its path, as its listener says.
    pub slashes: Slashes,
    /// How the client has sent its target, where it is known in another spelling.
    pub spelling: Option<Arc<Spelling>>,
    /// The beginning of the client's path was taken away, for what it asks for does not know of it.
    pub is_stripped: bool,
    /// Veil's end of the connection.
    pub server: Option<SocketAddr>,
    pub tls: Option<Arc<TlsFacts>>,
    /// What a stranger has said in X-Forwarded-For, which nobody else hears of.
    pub unproved: Vec<HeaderValue>,
    /// None for a request that came by none.
    pub connection: Option<Arc<dyn OnConnection>>,
    pub route: Option<Arc<str>>,
    pub pool: Option<Arc<str>>,
    /// Who was asked, one after another.
    pub asked: Vec<Asked>,
    /// What the backend answered, and how long it took to begin.
    pub upstream: Option<(u16, Duration)>,
    /// What the groups of the route's regular expression have taken, by number and by name.
    pub captures: Vec<(Box<str>, Box<str>)>,
    /// Who has proved to be whom, by a password.
    pub user: Option<Box<str>>,
    /// The name of the key that was shown.
    pub api_key: Option<Arc<str>>,
    pub claims: Option<Arc<Map<String, Value>>>,
    pub trace: Option<Trace>,
    /// What the backend says of its steps, where a collector is told of the trace.
    pub server_timing: Option<HeaderValue>,
    /// What filters and scripts have noted, by name.
    pub noted: Vec<(Box<str>, Box<str>)>,
    /// What is noted while the answer is looked at, for the log.
    pub late: Mutex<Vec<(Box<str>, Box<str>)>>,
    /// The pool that a script has chosen.
    pub wanted_pool: Option<Box<str>>,
    /// What a script tells the request apart by, in the place of what its pool says.
    pub key: Option<Box<str>>,
    /// By which backends are asked, in the place of the client's.
    pub method: Option<Method>,
    /// The client's own, where the request has another by now.
    pub sent_method: Option<Method>,
    /// What has counted it: nothing counts it twice, however many routes it passes.
    pub counted: Vec<usize>,
    /// How often it was sent from one route to another.
    pub jumps: u8,
    /// Another route answers in place of the one that would have given an error; it is not asked twice.
    pub is_handed_over: bool,
    /// The status of that error, for an answer that is none.
    pub answer_with: Option<u16>,
    /// Where the answer that gave way would have sent the client.
    pub location: Option<HeaderValue>,
    /// Which conditions of filters hold for it, by their numbers.
    pub conditions: Vec<(u32, bool)>,
    /// The script that has failed last.
    pub failed_script: FailedScript,
    /// The number by which pages know an error that is told of with another status: see [`PLAIN_HTTP`].
    pub known_as: Option<u16>,
    /// Of the answer that goes to the client.
    pub status: Option<u16>,
    /// `Content-Type` of the same.
    pub answer_type: Option<HeaderValue>,
    /// How fast the answer may go.
    pub pace: Option<Pace>,
    /// How long its connection is kept; as the listener says unless given.
    pub keeping: Option<Keeping>,
    /// Fields of a backend's answer that a log tells of.
    pub of_backend: Vec<(HeaderName, HeaderValue)>,
    /// What is given back when the request ends.
    pub held: Vec<Held>,
}

/// A backend that was asked, and what came of it: its status, or that which says why there was none.
#[derive(Debug)]
pub struct Asked {
    pub backend: Box<str>,
    pub status: u16,
    /// What has passed, where a log tells of it.
    pub traffic: Option<Arc<Traffic>>,
    /// Another route than the one before has asked it.
    pub is_of_next_route: bool,
}

/// What the handshake has told of a connection.
#[derive(Debug, Default)]
pub struct TlsFacts {
    /// `TLSv1.3`
    pub version: &'static str,
    /// The client has resumed a session.
    pub is_resumed: bool,
    pub server_name: Option<Box<str>>,
    pub client: Option<ClientCertificate>,
}

/// A certificate that a client has shown, and that was found good.
#[derive(Debug)]
pub struct ClientCertificate {
    /// `CN=…,O=…`, as RFC 4514 writes it.
    pub subject: Box<str>,
    /// SHA-256, in hexadecimal digits.
    pub fingerprint: Box<str>,
}

/// How fast an answer's body may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes that go as fast as the client takes them.
    pub after: u64,
}

/// The name of a script with its line, and why it has failed. Who only looks at a request may fail too; so it is behind a lock
/// of the request's own.
#[derive(Debug, Default)]
pub struct FailedScript(Mutex<Option<(Box<str>, Box<str>)>>);

impl FailedScript {
    pub fn set(&self, place: impl Into<Box<str>>, why: impl Into<Box<str>>) {
        *self.0.lock() = Some((place.into(), why.into()));
    }

    /// Where, which everybody may know.
    pub fn place(&self) -> Option<Box<str>> {
        self.0.lock().as_ref().map(|(place, _)| place.clone())
    }

    /// Where and why, for those who operate Veil.
    pub fn told(&self) -> Option<Box<str>> {
        let failed = self.0.lock();
        failed.as_ref().map(|(place, why)| format!("{place}: {why}").into())
    }
}

/// Something that a filter has taken for as long as the request lasts.
pub struct Held(#[allow(dead_code, reason = "dropping it is what it is for")] pub Box<dyn Any + Send + Sync>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Notes {
    /// What a group of the route's regular expression has taken.
    pub fn capture(&self, name: &str) -> Option<&str> {
        let found = self.captures.iter().find(|(known, _)| **known == *name);
        found.map(|(_, text)| &**text)
    }

    /// Gives the head that a backend gets the target and the method that filters have made.
    pub fn say_otherwise(&self, head: &mut RequestHeader) -> pingora::Result<()> {
        if let Some(target) = &self.target {
            head.set_raw_path(target.as_bytes())?;
        }
        if let Some(method) = &self.method {
            head.set_method(method.clone());
        }
        Ok(())
    }

    /// What was noted so; none where nothing was.
    pub fn noted(&self, name: &str) -> Option<&str> {
        let found = self.noted.iter().find(|(known, _)| **known == *name);
        found.map(|(_, text)| &**text)
    }

    /// Notes a text under a name, in the place of what was noted under it before.
    pub fn note(&mut self, name: &str, text: impl Into<Box<str>>) {
        let text = text.into();
        match self.noted.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, noted)) => *noted = text,
            None => self.noted.push((name.into(), text)),
        }
    }

    /// Whether something counts the request for the first time.
    pub fn counts<T>(&mut self, counter: &Arc<T>) -> bool {
        let counter = Arc::as_ptr(counter).addr();
        let is_new = !self.counted.contains(&counter);
        if is_new {
            self.counted.push(counter);
        }
        is_new
    }

    /// Appends something of all who were asked, as Nginx writes it: `a, b : c`, where `c` is of another route.
    pub fn push_asked(&self, text: &mut Vec<u8>, push: impl Fn(&Asked, &mut Vec<u8>)) {
        for (place, asked) in self.asked.iter().enumerate() {
            match place {
                0 => {}
                _ if asked.is_of_next_route => text.extend_from_slice(b" : "),
                _ => text.extend_from_slice(b", "),
            }
            push(asked, text);
        }
    }

    /// Notes a text for those who can only look at the request; it is there once [`Self::take_late`] was called.
    pub fn note_late(&self, name: &str, text: impl Into<Box<str>>) {
        self.late.lock().push((name.into(), text.into()));
    }

    pub fn take_late(&mut self) {
        for (name, text) in std::mem::take(self.late.get_mut()) {
            self.note(&name, text);
        }
    }

    /// A claim as text; one that is not text is written as JSON.
    pub fn claim(&self, name: &str) -> Option<String> {
        match self.claims.as_ref()?.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}
