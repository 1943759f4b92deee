//! Writes an answer of Veil's own: a refusal, or what a filter has made.

use std::fs::File;
use std::io::SeekFrom;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, OrErr};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::time::timeout;

use super::Exchange;
use super::body_changes::BodyChanges;
use crate::body::{self, Pacer};
use crate::filter::Content;

impl Exchange {
    /// A request's body that has not been read ends its connection with the answer.
    pub(super) async fn send(
        &mut self,
        session: &mut Session,
        mut head: ResponseHeader,
        content: Content,
    ) -> pingora::Result<()> {
        self.let_body_go(session).await;
        let mut changes = self.dress(&mut head, session)?;
        let content = changes.replaced.take().map_or(content, Content::Bytes);
        let content = match content {
            Content::Bytes(bytes) if changes.transforms() => {
                let bytes = changes.apply(bytes, true);
                changes = BodyChanges::default();
                head.remove_header(&header::TRANSFER_ENCODING);
                head.insert_header(header::CONTENT_LENGTH, bytes.len())?;
                Content::Bytes(bytes)
            }
            content => content,
        };
        if !self.keeps_connection() {
            session.set_keepalive(None);
        }
        let is_bare = session.req_header().method == Method::HEAD || content.length() == 0;
        session.write_response_header(Box::new(head), is_bare).await?;
        let arrived = self.arrived().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let mut outlet = Outlet {
            session,
            changes,
            pacer: arrived.request.notes.pace.map(Pacer::new),
            patience: arrived.connection.listener.config.timeouts.send.get(),
        };
        match content {
            _ if is_bare => outlet.write(Bytes::new(), true).await?,
            Content::Bytes(bytes) => outlet.write_all(bytes).await?,
            Content::File { file, start, length } => outlet.write_file(file, start, length).await?,
        }
        body::linger(&mut session.downstream_session).await;
        Ok(())
    }
}

struct Outlet<'a> {
    session: &'a mut Session,
    changes: BodyChanges,
    pacer: Option<Pacer>,
    /// How long a client may take nothing.
    patience: Duration,
}

impl Outlet<'_> {
    fn slice(&self) -> usize {
        self.pacer.as_ref().map_or(SLICE, |pacer| pacer.slice().min(SLICE))
    }

    async fn write_all(&mut self, mut bytes: Bytes) -> pingora::Result<()> {
        while bytes.len() > self.slice() {
            let slice = bytes.split_to(self.slice());
            self.write(slice, false).await?;
        }
        self.write(bytes, true).await
    }

    async fn write_file(&mut self, file: File, start: u64, length: u64) -> pingora::Result<()> {
        const READ: ErrorType = ErrorType::FileReadError;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(start)).await.or_err(READ, "reading a file")?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.slice());
            let mut buffer = BytesMut::with_capacity(most);
            let read = (&mut file).take(most as u64).read_buf(&mut buffer).await;
            let read = read.or_err(READ, "reading a file")? as u64;
            if read == 0 {
                return Error::e_explain(READ, "a file has become shorter while it was sent");
            }
            left -= read;
            self.write(buffer.freeze(), left == 0).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes, last: bool) -> pingora::Result<()> {
        if let Some(pacer) = &mut self.pacer {
            pacer.pass_to(&mut self.session.downstream_session, bytes.len()).await?;
        }
        let bytes = match self.changes.transforms() {
            true => self.changes.apply(bytes, last),
            false => bytes,
        };
        let written = timeout(self.patience, self.session.write_response_body(Some(bytes), last)).await;
        written.unwrap_or_else(|_| {
            Err(Error::explain(ErrorType::WriteTimedout, "the client does not take its answer").into_down())
        })
    }
}

/// Bytes to write at a time: a client that is slow shows within each whether it takes anything.
const SLICE: usize = 64 << 10;
