//! Follows a client's HTTP/2 frames just far enough to know whether a request's head has begun and has not ended
//! (RFC 9113, sections 4.1 and 6.10), and whether it sends more of those that carry nothing than anybody needs. What the
//! frames say is judged by others.

use std::io;
use std::time::{Duration, Instant};

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub struct Frames {
    /// Bytes of the preface that are still to come.
    preface: usize,
    head: [u8; HEAD],
    /// Bytes of `head` that are there.
    known: usize,
    /// Bytes of the present frame's content that are still to come.
    left: usize,
    /// A block of fields has begun, and no frame has ended it.
    block: bool,
    /// A block of fields has come to its end.
    pub has_had_head: bool,
    idle_talk: IdleTalk,
}

impl Frames {
    pub fn new() -> Self {
        Self {
            preface: PREFACE.len(),
            head: [0; HEAD],
            known: 0,
            left: 0,
            block: false,
            has_had_head: false,
            idle_talk: IdleTalk::new(),
        }
    }

    /// Takes note of what the client has sent next. Says whether what was open has come to its end in it.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        skip(&mut self.preface, &mut bytes);
        while !bytes.is_empty() {
            if self.known < HEAD {
                let count = bytes.len().min(HEAD - self.known);
                self.head[self.known..][..count].copy_from_slice(&bytes[..count]);
                self.known += count;
                bytes = &bytes[count..];
                if self.known < HEAD {
                    break;
                }
                self.begin();
            }
            skip(&mut self.left, &mut bytes);
            if self.left == 0 {
                ended |= self.end();
            }
        }
        ended
    }

    /// Whether something has begun that costs its sender nothing to leave as it is. A part of a body does not count: it
    /// has deadlines of its own.
    pub fn is_open(&self) -> bool {
        let amid_a_frame = self.known > 0 && !(self.known == HEAD && self.kind() == DATA);
        self.preface > 0 || self.block || amid_a_frame
    }

    /// Bytes of a body that are to come before the next frame.
    pub fn left_of_body(&self) -> usize {
        match self.known == HEAD && self.kind() == DATA {
            true => self.left,
            false => 0,
        }
    }

    /// So many bytes went to the client.
    pub fn sent(&mut self, bytes: usize) {
        self.idle_talk.allow(bytes);
    }

    /// Whether too much has come within a minute that carries neither fields nor a body: acknowledged settings, answered
    /// pings, windows opened byte by byte cost more than they cost their sender.
    pub fn are_too_many(&mut self) -> bool {
        self.idle_talk.is_too_much()
    }

    fn begin(&mut self) {
        let [a, b, c, ..] = self.head;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.block |= self.kind() == HEADERS;
        match self.kind() {
            DATA | HEADERS | CONTINUATION => self.idle_talk.allow(self.left),
            _ => self.idle_talk.hear(HEAD + self.left),
        }
    }

    fn end(&mut self) -> bool {
        if self.block && matches!(self.kind(), HEADERS | CONTINUATION) && self.head[4] & END_HEADERS != 0 {
            self.block = false;
            self.has_had_head = true;
        }
        self.known = 0;
        !self.block
    }

    fn kind(&self) -> u8 {
        self.head[3]
    }
}

/// What frames come to that carry nothing. Some of them go with what is carried, both ways. Nginx has a like bound, of 8 MiB.
#[derive(Debug)]
struct IdleTalk {
    /// Bytes since then.
    heard: usize,
    since: Instant,
    /// Bytes of fields and bodies, either way.
    carried: usize,
}

impl IdleTalk {
    fn new() -> Self {
        Self {
            heard: 0,
            since: Instant::now(),
            carried: 0,
        }
    }

    fn allow(&mut self, bytes: usize) {
        self.carried = self.carried.saturating_add(bytes);
    }

    fn hear(&mut self, bytes: usize) {
        self.heard += bytes;
    }

    /// The clock is looked at once a megabyte.
    fn is_too_much(&mut self) -> bool {
        if self.heard <= MOST_IDLE_TALK {
            return false;
        }
        self.heard = self
            .heard
            .saturating_sub(std::mem::take(&mut self.carried) / CARRIED_PER_TALK);
        if self.heard <= MOST_IDLE_TALK {
            return false;
        }
        let is_lately = self.since.elapsed() < A_WHILE;
        (self.heard, self.since) = (0, Instant::now());
        is_lately
    }
}

/// What a reader gets in the place of more: of an error no more than its kind passes through HTTP/2's library.
pub const FLOOD: io::ErrorKind = io::ErrorKind::QuotaExceeded;

/// Bytes.
const MOST_IDLE_TALK: usize = 1 << 20;
const A_WHILE: Duration = Duration::from_secs(60);
/// Bytes that let one more byte come.
const CARRIED_PER_TALK: usize = 8;

/// Goes on by as many bytes as are left, and are there.
fn skip(left: &mut usize, bytes: &mut &[u8]) {
    let count = bytes.len().min(*left);
    *left -= count;
    *bytes = &bytes[count..];
}

/// Bytes of length, kind, flags and stream before a frame's content.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(content);
        frame
    }

    const SETTINGS: u8 = 4;

    /// A connection's first bytes, and after how many of them nothing is open.
    fn beginning() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = PREFACE.to_vec();
        let mut closed = vec![bytes.len()];
        for frames in [
            frame(SETTINGS, 0, b"123456"),
            frame(SETTINGS, 1, b""),
            [frame(HEADERS, 1, b"some"), frame(CONTINUATION, END_HEADERS, b"more")].concat(),
            frame(HEADERS, END_HEADERS, b""),
        ] {
            bytes.extend(frames);
            closed.push(bytes.len());
        }
        (bytes, closed)
    }

    #[test]
    fn is_open_at_every_byte_but_those_between_frames() {
        let (bytes, closed) = beginning();
        let mut frames = Frames::new();
        assert!(frames.is_open());
        for (index, byte) in bytes.iter().enumerate() {
            frames.pass(&[*byte]);
            assert_eq!(frames.is_open(), !closed.contains(&(index + 1)), "after byte {index}");
        }
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_frames_come() {
        let (bytes, closed) = beginning();
        for cut in 0..=bytes.len() {
            let mut frames = Frames::new();
            let first = frames.pass(&bytes[..cut]);
            assert_eq!(frames.is_open(), !closed.contains(&cut), "{cut}");
            let second = frames.pass(&bytes[cut..]);
            assert!(first || second);
            assert!(!frames.is_open() && frames.has_had_head, "{cut}");
        }
    }

    #[test]
    fn a_block_ends_with_the_flag_that_says_so() {
        let mut frames = Frames::new();
        frames.pass(PREFACE);
        assert!(!frames.pass(&frame(HEADERS, 0, b"some")) && !frames.has_had_head);
        assert!(!frames.pass(&frame(CONTINUATION, 0, b"more")));
        assert!(frames.is_open());
        assert!(frames.pass(&frame(CONTINUATION, END_HEADERS, b"")));
        assert!(!frames.is_open());
    }

    #[test]
    fn frames_that_carry_nothing_are_bounded_by_what_is_carried() {
        const PING: u8 = 6;
        let pings = frame(PING, 0, b"12345678").repeat(1000);
        let talk = |frames: &mut Frames| {
            let most = (0..1000).position(|_| {
                frames.pass(&pings);
                frames.are_too_many()
            });
            most.map(|count| (count + 1) * pings.len())
        };
        let mut frames = Frames::new();
        frames.pass(PREFACE);
        assert!(talk(&mut frames).is_some_and(|bytes| bytes < MOST_IDLE_TALK + 2 * pings.len()));

        frames.sent(1 << 30);
        let talked = talk(&mut frames).expect("what is carried allows so much once");
        assert!(
            talked > 2 * MOST_IDLE_TALK - 2 * pings.len() && talked < 3 * MOST_IDLE_TALK,
            "{talked}"
        );

        let update = frame(8, 0, &[0, 0, 0x40, 0]);
        for _ in 0..1_000_000 {
            frames.pass(&update);
            frames.sent(16 << 10);
            assert!(!frames.are_too_many(), "a client that takes what it asked for");
        }
    }

    #[test]
    fn a_part_of_a_body_is_not_open() {
        let mut frames = Frames::new();
        frames.pass(PREFACE);
        let data = frame(DATA, 0, &[b'x'; 100]);
        frames.pass(&data[..50]);
        assert!(!frames.is_open());
        frames.pass(&data[50..]);
        frames.pass(&data[..5]);
        assert!(frames.is_open(), "what it is to be is not known yet");
    }
}
