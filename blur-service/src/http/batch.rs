//! `POST /v1/blur/batch`: several pictures of one form, one after the other, each with its own outcome as soon as it is known:
//! a part of the answer is a picture with its faces hidden, or the problem document that it would have had by itself.

use std::{
    convert::Infallible,
    fmt::Write,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{
    AppState, blur,
    intake::File,
    problem::{self, Failure},
    report::{boundary, content_type},
    service::Service,
    upload::{Several, Upload},
};
use crate::error::Error;

pub(super) async fn batch(State(service): AppState, request: Request) -> Result<Response, Failure> {
    let several = Several::receive(request, &service).await?;
    let boundary = boundary()?;
    let headers = [
        (header::CONTENT_TYPE, content_type(&boundary)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let (parts, taken) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            // Nobody is left to read it.
            () = parts.closed() => {}
            () = answer(several, &boundary, &service, &parts) => {}
        }
    });
    Ok((headers, Body::new(Parts(taken))).into_response())
}

/// Sends the parts in the order in which the pictures came.
async fn answer(mut several: Several, boundary: &str, service: &Arc<Service>, parts: &mpsc::Sender<Bytes>) {
    for file in std::mem::take(&mut several.files) {
        let name = file.name.clone();
        let part = match hide(file, &several, service).await {
            Ok(part) => part,
            Err(error) => refused(&error),
        };
        if parts.send(part.written(boundary, name.as_deref())).await.is_err() {
            return;
        }
    }
    // If nobody reads it, nobody misses it.
    let _ = parts.send(format!("--{boundary}--\r\n").into()).await;
}

async fn hide(file: File, several: &Several, service: &Arc<Service>) -> Result<Part, Error> {
    let upload = Upload::of(file, &several.options, several, service).await?;
    let worked = blur::hide(upload, service).await?;
    let headers = blur::told(&worked).map(|(name, value)| format!("{name}: {value}\r\n"));
    Ok(Part {
        media_type: worked.value.media_type,
        headers: headers.concat(),
        body: worked.value.file,
    })
}

fn refused(error: &Error) -> Part {
    Part {
        media_type: "application/problem+json",
        headers: String::new(),
        body: problem::fields(error).to_string().into_bytes(),
    }
}

/// What became of one picture.
struct Part {
    media_type: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl Part {
    fn written(self, boundary: &str, name: Option<&str>) -> Bytes {
        let disposition = name.map(disposition).unwrap_or_default();
        let head = format!(
            "--{boundary}\r\nContent-Type: {}\r\n{disposition}{}\r\n",
            self.media_type, self.headers
        );
        [head.as_bytes(), &self.body, b"\r\n"].concat().into()
    }
}

/// The client's own name of a picture, in letters that cannot be taken for anything else (RFC 8187).
fn disposition(name: &str) -> String {
    let mut line = "Content-Disposition: attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes().take(MOST_OF_A_NAME) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => line.push(byte.into()),
            // Into a text nothing fails to be written.
            _ => drop(write!(line, "%{byte:02X}")),
        }
    }
    line + "\r\n"
}

/// The parts as they are made.
struct Parts(mpsc::Receiver<Bytes>);

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

const MOST_OF_A_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_write_a_head() {
        assert_eq!(
            disposition("a\"\r\nX-Faces: 9\u{e9}.jpg"),
            "Content-Disposition: attachment; filename*=UTF-8''a%22%0D%0AX-Faces%3A%209%C3%A9.jpg\r\n"
        );
    }
}
