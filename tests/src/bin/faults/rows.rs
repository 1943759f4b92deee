//! The faults, one a row.

use std::time::Duration;

use e2e::process::Signal;

use crate::load::Progress;
use crate::stage::Stage;

pub struct Row {
    pub name: &'static str,
    /// What the first worker does with every third request.
    pub fault: Option<&'static str>,
    /// What the pool's defaults do not cover; told beside the row's name.
    pub settings: &'static str,
    /// What happens while uploads are sent.
    pub act: fn(&mut Stage, &Progress),
    pub effect: Effect,
}

impl Row {
    pub fn title(&self) -> String {
        match self.settings {
            "" => self.name.to_owned(),
            settings => format!("{} (`{settings}`)", self.name),
        }
    }
}

/// What a fault does to uploads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, with retries or without.
    None,
    /// They have to go elsewhere; without retries too, as nothing of them was sent yet.
    PassedOver,
    /// Those under way are lost, unless they are sent again.
    Lost,
}

pub const ROWS: &[Row] = &[
    planned("none", nothing),
    fatal("kill -9", kill),
    fatal("SIGSTOP", stop),
    Row {
        name: "connection refused",
        fault: None,
        settings: "",
        act: refuse,
        effect: Effect::PassedOver,
    },
    faulty("reset before the body", "reset-before-body"),
    faulty("reset amid the body", "reset-amid-body"),
    faulty("reset after the body", "reset-after-body"),
    faulty("reset amid the answer's head", "reset-amid-head"),
    faulty("dies amid the answer", "reset-amid-answer"),
    faulty("dies amid a large answer", "reset-amid-large-answer"),
    faulty("status 500", "answer500"),
    faulty("status 502", "answer502"),
    faulty("status 503", "answer503"),
    Row {
        settings: "timeouts: { read: 2s }",
        ..faulty("slow answer", "slow")
    },
    fatal("worker restart loop", restart_loop),
    planned("rolling drain of all", rolling_drain),
    planned("reload every 200 ms", reload),
    planned("binary upgrade", upgrade),
    planned("rolling upgrade of workers and proxy", rolling_upgrade),
    fatal("all primaries dead and back", all_dead),
];

const fn planned(name: &'static str, act: fn(&mut Stage, &Progress)) -> Row {
    Row {
        name,
        fault: None,
        settings: "",
        act,
        effect: Effect::None,
    }
}

const fn fatal(name: &'static str, act: fn(&mut Stage, &Progress)) -> Row {
    Row {
        name,
        fault: None,
        settings: "",
        act,
        effect: Effect::Lost,
    }
}

const fn faulty(name: &'static str, fault: &'static str) -> Row {
    Row {
        name,
        fault: Some(fault),
        settings: "",
        act: nothing,
        effect: Effect::Lost,
    }
}

fn nothing(_: &mut Stage, _: &Progress) {}

fn kill(stage: &mut Stage, progress: &Progress) {
    for (worker, share) in [(0, 0.2), (1, 0.5), (2, 0.8)] {
        progress.reach(share);
        stage.kill_at_work(worker, progress);
        progress.reach(share + 0.1);
        stage.restart(worker);
    }
}

fn stop(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.2);
    stage.wait_until_at_work(0, progress);
    stage.signal(0, Signal::STOP);
    // For as long as somebody may wait for it.
    progress.finish();
    stage.signal(0, Signal::CONT);
}

/// A worker that is not there for most of the time, and had nothing to do when it went; checks take it out, and back.
fn refuse(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.1);
    stage.drain(0);
    stage.kill(0);
    stage.take_back(0);
    progress.reach(0.9);
    stage.restart(0);
}

fn restart_loop(stage: &mut Stage, progress: &Progress) {
    while !progress.done() {
        progress.pause(Duration::from_millis(300));
        stage.kill_at_work(0, progress);
        progress.pause(Duration::from_millis(150));
        stage.restart(0);
    }
}

fn rolling_drain(stage: &mut Stage, progress: &Progress) {
    for (worker, share) in [(0, 0.1), (1, 0.4), (2, 0.7)] {
        progress.reach(share);
        stage.replace(worker);
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

/// As keepalived/README.md has it: each worker in turn, then the proxy.
fn rolling_upgrade(stage: &mut Stage, progress: &Progress) {
    for (worker, share) in [(0, 0.1), (1, 0.3), (2, 0.5)] {
        progress.reach(share);
        stage.replace(worker);
    }
    progress.reach(0.7);
    stage.upgrade();
}

fn all_dead(stage: &mut Stage, progress: &Progress) {
    progress.reach(0.3);
    stage.wait_until_at_work(0, progress);
    for worker in 0..3 {
        stage.kill(worker);
    }
    progress.reach(0.7);
    assert!(
        stage.backup_has_served(),
        "somebody has to, while all primaries are dead"
    );
    for worker in 0..3 {
        stage.restart(worker);
    }
    progress.reach(0.8);
    for worker in 0..3 {
        stage.wait_until_eligible(worker);
    }
}
