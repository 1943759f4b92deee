//! A connection over HTTP/2 whose client writes what it is told, frame by frame.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use e2e::tls::Tls;
use e2e::until::SOON;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 32;
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const COMPRESSION_ERROR: u32 = 9;

pub fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// A field that no table keeps, with its name as it is.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    [&[0, name.len() as u8], name, &[value.len() as u8], value].concat()
}

pub fn fields(all: &[(&str, &str)]) -> Vec<u8> {
    all.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// What makes a request of this method, and further fields.
pub fn head(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [
        (":method", method),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a.test"),
    ];
    fields(&[&own, more].concat())
}

pub trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

/// A connection over which settings have been exchanged.
pub struct Connection {
    stream: Box<dyn Both>,
    /// What the server has set, by number.
    pub settings: Vec<(u16, u32)>,
}

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub content: Vec<u8>,
}

impl Frame {
    pub fn code(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.content[at..at + 4].try_into().unwrap())
    }
}

impl Connection {
    pub fn open(address: SocketAddr, tls: bool) -> Self {
        let mut stream: Box<dyn Both> = match tls {
            true => Box::new(Tls::offering(&["h2"]).connect(address).unwrap()),
            false => {
                let stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                Box::new(stream)
            }
        };
        stream
            .write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat())
            .unwrap();
        let mut connection = Self {
            stream,
            settings: Vec::new(),
        };
        let first = connection.next().unwrap();
        assert_eq!(
            (first.kind, first.flags & ACK),
            (SETTINGS, 0),
            "a server begins with its settings"
        );
        let pairs = first.content.chunks(6);
        connection.settings = pairs
            .map(|pair| {
                (
                    u16::from_be_bytes([pair[0], pair[1]]),
                    u32::from_be_bytes(pair[2..].try_into().unwrap()),
                )
            })
            .collect();
        connection.send(&frame(SETTINGS, ACK, 0, b""));
        connection
    }

    /// The other side may have ended it, which what comes then shows.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// None at its end.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.read(&mut content)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & (u32::MAX >> 1);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            content,
        })
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("nothing comes, and it is not ended")
            }
            Err(_) => None,
        }
    }

    /// Sends these bytes, and what came of them until the connection ends, or some PINGs behind them are answered: an answer to
    /// one of those goes before a word about a stream. Who waits for such a word waits for `enough`.
    pub fn outcome(&mut self, bytes: &[u8], enough: impl Fn(&Outcome) -> bool) -> Outcome {
        const FENCES: usize = 3;
        let fence = frame(PING, 0, 0, b"the end.");
        self.send(&[bytes, &fence].concat());
        let (mut outcome, mut passed, since) = (Outcome::default(), 0, Instant::now());
        outcome.is_alive = true;
        loop {
            let Some(frame) = self.next() else {
                outcome.is_alive = false;
                break;
            };
            match frame.kind {
                PING if frame.flags & ACK != 0 && frame.content == b"the end." => {
                    passed += 1;
                    if passed >= FENCES && enough(&outcome) || since.elapsed() > SOON {
                        break;
                    }
                    self.send(&fence);
                }
                GOAWAY => outcome.gone = Some(frame.code(4)),
                RST_STREAM => outcome.reset.push((frame.stream, frame.code(0))),
                PING => outcome.pongs.push(frame.content),
                _ => {}
            }
        }
        outcome
    }

    /// The status's first field of the answer on this stream, and its body's length.
    pub fn answer(&mut self, stream: u32) -> (Vec<u8>, usize) {
        let (mut block, mut length) = (Vec::new(), 0);
        while let Some(frame) = self.next() {
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS if block.is_empty() => block = frame.content,
                DATA => length += frame.content.len(),
                RST_STREAM => panic!("reset: {}", frame.code(0)),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return (block, length);
            }
        }
        panic!("ended before the answer to stream {stream} was whole");
    }
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub is_alive: bool,
    pub gone: Option<u32>,
    pub reset: Vec<(u32, u32)>,
    pub pongs: Vec<Vec<u8>>,
}

/// What has to come of a case.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// Nothing: the connection goes on, and no stream is reset.
    Nothing,
    /// The connection ends, with one of these codes where it says why, or with that of all that is against the protocol.
    End(&'static [u32]),
    /// A stream is reset with one of these codes, or the connection ends with it.
    Reset(&'static [u32]),
    /// A PING with this content is answered.
    Pong(&'static [u8]),
}

impl Expected {
    pub fn holds(self, outcome: &Outcome) -> bool {
        let is_said = |code| code == PROTOCOL_ERROR;
        let ends =
            |codes: &[u32]| !outcome.is_alive && outcome.gone.is_none_or(|code| is_said(code) || codes.contains(&code));
        match self {
            Self::Nothing => outcome.is_alive && outcome.gone.is_none() && outcome.reset.is_empty(),
            Self::End(codes) => ends(codes),
            Self::Reset(codes) => ends(codes) || outcome.reset.iter().any(|(_, code)| codes.contains(code)),
            Self::Pong(content) => outcome.is_alive && outcome.pongs.iter().any(|pong| pong == content),
        }
    }
}
