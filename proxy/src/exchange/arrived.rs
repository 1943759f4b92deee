//! The first stage: a head has been read. Who sent it, over which connection, and until when an answer is awaited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use pingora::http::RequestHeader;

use crate::client::connection::Connection;
use crate::client::forwarded;
use crate::observe::traces::Traces;
use crate::request::connection::OnConnection;
use crate::request::notes::Notes;
use crate::request::problem::X_REQUEST_ID;
use crate::request::trace::{TRACEPARENT, Trace};
use crate::request::{LookUp, RequestCtx, RequestId, Scheme};

/// Milliseconds after which nobody waits for the head of this attempt's answer any more; workers drop what is past it.
/// A client may send it too, and is not waited for longer than it says.
pub const VEIL_DEADLINE_MS: &str = "Veil-Deadline-Ms";

pub struct Arrived {
    pub connection: Arc<Connection>,
    pub request: RequestCtx,
    /// When the client ceases to wait for the head of its answer, if it says so.
    pub client_deadline: Option<Instant>,
}

impl Arrived {
    pub fn over(connection: Arc<Connection>, head: &RequestHeader, tables: Option<Arc<dyn LookUp>>) -> Self {
        let (peer, listener) = (connection.peer(), &connection.listener);
        let received = Instant::now();
        let request = RequestCtx {
            id: request_id(head),
            peer,
            client: forwarded::client(peer.ip(), head, listener),
            scheme: match connection.speaks_plainly() {
                true => Scheme::Http,
                false => forwarded::scheme(peer.ip(), head, listener),
            },
            path: None,
            received,
            tables,
            notes: Notes {
                server: listener.address.inet(),
                slashes: listener.config.slashes(),
                tls: connection.tls().map(Arc::clone),
                spelling: connection.take_spelling().map(Arc::new),
                connection: Some(Arc::clone(&connection) as Arc<dyn OnConnection>),
                ..Notes::default()
            },
        };
        Self {
            request,
            client_deadline: client_deadline(head, received),
            connection,
        }
    }
}

impl Arrived {
    /// Which trace it belongs to, and whether a collector is told of it.
    pub fn trace(&self, traces: &Traces, head: &RequestHeader) -> Trace {
        let parent = head.headers.get(TRACEPARENT).map(HeaderValue::as_bytes);
        let is_believed = self.connection.listener.trusts(self.connection.peer().ip());
        traces.begin(parent, is_believed)
    }
}

fn request_id(head: &RequestHeader) -> RequestId {
    let given = head.headers.get(X_REQUEST_ID);
    let sane = given.and_then(|value| RequestId::parse(value.as_bytes()));
    sane.unwrap_or_else(RequestId::random)
}

fn client_deadline(head: &RequestHeader, received: Instant) -> Option<Instant> {
    let milliseconds: u32 = head.headers.get(VEIL_DEADLINE_MS)?.to_str().ok()?.parse().ok()?;
    Some(received + Duration::from_millis(milliseconds.into()))
}
