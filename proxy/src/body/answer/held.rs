//! An answer that is held back.

use http::header::CONTENT_TYPE;
use pingora::http::ResponseHeader;
use tokio::time::Instant;

use super::flow::{Flow, Keeping};

/// Its head, and what has come of its body. The client has seen nothing of it.
pub(in crate::body) struct Held {
    pub head: Box<ResponseHeader>,
    /// The head is all of it.
    pub is_bare: bool,
    pub flow: Flow,
    /// When it ceases to be held back.
    pub until: Instant,
}

impl Held {
    /// Whether an answer with this head has to pass as it comes.
    pub fn is_barred(head: &ResponseHeader) -> bool {
        let is_event_stream = head.headers.get(CONTENT_TYPE).is_some_and(|media_type| {
            let media_type = media_type.as_bytes().split(|byte| *byte == b';').next();
            media_type.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
        });
        let asks = head.headers.get("x-accel-buffering");
        is_event_stream || head.status == 101 || asks.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"no"))
    }

    pub fn new(head: Box<ResponseHeader>, is_bare: bool, keeping: Keeping) -> Self {
        Self {
            head,
            is_bare,
            until: Instant::now() + keeping.limits.hold,
            flow: Flow::new(keeping),
        }
    }

    /// Whether it has been held back for as long, or as much of it, as may be.
    pub fn is_due(&self) -> bool {
        self.flow.length() > self.flow.limits().hold_size || self.until <= Instant::now()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn streams_are_not_held_back() {
        let head = |name: &'static str, value: &str| {
            let mut head = ResponseHeader::build(200, None).unwrap();
            head.insert_header(name, value).unwrap();
            head
        };
        assert!(Held::is_barred(&head("Content-Type", "text/event-stream")));
        assert!(Held::is_barred(&head(
            "Content-Type",
            "Text/Event-Stream ; charset=utf-8"
        )));
        assert!(Held::is_barred(&head("X-Accel-Buffering", "no")));
        assert!(!Held::is_barred(&head("X-Accel-Buffering", "yes")));
        assert!(!Held::is_barred(&head("Content-Type", "image/png")));
        assert!(Held::is_barred(&ResponseHeader::build(101, None).unwrap()));
    }
}
