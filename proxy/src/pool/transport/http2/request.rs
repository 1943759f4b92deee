//! A request as Pingora writes it in HTTP/1.1, and as a stream of HTTP/2 has it (RFC 9113, section 8.3.1).

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use h2::SendStream;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Request, Uri, Version};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

use super::line::Reader;

/// A request's head, which is well formed: it was written by this program.
pub struct Head {
    method: Method,
    target: String,
    fields: HeaderMap,
}

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Counted(u64),
    Chunks,
}

impl Head {
    /// # Errors
    /// It broke off, or HTTP/2 has no words for it.
    pub async fn read(read: &mut Reader) -> io::Result<Self> {
        let first = line(read).await?;
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut head = Self {
            method: method.parse().map_err(io::Error::other)?,
            target: target.to_owned(),
            fields: HeaderMap::new(),
        };
        loop {
            let mut field = Vec::new();
            read.read_until(b'\n', &mut field).await?;
            let field = field.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
            if field.is_empty() {
                return Ok(head);
            }
            head.add(field)?;
        }
    }

    fn add(&mut self, field: &[u8]) -> io::Result<()> {
        let colon = field.iter().position(|byte| *byte == b':');
        let colon = colon.ok_or(io::ErrorKind::InvalidData)?;
        let name = HeaderName::from_bytes(&field[..colon]).map_err(io::Error::other)?;
        let value = HeaderValue::from_bytes(field[colon + 1..].trim_ascii()).map_err(io::Error::other)?;
        self.fields.append(name, value);
        Ok(())
    }

    pub fn is_to_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// None where there is none.
    pub fn body(&self) -> Option<Body> {
        if self.fields.contains_key(TRANSFER_ENCODING) {
            return Some(Body::Chunks);
        }
        let length = self.fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
        (length > 0).then_some(Body::Counted(length))
    }

    /// None where its target or its host is none of HTTP/2.
    pub fn into_request(mut self, scheme: &str) -> Option<Request<()>> {
        let host = self.fields.remove(HOST)?;
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(host.as_bytes())
            .path_and_query(self.target);
        for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE]
            .into_iter()
            .chain(["keep-alive", "proxy-connection", "http2-settings"].map(HeaderName::from_static))
        {
            self.fields.remove(name);
        }
        // All of them are passed on; gRPC asks for it.
        self.fields.insert(TE, HeaderValue::from_static("trailers"));
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.build().ok()?;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.fields;
        Some(request)
    }
}

async fn line(read: &mut Reader) -> io::Result<String> {
    let mut line = String::new();
    read.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Sends the body as it comes.
///
/// # Errors
/// It broke off, or the backend takes no more of it.
pub async fn send(read: &mut Reader, body: Option<Body>, mut upload: SendStream<Bytes>) -> io::Result<()> {
    match body {
        None => return Ok(()),
        Some(Body::Counted(length)) => pieces(read, length, &mut upload).await?,
        Some(Body::Chunks) => loop {
            let size = line(read).await?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let length = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            if length == 0 {
                break;
            }
            pieces(read, length, &mut upload).await?;
            line(read).await?;
        },
    }
    upload.send_data(Bytes::new(), true).map_err(io::Error::other)
}

async fn pieces(read: &mut Reader, mut left: u64, upload: &mut SendStream<Bytes>) -> io::Result<()> {
    while left > 0 {
        let there = read.fill_buf().await?;
        if there.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let wanted = there.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        upload.reserve_capacity(wanted);
        let room = poll_fn(|cx| upload.poll_capacity(cx)).await;
        let room = room.ok_or(io::ErrorKind::BrokenPipe)?.map_err(io::Error::other)?;
        let mut piece = vec![0; wanted.min(room)];
        read.read_exact(&mut piece).await?;
        left -= piece.len() as u64;
        upload.send_data(piece.into(), false).map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncWriteExt, BufReader, duplex, split};

    use super::*;

    async fn read(text: &str) -> io::Result<Head> {
        let (mut near, far) = duplex(4096);
        near.write_all(text.as_bytes()).await.unwrap();
        drop(near);
        Head::read(&mut BufReader::new(split(far).0)).await
    }

    #[tokio::test]
    async fn a_head_is_said_in_the_words_of_http2() {
        let text = "POST /a?b=c HTTP/1.1\r\nHost: app:8443\r\nConnection: keep-alive\r\nX-One: 1\r\nX-One: 2\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        let head = read(text).await.unwrap();
        assert_eq!((head.body(), head.is_to_head()), (Some(Body::Chunks), false));
        let request = head.into_request("https").unwrap();
        assert_eq!(request.uri(), "https://app:8443/a?b=c");
        let names: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(names, [("x-one", "1"), ("x-one", "2"), ("te", "trailers")]);
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_request() {
        for text in ["", "GET", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            assert!(read(text).await.is_err(), "{text:?}");
        }
        let head = read("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(head.body(), None);
        assert!(head.into_request("http").is_none());
    }
}
