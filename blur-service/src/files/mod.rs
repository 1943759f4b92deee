//! `blur-service blur`: pictures of the file system or an object store, by the same engine as the service's and with the same options, without
//! a server. Nothing is overwritten unless told, and a file is there in full or not at all: whatever is left is done by
//! the next run.

mod args;
mod engine;
mod find;
mod interruption;
mod manifest;
mod memory;
mod outcome;
mod place;
mod shard;
mod sheet;
#[cfg_attr(not(feature = "object-store"), path = "no_store.rs")]
mod store;
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
use find::{Job, Search};
use interruption::Interruption;
use manifest::Manifest;
use outcome::Tally;
use place::{Place, Trouble};
use sheet::Sheet;

/// Does all that the arguments name. Exit codes: 0 good, 1 something was refused, failed or, with `--check`, shows a face;
/// 2 wrong usage; 3 another run may do what is left.
pub fn run(args: &FilesArgs) -> ExitCode {
    match try_run(args) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("{error:#}");
            let may_pass = error.downcast_ref::<Trouble>().is_some_and(Trouble::may_pass);
            if may_pass { AGAIN } else { WRONG_USAGE }.into()
        }
    }
}

fn try_run(args: &FilesArgs) -> anyhow::Result<u8> {
    args.check_usage()?;
    let engine = Engine::start(args)?;
    if args.is_pipe() {
        return pipe(args, &engine);
    }
    let search = Search::new(args)?;
    let interruption = Interruption::listen()?;
    let work = Work::new(args, &engine, &search, &interruption)?;
    match &args.watch {
        Some(folder) => watch::watch(folder, &search, &interruption, |jobs| work.all(jobs))?,
        None => work.all(&search.jobs()?)?,
    }
    let tally = work.end()?;
    Ok(match tally.is_good(args.check) {
        _ if tally.may_pass() || (args.watch.is_none() && interruption.is_heard()) => AGAIN,
        true => 0,
        false => NOT_GOOD,
    })
}

fn pipe(args: &FilesArgs, engine: &Engine) -> anyhow::Result<u8> {
    let outcome = engine.pipe()?;
    let mut tally = Tally::default();
    tally.add(&outcome);
    if args.json {
        eprintln!("{}", serde_json::to_string(&outcome)?);
    } else if let Some(why) = outcome.why() {
        eprintln!("{why}");
    }
    Ok(if tally.is_good(args.check) { 0 } else { NOT_GOOD })
}

/// What is under way.
struct Work<'a> {
    args: &'a FilesArgs,
    engine: &'a Engine,
    interruption: &'a Interruption,
    at_a_time: usize,
    /// Contended for a moment when a picture is done, as are the sheet and the manifest.
    tally: Mutex<Tally>,
    sheet: Option<Mutex<Sheet>>,
    manifest: Option<Mutex<Manifest>>,
    progress: ProgressBar,
}

impl<'a> Work<'a> {
    fn new(
        args: &'a FilesArgs,
        engine: &'a Engine,
        search: &Search,
        interruption: &'a Interruption,
    ) -> anyhow::Result<Self> {
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
        let open = |place: &Place| Manifest::open(place.clone(), args.overwrite);
        let manifest = search.manifest.as_ref().map(open).transpose()?;
        Ok(Self {
            args,
            engine,
            interruption,
            at_a_time: args.jobs() * if search.is_remote() { WAITING } else { 1 },
            tally: Mutex::default(),
            sheet: sheet.map(Mutex::new),
            manifest: manifest.map(Mutex::new),
            progress: ProgressBar::with_draw_target(Some(0), target).with_style(style()),
        })
    }

    /// Does these, several at a time.
    fn all(&self, jobs: &[Job]) -> anyhow::Result<()> {
        self.progress.inc_length(jobs.len() as u64);
        let next = AtomicUsize::new(0);
        let first_error = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..self.at_a_time.min(jobs.len()) {
                scope.spawn(|| {
                    let next_job = || jobs.get(next.fetch_add(1, Ordering::Relaxed));
                    while let Some(job) = next_job().filter(|_| !self.interruption.is_heard()) {
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
        let told = |manifest: &Mutex<Manifest>| locked(manifest).tells_of(&job.source);
        let again = !self.manifest.as_ref().is_none_or(told);
        let (outcome, picture) = self.engine.work(job, self.sheet.is_some(), again);
        if let (Some(sheet), Some(picture)) = (&self.sheet, picture) {
            locked(sheet).add(&outcome, &picture)?;
        }
        if self.args.json {
            self.progress.suspend(|| outcome::print(&outcome))?;
        } else if let Some(why) = outcome.why() {
            self.progress.suspend(|| eprintln!("{why}"));
        }
        if let Some(manifest) = &self.manifest {
            locked(manifest).add(&outcome)?;
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
        if let Some(manifest) = self.manifest {
            manifest.into_inner().unwrap_or_else(PoisonError::into_inner).write()?;
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

/// Pictures a core, where most of the time of each is spent waiting for a store.
const WAITING: usize = 4;

const NOT_GOOD: u8 = 1;
const WRONG_USAGE: u8 = 2;
const AGAIN: u8 = 3;
