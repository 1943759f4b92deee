//! Workers that `veil` starts, seen from outside.

use e2e::client;
use e2e::picture::ASTRONAUT_PNG;
use e2e::process::{Signal, signal_to};
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration};
use serde_json::Value;

#[test]
fn a_crash_loop_is_told_and_what_the_worker_said_stands_in_the_log() {
    let veil = Veil::start(&configuration(
        "{ spawn: { workers: 1, command: [sh, -c, 'echo no model; exit 3'], backoff: 1ms, start_timeout: 1ms } }",
    ));
    let pools = || -> Vec<Value> { veil.admin_get("/pools").json().unwrap() };
    until("the pool is degraded", SOON, || {
        (pools()[0]["degraded"] == true).then_some(())
    });
    let worker = &pools()[0]["backends"][0];
    assert_eq!(
        (&worker["standing"], &worker["degraded"]),
        (&"stopped".into(), &true.into())
    );
    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(metrics.contains(r#"veil_pool_degraded{pool="blur"} 1"#), "{metrics}");
    for said in ["no model", "exit status: 3", "it keeps dying"] {
        veil.process.stderr.wait_for(said, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let is_named = (&line["pool"], &line["worker"]) == (&"blur".into(), &"worker-1".into());
            (is_named && line["message"].as_str()?.contains(said)).then_some(())
        });
    }
    assert_eq!(veil.admin_get("/readyz").status(), 503);
    let status = veil.get("/").status().as_u16();
    assert!(matches!(status, 502 | 503), "{status}");
}

#[test]
fn a_hung_worker_is_replaced_although_the_configuration_names_no_check() {
    let veil = Veil::start(&configuration(
        "{ spawn: { workers: 1, args: [--detail, fast], hang_timeout: 200ms } }",
    ));
    let hung = veil.workers(1)[0];
    until("the worker is eligible", SOON, || (veil.eligible() == 1).then_some(()));
    signal_to(hung, Signal::STOP);
    until("another worker serves", SOON, || {
        (veil.eligible() == 1 && veil.process.children().iter().any(|worker| *worker != hung)).then_some(())
    });
    assert_eq!(veil.get("/").status(), 200);
    assert_eq!(veil.backends()[0]["deaths"], 1);
}

#[test]
fn a_worker_is_shut_in_and_serves_all_the_same() {
    let veil = Veil::start(&configuration("{ spawn: { workers: 1, args: [--detail, fast] } }"));
    until("the worker is eligible", SOON, || (veil.eligible() == 1).then_some(()));
    let worker = veil.workers(1)[0];
    for thread in std::fs::read_dir(format!("/proc/{worker}/task")).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(
            status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"),
            "{status}"
        );
    }
    let answer = client().post(veil.url("/v1/blur")).body(ASTRONAUT_PNG).send().unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["x-faces"].to_str().unwrap()),
        (200, "1")
    );
}
