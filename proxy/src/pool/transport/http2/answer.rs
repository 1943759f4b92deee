//! An answer as a stream of HTTP/2 brings it, and as HTTP/1.1 has it: what comes after its body needs chunks there.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use h2::RecvStream;
use h2::client::ResponseFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Response, StatusCode};
use tokio::io::AsyncWriteExt;

use super::line::Writer;

/// # Errors
/// The answer broke off, or nobody reads it any more.
pub async fn pass(mut answer: ResponseFuture, write: &mut Writer, to_head: bool) -> io::Result<()> {
    let response = loop {
        match next(&mut answer).await? {
            Head::Announced(head) => write.write_all(&text(head.status(), head.headers(), None)).await?,
            Head::Final(response) => break response,
        }
    };
    let (parts, mut body) = response.into_parts();
    let framing = Framing::of(parts.status, &parts.headers, &body, to_head);
    write
        .write_all(&text(parts.status, &parts.headers, framing.field()))
        .await?;
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(io::Error::other)?;
        if let Framing::Chunks = framing {
            write.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        }
        write.write_all(&piece).await?;
        if let Framing::Chunks = framing {
            write.write_all(b"\r\n").await?;
        }
        // One that has ended takes no more.
        let _ = body.flow_control().release_capacity(piece.len());
    }
    let trailers = body.trailers().await.map_err(io::Error::other)?;
    if let Framing::Chunks = framing {
        let mut end = b"0\r\n".to_vec();
        fields(&mut end, &trailers.unwrap_or_default());
        end.extend_from_slice(b"\r\n");
        write.write_all(&end).await?;
    }
    Ok(())
}

enum Head {
    /// Of what comes before the answer, such as 103 Early Hints.
    Announced(Response<()>),
    Final(Response<RecvStream>),
}

async fn next(answer: &mut ResponseFuture) -> io::Result<Head> {
    poll_fn(|cx| {
        if let Poll::Ready(Some(announced)) = answer.poll_informational(cx) {
            return Poll::Ready(announced.map(Head::Announced));
        }
        std::pin::Pin::new(&mut *answer)
            .poll(cx)
            .map(|answer| answer.map(Head::Final))
    })
    .await
    .map_err(io::Error::other)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// By its own Content-Length, or there is no body.
    Said,
    Nothing,
    Chunks,
}

impl Framing {
    fn of(status: StatusCode, fields: &HeaderMap, body: &RecvStream, to_head: bool) -> Self {
        let has_none = to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if has_none || fields.contains_key(CONTENT_LENGTH) {
            return Self::Said;
        }
        match body.is_end_stream() {
            true => Self::Nothing,
            false => Self::Chunks,
        }
    }

    fn field(self) -> Option<&'static str> {
        match self {
            Self::Said => None,
            Self::Nothing => Some("content-length: 0\r\n"),
            Self::Chunks => Some("transfer-encoding: chunked\r\n"),
        }
    }
}

fn text(status: StatusCode, said: &HeaderMap, framing: Option<&str>) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    fields(&mut head, said);
    head.extend_from_slice(framing.unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

/// Those that are of a connection have no meaning in HTTP/2 (RFC 9113, section 8.2.2).
fn fields(head: &mut Vec<u8>, fields: &HeaderMap) {
    const NOT: [HeaderName; 3] = [CONNECTION, TRANSFER_ENCODING, UPGRADE];
    for (name, value) in fields.iter().filter(|(name, _)| !NOT.contains(name)) {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
}
