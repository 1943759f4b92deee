//! Clients that send more of what carries nothing than anybody needs.

use super::*;

/// Sends the same frames again and again. Says how many bytes went before the connection was cut; none where it was not.
fn flood(mut stream: TcpStream, frames: &[u8]) -> Option<usize> {
    stream.set_write_timeout(Some(SOON)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
    let sent = (1..MOST / frames.len()).find_map(|count| stream.write_all(frames).err().map(|_| count * frames.len()));
    drop(stream);
    let _ = reading.join();
    sent
}

/// Bytes after which a flood counts as not bounded; sockets hold some of them.
const MOST: usize = 32 << 20;

fn ended(door: &Door, cause: &str) -> f64 {
    door.veil
        .metric(&format!("veil_connections_ended_total{{cause=\"{cause}\"}}"))
}

#[test]
fn frames_that_carry_nothing_are_cut_off_and_counted() {
    let door = Door::with("timeouts: { head: 300s, idle: 300s }");
    let kinds = [
        ("PING", frame(6, 0, 0, b"12345678")),
        ("SETTINGS", frame(4, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
        ("PRIORITY", frame(2, 0, 5, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("unknown", frame(77, 0, 0, &[0; 100])),
    ];
    for (name, frame) in &kinds {
        let many = frame.repeat((16 << 10) / frame.len());
        assert!(flood(served_over_http2(door.plain), &many).is_some(), "{name}");
        assert_eq!(get(door.plain).response().status(), 200, "beside {name}");
    }
    assert_eq!(ended(&door, "flood"), kinds.len() as f64);
    door.wait_for_active(0);
}

#[test]
fn who_cancels_what_was_asked_for_again_and_again_is_cut_off_and_counted() {
    let door = Door::with("timeouts: { head: 300s, idle: 300s }");
    let mut many = Vec::new();
    for stream in (3..=255).step_by(2) {
        many.extend(frame(1, 5, stream, GET));
        many.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    // Streams of the same numbers are wrong the second time, if it comes to that.
    assert!(flood(served_over_http2(door.plain), &many).is_some());
    assert_eq!(ended(&door, "http2"), 1.0);
    assert_eq!(get(door.plain).response().status(), 200);
}

#[test]
fn who_is_let_go_for_being_late_or_idle_is_counted() {
    let door = Door::with("timeouts: { head: 1s, idle: 1s }");
    let silent = [&b""[..], PREFACE].map(|bytes| {
        let mut stream = TcpStream::connect(door.plain).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    });
    let idle = [get(door.plain)];
    until("all are counted", SOON, || {
        (ended(&door, "late") == silent.len() as f64 && ended(&door, "idle") == idle.len() as f64).then_some(())
    });
    let mut stranger = TcpStream::connect(door.secure).unwrap();
    stranger.write_all(b"this is no handshake").unwrap();
    until("no handshake", SOON, || {
        (ended(&door, "handshake") == 1.0).then_some(())
    });
}
