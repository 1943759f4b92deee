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

    /// The same connection, for another thread.
    pub fn twin(&self) -> Self {
        Self(self.0.try_clone().expect("a socket can be shared"))
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
        let mut response = Response {
            head: self.head(),
            body: Vec::new(),
        };
        let length = response.header("content-length").and_then(|value| value.parse().ok());
        response.body = self.read(length.unwrap_or(0));
        response
    }

    /// Reads the head of a response, and not a byte more.
    pub fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let count = self.0.read(&mut byte).expect("an answer comes in time");
            assert!(count > 0, "closed amid a head: {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&byte);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads so many bytes.
    pub fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).expect("the body comes in full");
        bytes
    }

    /// Takes in no more than the system has to, so that a large answer is soon held up.
    pub fn connect_slow(address: SocketAddr) -> Self {
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        let socket = socket.expect("there are sockets");
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("a buffer can be small");
        rustix::net::connect(&socket, &address).expect("the listener accepts");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(SOON)).expect("the timeout is not zero");
        Self(stream)
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
