//! Workers that `veil` started: killed, stopped, orphaned. These tests hold it to seconds, so they run in a program of
//! their own, which cargo runs by itself, and one at a time.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use e2e::client;
use e2e::picture::{astronaut, jpeg};
use e2e::process::{Signal, lives, signal_to};
use e2e::until::{SOON, until};
use e2e::veil::Veil;

#[test]
fn brings_a_killed_worker_back_while_the_other_serves() {
    let _alone = alone();
    let veil = Veil::local();
    let workers = veil.workers(2);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        // Asks for the page until the sender is gone.
        let (_asking, done) = mpsc::channel::<()>();
        let served = &served;
        let veil = &veil;
        scope.spawn(move || {
            while done.try_recv() == Err(TryRecvError::Empty) {
                assert_eq!(veil.get("/").status(), 200);
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        until("requests are served", SOON, || {
            (served.load(Ordering::Relaxed) > 0).then_some(())
        });
        let killed = Instant::now();
        signal_to(workers[0], Signal::KILL);
        until("the killed worker is gone", SOON, || (!lives(workers[0])).then_some(()));
        until("two workers are eligible again", SOON, || {
            (veil.eligible() == 2 && veil.workers(2) != workers).then_some(())
        });
        let back = killed.elapsed();
        assert!(back <= Duration::from_secs(2), "back after {back:?}");
        assert!(veil.workers(2).contains(&workers[1]), "the other worker was left alone");
    });
}

#[test]
fn takes_a_hung_worker_out_within_three_seconds_and_back_when_it_wakes() {
    let _alone = alone();
    let veil = Veil::local();
    let workers = veil.workers(2);
    until("both workers are eligible", SOON, || {
        (veil.eligible() == 2).then_some(())
    });
    signal_to(workers[0], Signal::STOP);
    let stopped = Instant::now();
    until("the hung worker is out", SOON, || (veil.eligible() == 1).then_some(()));
    let out = stopped.elapsed();
    let answer = client()
        .post(veil.url("/v1/blur"))
        .body(jpeg(&astronaut()))
        .send()
        .unwrap();
    signal_to(workers[0], Signal::CONT);
    assert!(out <= Duration::from_secs(3), "out after {out:?}");
    assert_eq!(answer.status(), 200, "the other worker serves");
    until("the woken worker is back", SOON, || {
        (veil.eligible() == 2).then_some(())
    });
}

#[test]
fn leaves_no_worker_behind_when_killed() {
    let _alone = alone();
    let veil = Veil::local();
    let workers = veil.workers(2);
    veil.process.signal(Signal::KILL);
    until("its workers are gone", SOON, || {
        (!workers.iter().copied().any(lives)).then_some(())
    });
}

#[test]
fn leaves_no_worker_behind_when_stopped() {
    let _alone = alone();
    let mut veil = Veil::local();
    let workers = veil.workers(2);
    veil.process.signal(Signal::TERM);
    assert!(veil.process.exit(SOON).success());
    until("its workers are gone", SOON, || {
        (!workers.iter().copied().any(lives)).then_some(())
    });
}

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
