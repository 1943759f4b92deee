//! The fault table: uploads at a steady rate through `veil` over three workers and a backup, while things break.

mod load;
mod rows;
mod stage;

use std::process::ExitCode;

use clap::Parser;

use crate::load::{Load, Report};
use crate::rows::{ROWS, Row};
use crate::stage::{Counts, Stage};

/// Uploads 300 KB and 5 MB bodies through Veil while its workers fail in every way, and counts what clients notice.
///
/// Succeeds if no upload failed, and if retries and ejections show that each fault was there.
#[derive(Parser)]
struct Cli {
    /// Uploads a row
    #[arg(long, default_value_t = 500)]
    uploads: usize,
    /// Uploads a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Never retry, to see that the faults are real: uploads then fail
    #[arg(long)]
    without_retries: bool,
    /// Only the rows whose names contain this
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    println!("| fault | sent | ok | failed | begun, then cut | retries | ejections | p99 ms | |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut failed = 0;
    let mut unseen = 0;
    for row in ROWS.iter().filter(|row| row.name.contains(&cli.only)) {
        let (report, counts) = play(row, &cli);
        let seen = !row.shows || counts.retries + counts.ejections > 0;
        failed += report.failed() + report.cut;
        unseen += usize::from(!seen);
        print_row(row, &report, &counts, seen);
    }
    println!("\nfailed requests: {failed}");
    if unseen > 0 {
        println!("rows whose fault did not show in retries or ejections: {unseen}");
    }
    ExitCode::from(u8::from(failed + unseen > 0))
}

fn play(row: &Row, cli: &Cli) -> (Report, Counts) {
    let attempts = if cli.without_retries { 1 } else { 3 };
    let mut stage = Stage::set(row.fault, attempts);
    let load = Load::new(stage.veil.public, cli.uploads, cli.rate);
    let report = load.run(|progress| (row.act)(&mut stage, progress));
    (report, stage.counts())
}

fn print_row(row: &Row, report: &Report, counts: &Counts, seen: bool) {
    let note = match (seen, report.reasons.is_empty()) {
        (false, _) => "the fault did not show".to_owned(),
        (true, true) => String::new(),
        (true, false) => report.reasons.join(", "),
    };
    println!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {note} |",
        row.name,
        report.sent(),
        report.ok(),
        report.failed(),
        report.cut,
        counts.retries,
        counts.ejections,
        report.p99().as_millis(),
    );
}
