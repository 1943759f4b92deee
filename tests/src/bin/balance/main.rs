//! The balance table: how even and how sticky `veil` is under a steady load, and what it does under far too much.

mod arrivals;
mod overload;
mod sample;
mod scenario;
mod workers;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::scenario::SCENARIOS;

/// Sends requests through Veil at random times, whatever becomes of those before (an open loop), to three workers of two
/// places each whose work takes 100 ms by the clock. Prints a row for each mix of clients, load, workers and policy.
///
/// With --overload: ten times as many as the workers can serve, and exits with 1 unless nearly as many are served as
/// can be, nobody waits longer than the queue allows, and memory stays flat.
#[derive(Parser)]
struct Cli {
    /// Length of one measurement, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The overload instead
    #[arg(long)]
    overload: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let time = Duration::from_secs(cli.seconds);
    if cli.overload {
        return overload::run(time);
    }
    println!("| clients | load | workers | selection | requests | max / mean load | at home | p50 s | p99 s | 503s |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    // Side by side, each on addresses of its own: together they leave the machine mostly idle.
    let rows: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = SCENARIOS
            .iter()
            .enumerate()
            .map(|(number, scenario)| scope.spawn(move || scenario.measure(number, time)))
            .collect();
        let rows = running
            .into_iter()
            .flat_map(|scenario| scenario.join().expect("a scenario does not panic"));
        rows.collect()
    });
    println!("{}", rows.join("\n"));
    ExitCode::SUCCESS
}
