//! What a client sends behind the settings, and what has to come of it. Sections are those of RFC 9113 and, behind HPACK, of
//! RFC 7541.

use super::Expected::{End, Nothing, Pong, Reset};
use super::*;

/// Section, what it is about, the bytes, and what has to come of them.
pub struct Case(pub &'static str, pub &'static str, pub fn() -> Vec<u8>, pub Expected);

fn get() -> Vec<u8> {
    head("GET", &[])
}

/// A request that has no end yet.
fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &head("POST", &[]))
}

/// A request that has come to its end.
fn half_closed() -> Vec<u8> {
    let hang = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/hang"),
        (":authority", "a.test"),
    ];
    frame(HEADERS, WHOLE, 1, &fields(&hang))
}

/// A stream that the client has given up.
fn given_up() -> Vec<u8> {
    [open(), frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())].concat()
}

/// A header block that is not whole.
fn amid() -> Vec<u8> {
    frame(HEADERS, END_STREAM, 1, &get())
}

fn then(first: Vec<u8>, kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    [first, frame(kind, flags, stream, content)].concat()
}

fn asked(all: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &fields(all))
}

fn with(more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &head("GET", more))
}

fn block(bytes: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &[&get()[..], bytes].concat())
}

fn set(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn post(length: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut frames = frame(HEADERS, END_HEADERS, 1, &head("POST", &[("content-length", length)]));
    for (number, part) in parts.iter().enumerate() {
        let flags = if number + 1 == parts.len() { END_STREAM } else { 0 };
        frames.extend(frame(DATA, flags, 1, part));
    }
    frames
}

fn with_lengths(one: &str, other: &str) -> Vec<u8> {
    let lengths = [("content-length", one), ("content-length", other)];
    frame(HEADERS, END_HEADERS, 1, &head("POST", &lengths))
}

const PROTOCOL: Expected = End(&[PROTOCOL_ERROR]);
const SIZE: Expected = End(&[FRAME_SIZE_ERROR]);
const COMPRESSION: Expected = End(&[COMPRESSION_ERROR]);
const CLOSED: Expected = Reset(&[STREAM_CLOSED, PROTOCOL_ERROR]);
const MALFORMED: Expected = Reset(&[PROTOCOL_ERROR]);
const NONE: [u8; 4] = [0; 4];
const MOST: [u8; 4] = [0x7f, 0xff, 0xff, 0xff];

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case("3.4", "settings first", Vec::new, Nothing),
    Case("4.1", "a kind that is not known", || frame(0x16, 0, 0, b"12345678"), Nothing),
    Case("4.1", "flags that are not known", || frame(PING, 0x16, 0, b"flagged."), Pong(b"flagged.")),
    Case("4.1", "the reserved bit", || frame(PING, 0, 1 << 31, b"reserved"), Pong(b"reserved")),
    Case("4.2", "DATA that are too long", || then(open(), DATA, END_STREAM, 1, &[0; (1 << 14) + 1]), Reset(&[FRAME_SIZE_ERROR])),
    Case("4.2", "HEADERS that are too long", || frame(HEADERS, WHOLE, 1, &[&get()[..], &[0; 1 << 14]].concat()), SIZE),
    Case("4.2", "SETTINGS that are too long", || frame(SETTINGS, 0, 0, &[0; (1 << 14) + 2]), SIZE),
    Case("4.3", "a block that is none", || frame(HEADERS, WHOLE, 1, &[0x40, 0xff, 0xff]), COMPRESSION),
    Case("4.3", "PRIORITY amid a block", || then(amid(), PRIORITY, 0, 1, &[0; 5]), PROTOCOL),
    Case("4.3", "HEADERS of another stream amid a block", || then(amid(), HEADERS, WHOLE, 3, &get()), PROTOCOL),
    Case("5.1", "DATA on an idle stream", || frame(DATA, END_STREAM, 1, b"x"), PROTOCOL),
    Case("5.1", "RST_STREAM on an idle stream", || frame(RST_STREAM, 0, 1, &NONE), PROTOCOL),
    Case("5.1", "WINDOW_UPDATE on an idle stream", || frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), PROTOCOL),
    Case("5.1", "CONTINUATION on an idle stream", || frame(CONTINUATION, END_HEADERS, 1, &get()), PROTOCOL),
    Case("5.1", "DATA behind the end", || then(half_closed(), DATA, END_STREAM, 1, b"x"), CLOSED),
    Case("5.1", "HEADERS behind the end", || then(half_closed(), HEADERS, WHOLE, 1, &get()), CLOSED),
    Case("5.1", "CONTINUATION behind the end", || then(half_closed(), CONTINUATION, END_HEADERS, 1, &get()), CLOSED),
    Case("5.1", "WINDOW_UPDATE behind the end", || then(half_closed(), WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), Nothing),
    Case("5.1", "PRIORITY behind the end", || then(half_closed(), PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), Nothing),
    Case("5.1", "DATA on a stream that was given up", || then(given_up(), DATA, END_STREAM, 1, b"x"), CLOSED),
    Case("5.1", "HEADERS on a stream that was given up", || then(given_up(), HEADERS, WHOLE, 1, &get()), CLOSED),
    Case("5.1", "CONTINUATION on a stream that was given up", || then(given_up(), CONTINUATION, END_HEADERS, 1, &get()), CLOSED),
    Case("5.1", "PRIORITY on an idle stream", || frame(PRIORITY, 0, 77, &[0, 0, 0, 0, 1]), Nothing),
    Case("5.1.1", "an even stream", || frame(HEADERS, WHOLE, 2, &get()), PROTOCOL),
    Case("5.1.1", "a stream below the last one", || [frame(HEADERS, WHOLE, 5, &get()), frame(HEADERS, WHOLE, 3, &get())].concat(), CLOSED),
    Case("5.3.1", "HEADERS that depend on themselves", || frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &[&[0, 0, 0, 1, 255], &get()[..]].concat()), MALFORMED),
    Case("5.3.1", "PRIORITY that depends on itself", || frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 255]), MALFORMED),
    Case("5.4.1", "a PING that is too short", || frame(PING, 0, 0, b"1234567"), SIZE),
    Case("5.5", "an extension", || frame(0xfe, 0xff, 0, &[7; 100]), Nothing),
    Case("5.5", "an extension on a stream", || then(half_closed(), 0xfe, 0xff, 1, &[7; 100]), Nothing),
    Case("5.5", "an extension amid a block", || then(amid(), 0xfe, 0, 0, b"x"), PROTOCOL),
    Case("6.1", "DATA on stream 0", || frame(DATA, END_STREAM, 0, b"x"), PROTOCOL),
    Case("6.1", "DATA that are less than their padding", || then(open(), DATA, END_STREAM | PADDED, 1, &[6, 1, 2, 3, 4, 5]), PROTOCOL),
    Case("6.1", "DATA without the length of their padding", || then(open(), DATA, END_STREAM | PADDED, 1, b""), Reset(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
    Case("6.2", "HEADERS on stream 0", || frame(HEADERS, WHOLE, 0, &get()), PROTOCOL),
    Case("6.2", "HEADERS that are less than their padding", || frame(HEADERS, WHOLE | PADDED, 1, &[&[255], &get()[..]].concat()), PROTOCOL),
    Case("6.2", "HEADERS without their priority", || frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &[0; 4]), Reset(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])),
    Case("6.3", "PRIORITY on stream 0", || frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 1]), PROTOCOL),
    Case("6.3", "PRIORITY of four bytes", || frame(PRIORITY, 0, 1, &[0, 0, 0, 3]), Reset(&[FRAME_SIZE_ERROR])),
    Case("6.4", "RST_STREAM on stream 0", || frame(RST_STREAM, 0, 0, &NONE), PROTOCOL),
    Case("6.4", "RST_STREAM of three bytes", || then(open(), RST_STREAM, 0, 1, &[0; 3]), SIZE),
    Case("6.5", "SETTINGS that acknowledge and set", || frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 1]), SIZE),
    Case("6.5", "SETTINGS on a stream", || frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 1]), PROTOCOL),
    Case("6.5", "SETTINGS of three bytes", || frame(SETTINGS, 0, 0, &[0; 3]), SIZE),
    Case("6.5.2", "ENABLE_PUSH of 2", || set(2, 2), PROTOCOL),
    Case("6.5.2", "a window that is too wide", || set(4, 1 << 31), End(&[FLOW_CONTROL_ERROR])),
    Case("6.5.2", "frames that are too small", || set(5, (1 << 14) - 1), PROTOCOL),
    Case("6.5.2", "frames that are too large", || set(5, 1 << 24), PROTOCOL),
    Case("6.5.2", "a setting that is not known", || set(0xff, 1), Nothing),
    Case("6.6", "PUSH_PROMISE", || then(open(), PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], &get()[..]].concat()), PROTOCOL),
    Case("6.6", "PUSH_PROMISE on an idle stream", || frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 3], &get()[..]].concat()), PROTOCOL),
    Case("6.7", "a PING", || frame(PING, 0, 0, b"answered"), Pong(b"answered")),
    Case("6.7", "a PING that is an answer", || frame(PING, ACK, 0, b"invalid."), Nothing),
    Case("6.7", "a PING on a stream", || frame(PING, 0, 1, b"12345678"), PROTOCOL),
    Case("6.7", "a PING that is too long", || frame(PING, 0, 0, b"123456789"), SIZE),
    Case("6.8", "GOAWAY on a stream", || frame(GOAWAY, 0, 1, &[0; 8]), PROTOCOL),
    Case("6.8", "GOAWAY of seven bytes", || frame(GOAWAY, 0, 0, &[0; 7]), End(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR])),
    Case("6.9", "no more of the connection's window", || frame(WINDOW_UPDATE, 0, 0, &NONE), PROTOCOL),
    Case("6.9", "no more of a stream's window", || then(open(), WINDOW_UPDATE, 0, 1, &NONE), MALFORMED),
    Case("6.9", "WINDOW_UPDATE of three bytes", || frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]), SIZE),
    Case("6.9.1", "more of the connection's window than can be", || then(frame(WINDOW_UPDATE, 0, 0, &MOST), WINDOW_UPDATE, 0, 0, &MOST), End(&[FLOW_CONTROL_ERROR])),
    Case("6.9.1", "more of a stream's window than can be", || then(then(half_closed(), WINDOW_UPDATE, 0, 1, &MOST), WINDOW_UPDATE, 0, 1, &MOST), Reset(&[FLOW_CONTROL_ERROR])),
    Case("6.9.2", "a stream's window wider than can be, by a setting", || [half_closed(), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0, 0]), set(4, 0x7fff_ffff)].concat(), End(&[FLOW_CONTROL_ERROR])),
    Case("6.10", "DATA amid a block", || then(amid(), DATA, END_STREAM, 1, b"x"), PROTOCOL),
    Case("6.10", "CONTINUATION on stream 0", || then(amid(), CONTINUATION, END_HEADERS, 0, b""), PROTOCOL),
    Case("6.10", "CONTINUATION of another stream", || then(amid(), CONTINUATION, END_HEADERS, 3, b""), PROTOCOL),
    Case("6.10", "CONTINUATION of a whole block", || then(half_closed(), CONTINUATION, END_HEADERS, 1, b""), PROTOCOL),
    Case("6.10", "CONTINUATION of a block that a CONTINUATION has ended", || then(then(amid(), CONTINUATION, END_HEADERS, 1, b""), CONTINUATION, END_HEADERS, 1, b""), PROTOCOL),
    Case("6.10", "CONTINUATION behind DATA", || then(then(open(), DATA, 0, 1, b"x"), CONTINUATION, END_HEADERS, 1, b""), PROTOCOL),
    Case("7", "RST_STREAM for a reason that is not known", || then(open(), RST_STREAM, 0, 1, &[0, 0, 0, 0xff]), Nothing),
    Case("8.1", "a second head in the place of trailers", || then(open(), HEADERS, END_HEADERS, 1, &fields(&[("x-after", "1")])), MALFORMED),
    Case("8.2.1", "a name in capitals", || with(&[("X-Test", "1")]), MALFORMED),
    Case("8.2.1", "a name with a space", || with(&[("x test", "1")]), MALFORMED),
    Case("8.2.1", "a value with a line's end", || with(&[("x-test", "1\r\nx-other: 2")]), MALFORMED),
    Case("8.2.2", "Connection", || with(&[("connection", "keep-alive")]), MALFORMED),
    Case("8.2.2", "Transfer-Encoding", || with(&[("transfer-encoding", "chunked")]), MALFORMED),
    Case("8.2.2", "TE other than trailers", || with(&[("te", "trailers, deflate")]), MALFORMED),
    Case("8.2.2", "TE: trailers", || with(&[("te", "trailers")]), Nothing),
    Case("8.3", "a pseudo field that is not known", || with(&[(":test", "ok")]), MALFORMED),
    Case("8.3", "a pseudo field of answers", || with(&[(":status", "200")]), MALFORMED),
    Case("8.3", "a pseudo field behind the others", || asked(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), ("x", "y"), (":path", "/")]), MALFORMED),
    Case("8.3", "a pseudo field among trailers", || then(open(), HEADERS, WHOLE, 1, &fields(&[(":method", "POST")])), MALFORMED),
    Case("8.3.1", "an empty :path", || asked(&[(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")]), MALFORMED),
    Case("8.3.1", "no :method", || asked(&[(":scheme", "http"), (":path", "/"), (":authority", "a")]), MALFORMED),
    Case("8.3.1", "no :scheme", || asked(&[(":method", "GET"), (":path", "/"), (":authority", "a")]), MALFORMED),
    Case("8.3.1", "no :path", || asked(&[(":method", "GET"), (":scheme", "http"), (":authority", "a")]), MALFORMED),
    Case("8.3.1", ":method twice", || asked(&[(":method", "GET"), (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]), MALFORMED),
    Case("8.3.1", ":scheme twice", || asked(&[(":method", "GET"), (":scheme", "http"), (":scheme", "http"), (":path", "/"), (":authority", "a")]), MALFORMED),
    Case("8.3.1", ":path twice", || asked(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":path", "/"), (":authority", "a")]), MALFORMED),
    Case("8.3.1", "a :path with a space", || asked(&[(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1"), (":authority", "a")]), MALFORMED),
    Case("8.1.1", "a body that is shorter than it says", || post("5", &[b"four"]), MALFORMED),
    Case("8.1.1", "a body that is longer than it says", || post("1", &[b"four"]), MALFORMED),
    Case("8.1.1", "a body in parts that is longer than it says", || post("7", &[b"four", b"five"]), MALFORMED),
    Case("8.1.1", "the length twice", || [with_lengths("4", "4"), frame(DATA, END_STREAM, 1, b"four")].concat(), Nothing),
    Case("8.1.1", "two lengths", || with_lengths("4", "5"), MALFORMED),
    Case("8.1.1", "a list of lengths", || post("4, 4", &[b"four"]), MALFORMED),
    Case("8.1.1", "a length that is no number", || post("+4", &[b"four"]), MALFORMED),
    Case("8.1.1", "no body where one is promised", || with(&[("content-length", "4")]), MALFORMED),
    Case("HPACK 2.3.3", "an entry that there is not", || block(&[0xc6]), COMPRESSION),
    Case("HPACK 2.3.3", "a name that there is not", || block(&[0x7f, 0x07, 1, b'x']), COMPRESSION),
    Case("HPACK 4.2", "a table's size behind fields", || block(&[0x20]), COMPRESSION),
    Case("HPACK 5.1", "a number without an end", || block(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), COMPRESSION),
    Case("HPACK 5.2", "padding of more than seven bits", || block(&[0x00, 0x04, b't', b'e', b's', b't', 0x84, 0x49, 0x50, 0x9f, 0xff]), COMPRESSION),
    Case("HPACK 5.2", "padding of zeros", || block(&[0x00, 0x04, b't', b'e', b's', b't', 0x82, 0x49, 0x50]), COMPRESSION),
    Case("HPACK 5.2", "the end of strings within one", || block(&[0x00, 0x04, b't', b'e', b's', b't', 0x87, 0x49, 0x51, 0xff, 0xff, 0xff, 0xfa, 0x7f]), COMPRESSION),
    Case("HPACK 5.2", "a string that is longer than the block", || block(&[0x00, 0x7f, b'x']), COMPRESSION),
    Case("HPACK 6.1", "entry 0", || block(&[0x80]), COMPRESSION),
    Case("HPACK 6.3", "a table that is larger than allowed", || frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xff, 0xff, 0x03], &get()[..]].concat()), COMPRESSION),
];
