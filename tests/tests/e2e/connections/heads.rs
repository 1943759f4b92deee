//! Clients whose first head does not come.

use super::*;

/// HTTP/2 up to a request whose head is not whole.
fn unfinished_http2() -> Vec<u8> {
    [
        PREFACE,
        &frame(4, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
        &frame(4, 1, 0, b""),
        &frame(1, 1, 1, &GET[..3]),
        &frame(9, 0, 1, &GET[3..]),
    ]
    .concat()
}

const UNFINISHED_HTTP1: &[u8] = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n";

/// A stream that a client holds on to, plain or through TLS.
trait Held: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
}

impl Held for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Held for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Connections that have each sent another part of what makes a request, and what each is called.
fn stuck(door: &Door) -> Vec<(String, Box<dyn Held>)> {
    let mut stuck: Vec<(String, Box<dyn Held>)> = Vec::new();
    let hello = Tls::offering(&["h2", "http/1.1"]).hello();
    let plain: [(&str, SocketAddr, &[u8]); 3] = [
        ("HTTP/1", door.plain, UNFINISHED_HTTP1),
        ("HTTP/2", door.plain, &unfinished_http2()),
        ("TLS", door.secure, &hello[..hello.len() - 1]),
    ];
    for (name, address, bytes) in plain {
        // The middle of a ClientHello is alike everywhere.
        let lengths = (0..=bytes.len()).filter(|length| *length < 110 || length % 16 == 0);
        for length in lengths {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&bytes[..length]).unwrap();
            stuck.push((format!("{length} bytes of {name}"), Box::new(stream)));
        }
    }
    let secure: [(&[&str], &[u8]); 3] = [
        (&["http/1.1"], UNFINISHED_HTTP1),
        (&[], UNFINISHED_HTTP1),
        (&["h2"], &unfinished_http2()),
    ];
    for (protocols, bytes) in secure {
        let client = Tls::offering(protocols);
        for length in (0..=bytes.len()).step_by(3) {
            let mut stream = client.connect(door.secure).unwrap();
            stream.write_all(&bytes[..length]).unwrap();
            stream.flush().unwrap();
            stuck.push((format!("{length} bytes of {protocols:?} over TLS"), Box::new(stream)));
        }
    }
    stuck
}

/// Waits for the other side to close.
fn is_closed(stream: &mut dyn Held) -> bool {
    stream.socket().set_read_timeout(Some(SOON)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }
}

#[test]
fn whoever_stops_amid_a_head_is_let_go_when_its_time_is_over() {
    let door = Door::with("timeouts: { head: 2s, idle: 300s }");
    for (what, mut stream) in stuck(&door) {
        assert!(is_closed(&mut *stream), "still open after {what}");
    }
    door.wait_for_active(0);
}

#[test]
fn whoever_leaves_amid_a_head_is_gone_at_once() {
    let door = Door::with("timeouts: { head: 300s, idle: 300s }");
    drop(stuck(&door));
    door.wait_for_active(0);
}

#[test]
fn whoever_drips_a_head_gets_no_more_time_than_others() {
    let door = Door::with("timeouts: { head: 1s, idle: 300s }");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let drips: Vec<_> = [UNFINISHED_HTTP1.to_vec(), unfinished_http2()]
            .into_iter()
            .map(|bytes| {
                let mut stream = TcpStream::connect(door.plain).unwrap();
                let mut writer = stream.try_clone().unwrap();
                let over = &over;
                scope.spawn(move || {
                    for byte in bytes.iter().cycle() {
                        if over.load(Ordering::Relaxed) || writer.write_all(&[*byte]).is_err() {
                            break;
                        }
                        thread::park_timeout(Duration::from_millis(60));
                    }
                });
                scope.spawn(move || is_closed(&mut stream))
            })
            .collect();
        let closed: Vec<bool> = drips.into_iter().map(|drip| drip.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(closed, [true, true]);
    });
}

#[test]
fn whoever_has_not_sent_a_head_makes_room() {
    let door = Door::with("max_connections: 4, timeouts: { head: 300s, idle: 300s }");
    let parts: [&[u8]; 4] = [b"", b"P", b"PRI * HTTP/2.0\r\n", &unfinished_http2()];
    let _stuck: Vec<TcpStream> = parts
        .iter()
        .map(|part| {
            let mut stream = TcpStream::connect(door.plain).unwrap();
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    for _ in 0..8 {
        assert_eq!(get(door.plain).response().status(), 200);
    }
    let client = Tls::offering(&["h2"]);
    let _stuck: Vec<_> = (0..4).map(|_| client.connect(door.secure).unwrap()).collect();
    for _ in 0..8 {
        assert!(client.connect(door.secure).is_ok());
    }
}
