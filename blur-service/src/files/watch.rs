//! Goes on with what comes into a folder. A file is taken once it has stayed the same from one look to the next, since who
//! writes it may not be done.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, SystemTime},
};

use anyhow::Context;

use super::{
    args::FilesArgs,
    find::{Job, below},
};

/// What tells two states of a file apart.
type State = (u64, Option<SystemTime>);

/// Gives `work` what is new, until the process is interrupted.
///
/// # Errors
/// Those of `work`; a folder that cannot be read.
pub fn watch(folder: &Path, args: &FilesArgs, work: impl Fn(&[Job]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let interrupted = interruption()?;
    let mut last: HashMap<PathBuf, State> = HashMap::new();
    let mut done: HashMap<PathBuf, State> = HashMap::new();
    loop {
        let there: Vec<(Job, State)> = below(folder, args)?.into_iter().filter_map(with_state).collect();
        let is_ready =
            |(job, state): &&(Job, State)| last.get(&job.source) == Some(state) && done.get(&job.source) != Some(state);
        let ready: Vec<Job> = there.iter().filter(is_ready).map(|(job, _)| job.clone()).collect();
        work(&ready)?;
        let states = || there.iter().map(|(job, state)| (job.source.clone(), *state));
        done.retain(|path, _| there.iter().any(|(job, _)| job.source == *path));
        done.extend(states().filter(|(path, _)| ready.iter().any(|job| job.source == *path)));
        last = states().collect();
        if interrupted.recv_timeout(PAUSE).is_ok() {
            return Ok(());
        }
    }
}

fn with_state(job: Job) -> Option<(Job, State)> {
    let metadata = fs::metadata(&job.source).ok()?;
    Some((job, (metadata.len(), metadata.modified().ok())))
}

/// Hears of TERM and INT.
fn interruption() -> anyhow::Result<mpsc::Receiver<()>> {
    let (heard, interrupted) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let signals =
                    signal(SignalKind::terminate()).and_then(|one| Ok((one, signal(SignalKind::interrupt())?)));
                let Ok((mut terminate, mut interrupt)) = signals else {
                    return;
                };
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                // Nobody listens any more: the work has ended.
                let _ = heard.send(());
            });
        })
        .context("cannot listen for signals")?;
    Ok(interrupted)
}

const PAUSE: Duration = Duration::from_millis(500);
