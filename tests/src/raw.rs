//! A client that writes what it is told, byte for byte, for requests that no HTTP library would send.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::until::SOON;

pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, SOON).expect("the listener accepts");
        stream.set_read_timeout(Some(SOON)).expect("the timeout is not zero");
        Self(stream)
    }

    /// The other side may have closed already, which what is read then shows.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.write_all(bytes.as_ref());
        self
    }

    /// Ends the sending side; answers can still be read.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.0.shutdown(Shutdown::Write);
        self
    }

    /// Reads one response with a Content-Length, or without a body.
    pub fn response(&mut self) -> Response {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            let mut buffer = [0; 4096];
            let count = self.0.read(&mut buffer[..1]).expect("an answer comes in time");
            assert!(count > 0, "closed amid a head: {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&buffer[..count]);
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let mut response = Response { head, body: Vec::new() };
        let length = response
            .header("content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        response.body.resize(length, 0);
        self.0.read_exact(&mut response.body).expect("the body comes in full");
        response
    }

    /// All that still comes until the other side closes or resets.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("not closed: {error}"),
            _ => bytes,
        }
    }

    /// Whether the other side stays silent and open for `time`.
    pub fn stays_open(&mut self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).expect("the timeout is not zero");
        let read = self.0.read(&mut [0; 1]);
        self.0.set_read_timeout(Some(SOON)).expect("the timeout is not zero");
        read.is_err_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
    }
}

pub struct Response {
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// # Panics
    /// If the first line is not one of HTTP/1.
    pub fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.head))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
