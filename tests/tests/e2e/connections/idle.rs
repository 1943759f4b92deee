//! Connections between requests.

use super::*;

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over_and_http2_is_told() {
    let door = Door::with("timeouts: { head: 300s, idle: 1s }");
    let begun = Instant::now();
    let mut http1 = get(door.plain);
    assert_eq!(http1.response().status(), 200);
    let mut http2 = served_over_http2(door.plain);
    assert_eq!(http1.rest(), b"");
    let mut said = Vec::new();
    let _ = http2.read_to_end(&mut said);
    assert!(begun.elapsed() >= Duration::from_secs(1), "not before");
    // GOAWAY, no error, last stream 1.
    let farewell = frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    assert!(said.ends_with(&farewell), "{said:?}");
}

#[test]
fn idle_connections_make_room_http2_as_well() {
    let door = Door::with("max_connections: 3, timeouts: { head: 300s, idle: 300s }");
    let mut idle = get(door.plain);
    assert_eq!(idle.response().status(), 200);
    let _others = [served_over_http2(door.plain), served_over_http2(door.plain)];
    let mut clients: Vec<Raw> = (0..3).map(|_| get(door.plain)).collect();
    for client in &mut clients {
        assert_eq!(client.response().status(), 200);
    }
    assert_eq!(idle.rest(), b"");
}

#[test]
fn an_idle_connection_costs_little_and_gives_it_back() {
    const CLIENTS: usize = 1000;
    let door = Door::with("timeouts: { idle: 300s }");
    let id = door.veil.process.id();
    let crowd = || {
        let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| get(door.plain)).collect();
        for client in &mut clients {
            assert_eq!(client.response().status(), 200);
        }
        clients
    };
    assert_eq!(get(door.plain).response().status(), 200);
    let before = resident_bytes(id);
    let clients = crowd();
    let crowded = resident_bytes(id);
    let all = crowded.saturating_sub(before);
    drop(clients);
    door.wait_for_active(0);
    let each = all / CLIENTS as u64;
    assert!(each <= 12_000, "{each} bytes");
    // Of what each thread keeps for itself it looks for what to give back while it is used.
    until("half of it is given back", SOON, || {
        for _ in 0..100 {
            assert_eq!(get(door.plain).response().status(), 200);
        }
        (resident_bytes(id) < crowded - all / 2).then_some(())
    });
}
