//! Ten times what the workers can serve: as much as they can is served, nobody waits long, and memory stays flat.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::process::resident_bytes;
use e2e::veil::Veil;

use crate::arrivals::Arrivals;
use crate::sample::{End, broken, percentile, refused};
use crate::workers::{PLACES, WORK, WORKERS, configuration, start};

/// Times the capacity.
const OVERLOAD: f64 = 10.0;
const QUEUE: usize = 60;
const QUEUE_TIME: Duration = Duration::from_secs(1);
/// Beside the wait and the work: what a busy machine adds.
const SLACK: Duration = Duration::from_millis(150);

pub fn run(time: Duration) -> ExitCode {
    let workers = start(SCENARIO, [WORK; WORKERS]);
    let each = format!("max_conns: {PLACES}");
    let queue = format!("queue: {{ length: {QUEUE}, timeout: {}s }}", QUEUE_TIME.as_secs());
    let veil = Veil::start(&configuration(&workers, &each, &queue));
    let capacity = (WORKERS * PLACES) as f64 / WORK.as_secs_f64();
    let clients: Vec<String> = (1..=200).map(|number| format!("203.0.113.{number}")).collect();
    let arrivals = Arrivals {
        veil: veil.public,
        clients: &clients,
        per_second: capacity * OVERLOAD,
        time,
        upload: 20_000,
    };
    let done = AtomicBool::new(false);
    let (samples, memory) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(veil.process.id(), &done));
        let samples = arrivals.send(1);
        done.store(true, Ordering::Relaxed);
        (samples, watcher.join().expect("the watcher does not panic"))
    });
    let served = samples
        .iter()
        .filter(|sample| matches!(sample.end, End::ServedBy(_)))
        .count();
    let goodput = served as f64 / time.as_secs_f64();
    let p99 = percentile(&samples, 0.99);
    // The first fifth warms up.
    let (early, late) = (peak(&memory[..memory.len() / 5]), peak(&memory));
    println!(
        "| sent /s | capacity /s | served /s | 503s | failed | p50 s | p99 s of the served | memory early, peak MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    println!(
        "| {:.0} | {capacity:.0} | {goodput:.1} | {} | {} | {:.2} | {:.2} | {early:.1}, {late:.1} |",
        samples.len() as f64 / time.as_secs_f64(),
        refused(&samples, 503),
        broken(&samples),
        percentile(&samples, 0.50).as_secs_f64(),
        p99.as_secs_f64(),
    );
    let kept =
        goodput >= 0.9 * capacity && p99 <= QUEUE_TIME + WORK + SLACK && late <= early * 1.1 && broken(&samples) == 0;
    println!("\n{}", if kept { "as it should be" } else { "NOT as it should be" });
    ExitCode::from(u8::from(!kept))
}

/// The memory that a process holds, ten times a second.
fn watch(process: u32, done: &AtomicBool) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut next = Instant::now();
    while !done.load(Ordering::Relaxed) {
        seen.push(resident_bytes(process));
        next += Duration::from_millis(100);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    seen
}

/// In MB.
fn peak(memory: &[u64]) -> f64 {
    memory.iter().copied().max().unwrap_or(0) as f64 / 1e6
}

/// Out of the way of the table's scenarios.
const SCENARIO: usize = 100;
