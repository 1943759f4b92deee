//! What RFC 9113 and RFC 7541 ask of a server, frame by frame, plainly and in TLS: the cases of h2spec.

mod cases;
mod connection;

use std::net::{SocketAddr, TcpStream};

use e2e::backend::{Answer, Backend};
use e2e::tls::Tls;
use e2e::until::{SOON, until};
use e2e::veil::Veil;

use self::cases::{CASES, Case};
use self::connection::*;

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/tests/certificates");

struct Server {
    veil: Veil,
    secure: SocketAddr,
    _backend: Backend,
}

impl Server {
    /// A GET of `/hang` has no end.
    fn start() -> Self {
        let backend = Backend::start(|request| match request.path() {
            "/hang" => Answer::Hang,
            _ => Answer::ok("hello"),
        });
        let veil = Veil::start(&format!(
            "version: 1\nlisteners:\n  public: {{ address: 127.0.0.1:0, max_streams: 7 }}\n  \
             secure: {{ address: 127.0.0.1:0, tls: {{ certificate: {CERTIFICATES}/one.crt, key: {CERTIFICATES}/one.key }} }}\n\
             admin: {{ address: 127.0.0.1:0 }}\nroutes: [{{ match: {{ path_prefix: / }}, pool: app }}]\n\
             pools: {{ app: {{ backends: [{{ address: {} }}] }} }}\naccess_log: {{ to: off }}\n",
            backend.address
        ));
        let secure = veil.secure();
        Self {
            veil,
            secure,
            _backend: backend,
        }
    }

    fn open(&self, tls: bool) -> Connection {
        let address = if tls { self.secure } else { self.veil.public };
        Connection::open(address, tls)
    }
}

#[test]
fn every_rule_is_kept_or_said_to_be_broken() {
    let server = Server::start();
    let mut wrong = Vec::new();
    for tls in [false, true] {
        for Case(section, what, bytes, expected) in CASES {
            let waits = |outcome: &Outcome| !matches!(expected, Expected::Reset(_)) || expected.holds(outcome);
            let outcome = server.open(tls).outcome(&bytes(), waits);
            if !expected.holds(&outcome) {
                wrong.push(format!("{section} {what} (TLS: {tls}): {expected:?}, but {outcome:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        2 * CASES.len(),
        wrong.join("\n")
    );
    let answer = server.veil.get("/");
    assert_eq!(answer.text().unwrap(), "hello", "it serves others still");
}

#[test]
fn what_is_no_preface_is_no_http2() {
    let server = Server::start();
    for tls in [false, true] {
        let mut connection = server.open(tls);
        let mut stream: Box<dyn Both> = match tls {
            true => Box::new(Tls::offering(&["h2"]).connect(server.secure).unwrap()),
            false => Box::new(TcpStream::connect(server.veil.public).unwrap()),
        };
        stream.write_all(b"INVALID CONNECTION PREFACE\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(connection.outcome(b"", |_| true).is_alive, "others go on");
    }
}

#[test]
fn requests_are_answered_however_their_frames_come() {
    let server = Server::start();
    for tls in [false, true] {
        let get = head("GET", &[]);
        let post = head("POST", &[]);
        let mut connection = server.open(tls);
        let mut stream = 1;
        let mut asks = |frames: &dyn Fn(u32) -> Vec<u8>| {
            connection.send(&frames(stream));
            let (block, length) = connection.answer(stream);
            // 200, of the static table.
            assert_eq!((block[0], length), (0x88, 5), "stream {stream}, TLS: {tls}");
            stream += 2;
        };
        asks(&|stream| frame(HEADERS, WHOLE, stream, &get));
        asks(&|stream| frame(HEADERS, WHOLE | 0x42, stream, &get));
        asks(&|stream| {
            [
                frame(HEADERS, END_STREAM, stream, &get),
                frame(CONTINUATION, END_HEADERS, stream, b""),
            ]
            .concat()
        });
        asks(&|stream| {
            let mut frames = frame(HEADERS, END_STREAM, stream, &get[..1]);
            get[1..]
                .chunks(20)
                .for_each(|part| frames.extend(frame(CONTINUATION, 0, stream, part)));
            [frames, frame(CONTINUATION, END_HEADERS, stream, b"")].concat()
        });
        asks(&|stream| {
            let padded = [&[3], &get[..], &[0; 3]].concat();
            frame(HEADERS, WHOLE | PADDED, stream, &padded)
        });
        asks(&|stream| {
            frame(
                HEADERS,
                WHOLE | WITH_PRIORITY,
                stream,
                &[&[0, 0, 0, 0, 255], &get[..]].concat(),
            )
        });
        asks(&|stream| {
            let data = frame(DATA, END_STREAM, stream, &[7; 1 << 14]);
            [frame(HEADERS, END_HEADERS, stream, &post), data].concat()
        });
        asks(&|stream| {
            let padded = [&[100], &b"body"[..], &[0; 100]].concat();
            [
                frame(HEADERS, END_HEADERS, stream, &post),
                frame(DATA, END_STREAM | PADDED, stream, &padded),
            ]
            .concat()
        });
        asks(&|stream| {
            let trailers = fields(&[("x-after", "1")]);
            let data = frame(DATA, 0, stream, b"body");
            [
                frame(HEADERS, END_HEADERS, stream, &post),
                data,
                frame(HEADERS, WHOLE, stream, &trailers),
            ]
            .concat()
        });
        // Huffman coding, and what one request leaves to the next in the table.
        let huffman = [
            &[0x82, 0x86, 0x84, 0x41, 0x8c][..],
            &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff],
        ];
        asks(&|stream| frame(HEADERS, WHOLE, stream, &huffman.concat()));
        asks(&|stream| frame(HEADERS, WHOLE, stream, &[0x82, 0x86, 0x84, 0xbe]));
        // The table may be made smaller, twice, before all else.
        asks(&|stream| frame(HEADERS, WHOLE, stream, &[&[0x20, 0x3f, 0xe1, 0x1f], &get[..]].concat()));
    }
}

/// RFC 9113, sections 6.9.1 and 6.9.2.
#[test]
fn no_more_is_sent_than_there_is_a_window_for() {
    let server = Server::start();
    let setting = |id: u16, value: u32| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let window = |size: u32| frame(SETTINGS, 0, 0, &setting(4, size));
    let data = |connection: &mut Connection| {
        let frame = std::iter::from_fn(|| connection.next()).find(|frame| frame.kind == DATA);
        frame.expect("data come").content.len()
    };
    for tls in [false, true] {
        let get = frame(HEADERS, WHOLE, 1, &head("GET", &[]));
        let mut narrow = server.open(tls);
        narrow.send(&[window(1), get.clone()].concat());
        assert_eq!(data(&mut narrow), 1);
        // Two more for all streams; then a window that is less than none, and opened.
        narrow.send(&window(3));
        assert_eq!(data(&mut narrow), 2);
        narrow.send(&[window(0), frame(WINDOW_UPDATE, 0, 1, &4_u32.to_be_bytes())].concat());
        assert_eq!(data(&mut narrow), 1, "three were taken of none, and four given");
        narrow.send(&frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
        assert_eq!(data(&mut narrow), 1);

        // Of several values of one setting the last one counts.
        let mut twice = server.open(tls);
        let both = [setting(4, 0), setting(4, 1)].concat();
        twice.send(&[frame(SETTINGS, 0, 0, &both), get].concat());
        assert_eq!(data(&mut twice), 1);
    }
}

#[test]
fn who_opens_more_streams_than_allowed_is_refused_those() {
    let server = Server::start();
    for tls in [false, true] {
        let mut connection = server.open(tls);
        let most = connection
            .settings
            .iter()
            .find(|(id, _)| *id == 3)
            .expect("it says how many")
            .1;
        assert_eq!(most, if tls { 100 } else { 7 }, "as its listener says");
        let hang = fields(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/hang"),
            (":authority", "a.test"),
        ]);
        let asked: Vec<u8> = (0..=most)
            .flat_map(|number| frame(HEADERS, WHOLE, 2 * number + 1, &hang))
            .collect();
        let outcome = connection.outcome(&asked, |outcome| !outcome.reset.is_empty());
        let refused = Expected::Reset(&[PROTOCOL_ERROR, REFUSED_STREAM]);
        assert!(refused.holds(&outcome), "{outcome:?}");
        assert!(
            outcome.reset.iter().all(|(stream, _)| *stream == 2 * most + 1),
            "{outcome:?}"
        );
    }
}

/// Each ends its own stream, and too many of them the connection: at the thousandth or so, for one may be old.
#[test]
fn malformed_requests_have_an_end() {
    let server = Server::start();
    let bad = head("POST", &[("content-length", "1"), ("content-length", "2")]);
    let asked = |count: u32| -> Vec<u8> {
        (0..count)
            .flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &bad))
            .collect()
    };
    for tls in [false, true] {
        let some = server
            .open(tls)
            .outcome(&asked(100), |outcome| outcome.reset.len() == 100);
        assert!(some.is_alive && some.gone.is_none(), "{some:?}");
        let many = server.open(tls).outcome(&asked(1100), |_| false);
        assert!(!many.is_alive, "TLS: {tls}: {} reset", many.reset.len());
    }
    until("both are counted", SOON, || {
        let ended = server.veil.metric("veil_connections_ended_total{cause=\"http2\"}");
        (ended == 2.0).then_some(())
    });
}

/// As over HTTP/1.
#[test]
fn a_request_for_nobody_and_one_of_too_many_fields_are_refused() {
    let server = Server::start();
    let nobody = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]);
    let by_host = [nobody.clone(), fields(&[("host", "a.test")])].concat();
    let named: Vec<String> = (0..140).map(|number| format!("x-{number}")).collect();
    let of = |count: usize| {
        let more: Vec<(&str, &str)> = named[..count].iter().map(|name| (name.as_str(), "1")).collect();
        head("GET", &more)
    };
    for tls in [false, true] {
        let answered = |block: &[u8]| {
            let mut connection = server.open(tls);
            connection.send(&frame(HEADERS, WHOLE, 1, block));
            connection.answer(1).0[0]
        };
        // 400 and 200 of the static table; 431 is none of it.
        assert_eq!((answered(&nobody), answered(&by_host)), (0x8c, 0x88), "TLS: {tls}");
        assert_eq!(answered(&of(120)), 0x88, "TLS: {tls}");
        assert!(![0x88, 0x8c].contains(&answered(&of(140))), "TLS: {tls}");
    }
}
