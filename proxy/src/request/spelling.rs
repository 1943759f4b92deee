//! A target that no URI can hold, and how it is written meanwhile.

/// What a client has sent in its request line, where Veil and Pingora know it in another spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    sent: Box<[u8]>,
    respelt: Box<[u8]>,
}

impl Spelling {
    /// Of a head as it was sent and as it is written; none where the target is the same, or no path alone.
    pub fn of(sent: &[u8], respelt: &[u8]) -> Option<Self> {
        let (sent, respelt) = (target(sent)?, target(respelt)?);
        (sent != respelt && sent.starts_with(b"/")).then(|| Self {
            sent: sent.into(),
            respelt: respelt.into(),
        })
    }

    /// A head for a backend with the target as it was sent; none where it has become another one.
    pub fn restored(&self, head: &[u8]) -> Option<Vec<u8>> {
        let target = target(head).filter(|target| **target == *self.respelt)?;
        let start = head.iter().position(|byte| *byte == b' ')? + 1;
        Some([&head[..start], &self.sent, &head[start + target.len()..]].concat())
    }
}

/// What stands between the first two spaces of a head.
fn target(head: &[u8]) -> Option<&[u8]> {
    head.split(|byte| *byte == b' ').nth(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_target_is_restored_unless_it_has_become_another() {
        let sent = b"GET /\xe9?q=\"%22\" HTTP/1.1\r\nHost: a\r\n\r\n";
        let spelling = Spelling::of(sent, b"GET /%E9?q=%22%22%22 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let restored = spelling.restored(b"POST /%E9?q=%22%22%22 HTTP/1.1\r\nHost: b\r\nX: a b\r\n\r\n");
        let wanted = b"POST /\xe9?q=\"%22\" HTTP/1.1\r\nHost: b\r\nX: a b\r\n\r\n";
        assert_eq!(restored.as_deref(), Some(&wanted[..]));
        for head in [
            &b"GET /other HTTP/1.1\r\n\r\n"[..],
            b"GET /%E9?q=%22%22 HTTP/1.1\r\n\r\n",
            b"",
            b"GET",
        ] {
            assert_eq!(spelling.restored(head), None);
        }
        assert_eq!(Spelling::of(sent, sent), None);
        let absolute = Spelling::of(b"GET http://a/\" HTTP/1.1\r\n", b"GET http://a/%22 HTTP/1.1\r\n");
        assert_eq!(absolute, None);
    }
}
