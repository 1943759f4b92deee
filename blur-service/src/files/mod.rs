//! `blur-service blur`: pictures of the file system, by the same engine as the service's and with the same options, without
//! a server. Nothing is overwritten unless told, and a file is there in full or not at all: whatever is left is done by
//! the next run.

mod args;
mod engine;
mod find;
mod memory;
mod outcome;
mod shard;
mod sheet;
mod watch;
mod write;

use std::{
    io::IsTerminal,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use args::FilesArgs;
use engine::Engine;
use find::Job;
use outcome::Tally;
use sheet::Sheet;

/// Does all that the arguments name. Exit codes: 0 good, 1 something was refused, failed or, with `--check`, shows a face;
/// 2 wrong usage.
pub fn run(args: &FilesArgs) -> ExitCode {
    match try_run(args) {
        Ok(tally) if tally.is_good(args.check) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(WRONG_USAGE)
        }
    }
}

fn try_run(args: &FilesArgs) -> anyhow::Result<Tally> {
    args.check_usage()?;
    let engine = Engine::start(args)?;
    if args.is_pipe() {
        let outcome = engine.pipe()?;
        let mut tally = Tally::default();
        tally.add(&outcome);
        if args.json {
            eprintln!("{}", serde_json::to_string(&outcome)?);
        } else if let Some(why) = outcome.why() {
            eprintln!("{why}");
        }
        return Ok(tally);
    }
    let work = Work::new(args, &engine)?;
    match &args.watch {
        Some(folder) => watch::watch(folder, args, |jobs| work.all(jobs))?,
        None => work.all(&find::jobs(args)?)?,
    }
    work.end()
}

/// What is under way.
struct Work<'a> {
    args: &'a FilesArgs,
    engine: &'a Engine,
    /// Contended for a moment when a picture is done, as is the sheet.
    tally: Mutex<Tally>,
    sheet: Option<Mutex<Sheet>>,
    progress: ProgressBar,
}

impl<'a> Work<'a> {
    fn new(args: &'a FilesArgs, engine: &'a Engine) -> anyhow::Result<Self> {
        let is_shown = std::io::stderr().is_terminal() && args.watch.is_none();
        let target = if is_shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let sheet = args
            .sheet()
            .map(|path| Sheet::create(&path, args.overwrite))
            .transpose()?;
        Ok(Self {
            args,
            engine,
            tally: Mutex::default(),
            sheet: sheet.map(Mutex::new),
            progress: ProgressBar::with_draw_target(Some(0), target).with_style(style()),
        })
    }

    /// Does these, several at a time.
    fn all(&self, jobs: &[Job]) -> anyhow::Result<()> {
        self.progress.inc_length(jobs.len() as u64);
        let next = AtomicUsize::new(0);
        let first_error = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..self.args.jobs().min(jobs.len()) {
                scope.spawn(|| {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.one(job) {
                            // What cannot be told to anybody ends the work: a closed output, a full disk.
                            next.store(jobs.len(), Ordering::Relaxed);
                            locked(&first_error).get_or_insert(error);
                        }
                    }
                });
            }
        });
        let error = locked(&first_error).take();
        error.map_or(Ok(()), Err)
    }

    fn one(&self, job: &Job) -> anyhow::Result<()> {
        let (outcome, picture) = self.engine.work(job, self.sheet.is_some());
        if let (Some(sheet), Some(picture)) = (&self.sheet, picture) {
            locked(sheet).add(&outcome, &picture)?;
        }
        if self.args.json {
            self.progress.suspend(|| outcome::print(&outcome))?;
        } else if let Some(why) = outcome.why() {
            self.progress.suspend(|| eprintln!("{why}"));
        }
        locked(&self.tally).add(&outcome);
        self.progress.inc(1);
        Ok(())
    }

    fn end(self) -> anyhow::Result<Tally> {
        self.progress.finish_and_clear();
        if let Some(sheet) = self.sheet {
            sheet.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
        }
        let tally = self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !self.args.quiet {
            eprint!("{}", tally.summary());
        }
        Ok(tally)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}").expect("the template is a constant")
}

const WRONG_USAGE: u8 = 2;
