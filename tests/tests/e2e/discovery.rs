//! Backends that come and go without a reload: by DNS, asked of a real server, and by a file.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use e2e::backend::{Answer, Backend};
use e2e::name_server::{NameServer, Record};
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use e2e::{client, skip};
use serde_json::Value;

#[test]
fn follows_the_addresses_of_a_name_while_requests_flow() {
    let first = Backend::named("first");
    let port = first.address.port();
    let second = Backend::at(SocketAddr::from(([127, 0, 0, 2], port)), |_| Answer::ok("second"));
    let records = [&first, &second].map(|backend| Record::Address("workers.test", backend.address.ip()));
    let Some(mut dns) = NameServer::start("discovery by DNS", &records[..1]) else {
        return;
    };
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, health: {{ path: /health }}, \
           discover: [{{ dns: {{ name: workers.test, port: {port}, resolver: ['{}'], greatest_ttl: 1s }} }}] }}",
        dns.address
    ));
    assert_eq!(veil.get("/").text().unwrap(), "first");

    let failed = while_requests_flow(&veil, || {
        dns.serve(&records);
        until("the second joins", SOON, || (veil.eligible() == 2).then_some(()));
        until("it serves", SOON, || {
            (veil.get("/").text().ok()? == "second").then_some(())
        });
        dns.serve(&records[1..]);
        until("the first leaves", SOON, || (veil.backends().len() == 1).then_some(()));
        assert_eq!(veil.get("/").text().unwrap(), "second");

        dns.stop();
        until("the failure is told", SOON, || {
            source(&veil)["trouble"].as_str().map(drop)
        });
        assert_eq!(veil.backends().len(), 1);
        assert_eq!(veil.get("/").text().unwrap(), "second");
        let metrics = veil.admin_get("/metrics").text().unwrap();
        assert!(
            metrics.contains("veil_discovery_stale{pool=\"blur\",source=\"dns A workers.test\"} 1"),
            "{metrics}"
        );

        dns.serve(&[Record::Address("elsewhere.test", Ipv4Addr::LOCALHOST.into())]);
        until("an answer without addresses counts as a failure", SOON, || {
            (source(&veil)["trouble"] == "names nobody").then_some(())
        });
        assert_eq!(veil.backends().len(), 1);

        dns.serve(&records);
        until("the first is back", SOON, || (veil.eligible() == 2).then_some(()));
        assert_eq!(source(&veil)["trouble"], Value::Null);
    });
    assert_eq!(failed, 0);
    let warnings = veil.process.stderr.text().matches("its last answer stays").count();
    assert!((1..=4).contains(&warnings), "{}", veil.process.stderr.text());
}

#[test]
fn takes_ports_weights_and_backups_from_srv_records() {
    let [a, b, spare] = ["a", "b", "spare"].map(Backend::named);
    let srv = |target, backend: &Backend, priority, weight| Record::Srv {
        name: "_blur._tcp.test",
        priority,
        weight,
        target,
        port: backend.address.port(),
    };
    let located = |target| Record::Address(target, Ipv4Addr::LOCALHOST.into());
    let all = [
        srv("a.test", &a, 10, 60),
        srv("b.test", &b, 10, 20),
        srv("spare.test", &spare, 20, 0),
        located("a.test"),
        located("b.test"),
        located("spare.test"),
    ];
    let Some(mut dns) = NameServer::start("discovery by SRV records", &all) else {
        return;
    };
    let veil = Veil::over(&format!(
        "{{ select: {{ round_robin: {{}} }}, \
           discover: [{{ dns: {{ name: _blur._tcp.test, type: srv, resolver: ['{}'] }} }}] }}",
        dns.address
    ));
    let asked = |times| -> String { (0..times).map(|_| veil.get("/").text().unwrap()).collect() };
    assert_eq!(asked(8), "aabaaaba");
    let spare_name = format!("spare.test:{}", spare.address.port());
    let backup = veil.backend(spare.address);
    assert_eq!(
        (&backup["name"], &backup["backup"]),
        (&Value::from(spare_name), &Value::Bool(true))
    );

    dns.serve(&all[2..]);
    until("the backup serves alone", SOON, || {
        (asked(2) == "sparespare").then_some(())
    });
    dns.serve(&all);
    until("the primaries are back", SOON, || {
        (veil.backends().len() == 3).then_some(())
    });
    assert_eq!(asked(8).matches('a').count(), 6);
}

#[test]
fn finds_ipv6_addresses_where_they_are_asked_for() {
    let test = "discovery by AAAA records";
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip(test, "this machine has no IPv6");
    }
    let backend = Backend::at((Ipv6Addr::LOCALHOST, 0).into(), |_| Answer::ok("sixth"));
    let records = [
        Record::Address("workers.test", Ipv4Addr::LOCALHOST.into()),
        Record::Address("workers.test", Ipv6Addr::LOCALHOST.into()),
    ];
    let Some(dns) = NameServer::start(test, &records) else {
        return;
    };
    let veil = Veil::over(&format!(
        "{{ discover: [{{ dns: {{ name: workers.test, type: aaaa, port: {}, resolver: ['{}'] }} }}] }}",
        backend.address.port(),
        dns.address
    ));
    assert_eq!(veil.get("/").text().unwrap(), "sixth");
    assert_eq!(veil.backends().len(), 1);
}

#[test]
fn follows_a_file_and_keeps_the_last_good_one() {
    let [first, second] = ["first", "second"].map(Backend::named);
    let veil = Veil::over("{ discover: [{ file: backends.yaml }] }");
    let file = veil.file().with_file_name("backends.yaml");
    assert_eq!(veil.get("/").status(), 503);
    assert!(source(&veil)["trouble"].as_str().unwrap().starts_with("cannot be read"));

    fs::write(&file, format!("- {{ address: {}, name: left }}\n", first.address)).unwrap();
    until("the first joins", SOON, || {
        (veil.get("/").text().ok()? == "first").then_some(())
    });
    assert!(
        client()
            .post(veil.admin_url("/pools/blur/left/drain"))
            .send()
            .unwrap()
            .status()
            .is_success()
    );

    let both = format!(
        "- {{ address: {}, name: left }}\n- {{ address: {} }}\n",
        first.address, second.address
    );
    fs::write(&file, &both).unwrap();
    until("the second joins", SOON, || {
        (veil.get("/").text().ok()? == "second").then_some(())
    });
    assert_eq!(veil.backend(first.address)["standing"], "drained");

    fs::write(&file, both.replace("name:", "nmae:")).unwrap();
    until("the mistake is told", SOON, || {
        let trouble = source(&veil)["trouble"].as_str()?.to_owned();
        trouble
            .contains("backends.yaml:1:")
            .then(|| assert!(trouble.contains("did you mean \"name\"?"), "{trouble}"))
    });
    assert_eq!(veil.backends().len(), 2);
    assert_eq!(veil.get("/").text().unwrap(), "second");
    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("veil_discovery_stale{") && line.ends_with(" 1")),
        "{metrics}"
    );

    fs::write(&file, format!("- {{ address: {} }}\n", second.address)).unwrap();
    until("the first leaves", SOON, || (veil.backends().len() == 1).then_some(()));
    assert_eq!(source(&veil)["trouble"], Value::Null);
}

/// What `/pools` says of the only source.
fn source(veil: &Veil) -> Value {
    let pools: Value = veil.admin_get("/pools").json().unwrap();
    pools[0]["discovery"][0].clone()
}

/// Sends one request after another while something happens; how many were not answered with 200.
fn while_requests_flow(veil: &Veil, happens: impl FnOnce()) -> usize {
    let (over, sent, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let flow = scope.spawn(|| {
            let client = client();
            while !over.load(Ordering::Relaxed) {
                let answer = client.get(veil.url("/")).send();
                sent.fetch_add(1, Ordering::Relaxed);
                let is_good = answer.is_ok_and(|answer| answer.status() == 200);
                failed.fetch_add(usize::from(!is_good), Ordering::Relaxed);
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(happens));
        over.store(true, Ordering::Relaxed);
        flow.join().unwrap();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert!(sent.into_inner() > 0);
    failed.into_inner()
}
