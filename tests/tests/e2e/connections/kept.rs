//! How long a connection is kept for further requests.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What answers say of their connection, one after the other, until one says that it ends.
fn said(address: SocketAddr) -> Vec<String> {
    let mut client = Raw::connect(address);
    let mut said = Vec::new();
    loop {
        let answer = client.send(GET).response();
        said.push(answer.header("connection").unwrap().to_owned());
        if said.last().unwrap() == "close" {
            assert_eq!(client.rest(), b"");
            return said;
        }
    }
}

#[test]
fn a_route_may_say_how_long_connections_are_kept() {
    let backend = Backend::named("it");
    let settings = "timeouts: { idle: 300s }";
    let own = "filters: [FILTER, { respond: { status: 200, body: hello } }]";
    for (route, backend) in [(own, None), ("pool: all, filters: [FILTER]", Some(&backend))] {
        let door = |filter: &str| {
            let pools =
                backend.map(|backend| format!("{{ all: {{ backends: [{{ address: {} }}] }} }}", backend.address));
            Door::of(
                settings,
                &route.replace("FILTER", filter),
                pools.as_deref().unwrap_or("{}"),
            )
        };
        let door_of_three = door("{ keep_alive: { requests: 3 } }");
        assert_eq!(
            said(door_of_three.plain),
            ["keep-alive", "keep-alive", "close"],
            "{route}"
        );
        assert_eq!(said(door("{ keep_alive: { idle: 0s } }").plain), ["close"], "{route}");
        let for_a_while = said(door("{ keep_alive: { time: 300ms } }").plain);
        assert!(for_a_while.len() > 1, "{route}");

        let impatient = door("{ keep_alive: { idle: 1s, told: 9s } }");
        let mut client = get(impatient.plain);
        assert_eq!(client.response().header("keep-alive"), Some("timeout=9"), "{route}");
        let since = Instant::now();
        assert_eq!(client.rest(), b"");
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{route}: {:?}",
            since.elapsed()
        );
    }
}

#[test]
fn an_answer_under_way_says_that_it_is_the_last_one_when_veil_stops() {
    let late = |_: &_| Answer::After(Duration::from_millis(700), Box::new(Answer::ok("in time")));
    let backend = Backend::start(late);
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    let mut client = Raw::connect(veil.public);
    client.send(GET);
    until("the request is with the backend", SOON, || {
        (!backend.received().is_empty()).then_some(())
    });
    veil.process.signal(Signal::TERM);
    let answer = client.response();
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
}
