//! The runbook (`conf/observability/README.md`): each fault is made, and `veil pools` and the metrics have to say what it
//! says they do.

use std::time::Duration;

use e2e::backend::{Answer, Backend, refusing};
use e2e::process::{Process, Signal};
use e2e::raw::Raw;
use e2e::until::{SOON, until};
use e2e::veil::{Veil, configuration, round_robin};

const RUNBOOK: &str = include_str!("../../../conf/observability/README.md");

#[test]
fn every_line_is_tried_here() {
    let tried = [
        WORKER_GONE,
        HANGS,
        ANSWERED_OTHERWISE,
        FAILING_ON_WORK,
        ALL_GONE,
        TOO_MANY,
        KEEPS_DYING,
        RELOAD,
        UPGRADE,
        SOURCE,
        DRAINED,
        COLLECTOR,
        DISK,
    ];
    let written: Vec<&str> = rows().map(|cells| cells[0]).collect();
    assert_eq!(written, tried);
}

#[test]
fn a_worker_that_is_gone_hangs_or_answers_otherwise() {
    let well = Backend::named("well");
    let checked = |address| {
        Veil::over(&format!(
            "{{ backends: [{{ address: {} }}, {{ address: {address} }}], \
             health: {{ path: /health, interval: 50ms, timeout: 200ms, fall: 1 }} }}",
            well.address
        ))
    };
    is_told(WORKER_GONE, &checked(refusing()));
    let hanging = Backend::named("hanging");
    hanging.answer_health(Answer::Hang);
    is_told(HANGS, &checked(hanging.address));
    let moved = Backend::named("moved");
    moved.answer_health(Answer::status(302));
    is_told(ANSWERED_OTHERWISE, &checked(moved.address));
}

#[test]
fn a_worker_that_fails_on_work() {
    let failing = Backend::start(|_| Answer::status(500));
    let well = Backend::named("well");
    let veil = Veil::over(&round_robin(&[&failing, &well]));
    for _ in 0..20 {
        assert_eq!(veil.get("/").status(), 200);
    }
    is_told(FAILING_ON_WORK, &veil);
}

#[test]
fn all_workers_are_gone() {
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {} }}, {{ address: {} }}], health: {{ path: /health, interval: 50ms, fall: 1 }} }}",
        refusing(),
        refusing()
    ));
    until("both are down", SOON, || (veil.eligible() == 0).then_some(()));
    let answer = veil.get("/");
    assert!(matches!(answer.status().as_u16(), 502 | 503));
    is_told(ALL_GONE, &veil);
}

#[test]
fn more_requests_than_places() {
    let backend = Backend::start(|_| Answer::Hang);
    let veil = Veil::over(&format!(
        "{{ backends: [{{ address: {}, max_conns: 1 }}], queue: {{ length: 1, timeout: 60s }} }}",
        backend.address
    ));
    let _clients: Vec<Raw> = (0..4)
        .map(|_| {
            let mut client = Raw::connect(veil.public);
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    is_told(TOO_MANY, &veil);
}

#[test]
fn a_spawned_worker_keeps_dying() {
    let veil = Veil::over("{ spawn: { workers: 1, command: [sh, -c, exit 3], backoff: 1ms, start_timeout: 1ms } }");
    is_told(KEEPS_DYING, &veil);
}

#[test]
fn a_reload_is_refused() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&round_robin(&[&backend]));
    std::fs::write(veil.file(), "version: 1\nlisteners: nowhere\n").unwrap();
    veil.process.signal(Signal::HUP);
    is_told(RELOAD, &veil);
    let pools = veil.admin_get("/pools").text().unwrap();
    assert!(pools.contains("veil.yaml:2:12"), "{pools}");
    std::fs::write(veil.file(), configuration(&round_robin(&[&backend]))).unwrap();
    veil.process.signal(Signal::HUP);
    until("the next one succeeds", SOON, || {
        (veil.metric("veil_last_change_succeeded{change=\"reload\"}") == 1.0).then_some(())
    });
}

#[test]
fn an_upgrade_does_not_get_ready() {
    let (backend, hanging) = (Backend::named("backend"), Backend::start(|_| Answer::Hang));
    let veil = Veil::over(&round_robin(&[&backend]));
    let checked = format!(
        "{{ backends: [{{ address: {} }}], health: {{ path: /, timeout: 1h }} }}",
        hanging.address
    );
    std::fs::write(veil.file(), configuration(&checked)).unwrap();
    veil.process.signal(Signal::USR2);
    is_told(UPGRADE, &veil);
}

#[test]
fn a_source_of_backends_is_gone() {
    let backend = Backend::named("backend");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backends.yaml");
    std::fs::write(&file, format!("- {{ address: {} }}\n", backend.address)).unwrap();
    let veil = Veil::over(&format!("{{ discover: [{{ file: {} }}] }}", file.display()));
    until("it is there", SOON, || (veil.eligible() == 1).then_some(()));
    std::fs::remove_file(&file).unwrap();
    is_told(SOURCE, &veil);
    assert_eq!(veil.get("/").text().unwrap(), "backend");
}

#[test]
fn a_backend_is_drained() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let veil = Veil::over(&round_robin(&[&first, &second]));
    let drain = veil.admin_url(&format!("/pools/blur/{}/drain", first.address));
    assert!(e2e::client().post(drain).send().unwrap().status().is_success());
    is_told(DRAINED, &veil);
}

#[test]
fn the_access_log_cannot_be_written() {
    let backend = Backend::named("backend");
    let veil = Veil::start(&format!(
        "{}access_log: {{ to: /dev/full }}\n",
        configuration(&round_robin(&[&backend]))
    ));
    for _ in 0..3 {
        assert_eq!(veil.get("/").status(), 200);
        std::thread::park_timeout(Duration::from_millis(100));
    }
    is_told(DISK, &veil);
    until("three lines are lost", SOON, || {
        (veil.metric("veil_access_log_dropped_total{reason=\"unwritten\"}") == 3.0).then_some(())
    });
    let log = veil.process.stderr.text();
    assert_eq!(log.matches("the log takes no lines").count(), 1, "{log}");
    assert!(log.contains("No space left on device"), "{log}");
}

#[test]
fn the_collector_of_traces_is_not_there() {
    let backend = Backend::named("backend");
    let veil = Veil::start(&format!(
        "{}traces: {{ to: 'http://{}' }}\n",
        configuration(&round_robin(&[&backend])),
        refusing()
    ));
    assert_eq!(veil.get("/").status(), 200);
    is_told(COLLECTOR, &veil);
}

/// What the runbook's line for this fault says is what is said.
fn is_told(fault: &str, veil: &Veil) {
    let cells = rows()
        .find(|cells| cells[0] == fault)
        .expect("the runbook has a line for it");
    for words in spans(cells[1]) {
        until(&format!("{fault}: `veil pools` says {words:?}"), SOON, || {
            overview(veil).contains(words).then_some(())
        });
    }
    for claim in spans(cells[2]) {
        until(&format!("{fault}: metrics say {claim}"), SOON, || {
            let metrics = veil.admin_get("/metrics").text().unwrap();
            metrics.lines().any(|sample| agrees(sample, claim)).then_some(())
        });
    }
}

/// The cells of the table, line by line.
fn rows() -> impl Iterator<Item = [&'static str; 4]> {
    let lines = RUNBOOK.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split('|').map(str::trim));
    cells
        .skip(1)
        .map(|mut cells| [(); 4].map(|()| cells.next().expect("four cells")))
}

/// What stands between backticks.
fn spans(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn overview(veil: &Veil) -> String {
    let mut process = Process::start("veil", &["pools", "--admin", &veil.admin.to_string()]);
    assert!(process.exit(SOON).success(), "{}", process.stderr.text());
    process.stdout.all()
}

/// Whether a sample, such as `a{b="1",c="2"} 3`, is what a claim means, such as `a{c="2"} > 0`.
fn agrees(sample: &str, claim: &str) -> bool {
    let Some((series, value)) = sample.rsplit_once(' ') else {
        return false;
    };
    let mut words = claim.split(' ');
    let (wanted, sign) = (words.next().unwrap_or_default(), words.next());
    let is_positive = value.parse::<f64>().is_ok_and(|value| value > 0.0);
    let (name, labels) = wanted.split_once('{').unwrap_or((wanted, ""));
    let (found, others) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels
        .trim_end_matches('}')
        .split(',')
        .filter(|label| !label.is_empty());
    found == name && labels.into_iter().all(|label| others.contains(label)) && is_positive == (sign == Some(">"))
}

const WORKER_GONE: &str = "worker gone";
const HANGS: &str = "worker hangs";
const ANSWERED_OTHERWISE: &str = "health check answered otherwise";
const FAILING_ON_WORK: &str = "healthy on checks, failing on work";
const ALL_GONE: &str = "all workers gone";
const TOO_MANY: &str = "more requests than places";
const KEEPS_DYING: &str = "spawned worker keeps dying";
const RELOAD: &str = "reload refused";
const UPGRADE: &str = "upgrade that does not get ready";
const SOURCE: &str = "source of backends gone";
const DRAINED: &str = "drained and forgotten";
const COLLECTOR: &str = "the collector of traces does not take them";
const DISK: &str = "access log cannot be written";
