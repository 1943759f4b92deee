//! The faults, one a row.

use std::time::Duration;

use e2e::process::Signal;

use crate::load::Progress;
use crate::stage::Stage;

pub struct Row {
    pub name: &'static str,
    /// What the first worker does with every third request.
    pub fault: Option<&'static str>,
    /// What happens while uploads are sent.
    pub act: fn(&mut Stage, &Progress),
    /// Whether `veil` has to retry or eject because of it.
    pub shows: bool,
}

pub const ROWS: &[Row] = &[
    Row {
        name: "none",
        fault: None,
        act: nothing,
        shows: false,
    },
    Row {
        name: "kill -9",
        fault: None,
        act: kill,
        shows: true,
    },
    Row {
        name: "SIGSTOP",
        fault: None,
        act: stop,
        shows: true,
    },
    Row {
        name: "connection refused",
        fault: None,
        act: refuse,
        shows: true,
    },
    faulty("reset before the body", "reset-before-body"),
    faulty("reset amid the body", "reset-amid-body"),
    faulty("reset after the body", "reset-after-body"),
    faulty("reset amid the answer's head", "reset-amid-head"),
    faulty("status 500", "answer500"),
    faulty("status 502", "answer502"),
    faulty("status 503", "answer503"),
    faulty("slow answer", "slow"),
    Row {
        name: "worker restart loop",
        fault: None,
        act: restart_loop,
        shows: true,
    },
    Row {
        name: "rolling drain of all",
        fault: None,
        act: rolling_drain,
        shows: false,
    },
    Row {
        name: "reload every 200 ms",
        fault: None,
        act: reload,
        shows: false,
    },
    Row {
        name: "binary upgrade",
        fault: None,
        act: upgrade,
        shows: false,
    },
    Row {
        name: "all primaries dead and back",
        fault: None,
        act: all_dead,
        shows: true,
    },
];

const fn faulty(name: &'static str, fault: &'static str) -> Row {
    Row {
        name,
        fault: Some(fault),
        act: nothing,
        shows: true,
    }
}

fn nothing(_: &mut Stage, _: &Progress) {}

fn kill(stage: &mut Stage, progress: &Progress) {
    for (worker, share) in [(0, 0.2), (1, 0.5), (2, 0.8)] {
        progress.reach(share);
        stage.kill(worker);
        progress.reach(share + 0.1);
        stage.restart(worker);
    }
}

fn stop(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.2);
    stage.signal(0, Signal::STOP);
    progress.reach(0.8);
    stage.signal(0, Signal::CONT);
}

/// A worker that is not there for most of the time; checks take it out, and it comes back.
fn refuse(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.1);
    stage.kill(0);
    progress.reach(0.9);
    stage.restart(0);
}

fn restart_loop(stage: &mut Stage, progress: &Progress) {
    while !progress.done() {
        progress.pause(Duration::from_millis(300));
        stage.kill(0);
        progress.pause(Duration::from_millis(150));
        stage.restart(0);
    }
}

fn rolling_drain(stage: &mut Stage, progress: &Progress) {
    for (worker, share) in [(0, 0.1), (1, 0.4), (2, 0.7)] {
        progress.reach(share);
        stage.drain(worker);
        stage.kill(worker);
        stage.restart(worker);
        stage.undrain(worker);
    }
}

fn reload(stage: &mut Stage, progress: &Progress) {
    while !progress.done() {
        progress.pause(Duration::from_millis(200));
        stage.veil.process.signal(Signal::HUP);
    }
}

fn upgrade(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.3);
    stage.upgrade();
}

fn all_dead(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.3);
    for worker in 0..3 {
        stage.kill(worker);
    }
    progress.reach(0.7);
    for worker in 0..3 {
        stage.restart(worker);
    }
    progress.reach(0.8);
    for worker in 0..3 {
        stage.wait_until_eligible(worker);
    }
}
