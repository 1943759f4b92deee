//! A client that is away from its stand-in: with whom gives it its answer.

use std::sync::Arc;

use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use tokio::task::JoinHandle;

use crate::body::answer::Flow;

/// A client that is being given its answer, and what is asked of its session meanwhile.
pub struct Away {
    pub flow: Arc<Flow>,
    pub delivery: JoinHandle<(Box<ServerSession>, Result<()>)>,
    pub request: RequestHeader,
    pub response: ResponseHeader,
    pub bytes_read: usize,
}

impl Away {
    pub fn give_up(self: Box<Self>) {
        self.delivery.abort();
    }

    pub async fn come_home(self: Box<Self>) -> (Box<ServerSession>, Result<()>) {
        match self.delivery.await {
            Ok(home) => home,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
