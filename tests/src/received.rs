//! A request as a backend reads it from the wire.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, Read};

/// A request as it arrived. Of the body only what tests compare.
#[derive(Clone, Debug)]
pub struct Received {
    line: String,
    headers: Vec<(String, String)>,
    pub body_digest: u64,
}

impl Received {
    /// The next request's head, or `None` at the end of the connection.
    pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(lines.first().map(|line| Self {
            line: line.clone(),
            headers,
            body_digest: digest(&[]),
        }))
    }

    pub(crate) fn read_body(&mut self, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let body = if self.header("transfer-encoding").is_some() {
            read_chunks(reader)?
        } else {
            let mut body = vec![0; self.content_length()];
            reader.read_exact(&mut body)?;
            body
        };
        self.body_digest = digest(&body);
        Ok(body)
    }

    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// All fields, as they came.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// With its query.
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// `HTTP/1.1`
    pub fn version(&self) -> &str {
        self.line.split(' ').nth(2).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    /// The values of all fields of this name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let headers = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        headers.map(|(_, value)| value.as_str()).collect()
    }

    /// Bytes; 0 where the head does not say.
    pub(crate) fn content_length(&self) -> usize {
        self.header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0)
    }
}

/// The digest that [`Received::body_digest`] has for this body.
pub fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        reader.take(size).read_to_end(&mut body)?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
