//! The fault table: uploads at a steady rate through `veil` over three workers and a backup, while things break.

mod load;
mod rows;
mod stage;

use std::process::ExitCode;

use clap::Parser;

use crate::load::{Load, Report};
use crate::rows::{Effect, ROWS, Row};
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
    /// Never retry, to see that the faults are real: succeeds if each of them loses uploads then
    #[arg(long)]
    without_retries: bool,
    /// Only the rows whose names contain this
    #[arg(long, default_value = "")]
    only: String,
}

/// A row that was played.
struct Played {
    row: &'static Row,
    report: Report,
    counts: Counts,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    println!("All settings are the defaults but `select: round_robin`, and what stands beside a row's name.\n");
    println!("| fault | sent | ok | failed | begun, then cut | retries | ejections | p99 ms |");
    println!("|---|---|---|---|---|---|---|---|");
    let chosen = ROWS.iter().filter(|row| row.name.contains(&cli.only));
    let played: Vec<Played> = chosen.map(|row| Played::of(row, &cli)).collect();
    println!();
    for Played { row, report, .. } in played.iter().filter(|played| played.lost() > 0) {
        println!("{} lost uploads to: {}", row.name, report.reasons.join(", "));
    }
    let complain = |played: &Played| match cli.without_retries {
        true => played.complaint_without_retries(),
        false => played.complaint(),
    };
    let mut wrong = 0;
    for played in &played {
        if let Some(complaint) = complain(played) {
            println!("{}: {complaint}", played.row.name);
            wrong += 1;
        }
    }
    println!("failed requests: {}", played.iter().map(Played::lost).sum::<usize>());
    ExitCode::from(u8::from(wrong > 0))
}

impl Played {
    fn of(row: &'static Row, cli: &Cli) -> Self {
        let attempts = if cli.without_retries { 1 } else { 3 };
        let mut stage = Stage::set(row.fault, row.settings, attempts);
        let load = Load::new(stage.veil.public, cli.uploads, cli.rate);
        let report = load.run(|progress| (row.act)(&mut stage, progress));
        let counts = stage.counts();
        let played = Self { row, report, counts };
        println!("{}", played.line());
        played
    }

    fn lost(&self) -> usize {
        self.report.failed() + self.report.cut
    }

    /// What is wrong with the row.
    fn complaint(&self) -> Option<&'static str> {
        let seen = self.counts.retries + self.counts.ejections > 0;
        match self.row.effect {
            _ if self.lost() > 0 => Some("uploads failed"),
            Effect::Lost | Effect::PassedOver if !seen => Some("the fault did not show in retries or ejections"),
            _ => None,
        }
    }

    fn complaint_without_retries(&self) -> Option<&'static str> {
        match (self.row.effect, self.lost()) {
            (Effect::Lost, 0) => Some("the fault is not real: it lost no upload"),
            (Effect::None | Effect::PassedOver, 1..) => Some("uploads failed, and not for want of retries"),
            _ => None,
        }
    }

    fn line(&self) -> String {
        let Self { row, report, counts } = self;
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.title(),
            report.sent(),
            report.ok(),
            report.failed(),
            report.cut,
            counts.retries,
            counts.ejections,
            report.p99().as_millis(),
        )
    }
}
