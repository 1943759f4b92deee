//! Goes on with what comes into a folder. A file is taken once it has stayed the same from one look to the next, since who
//! writes it may not be done.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    find::{Job, Search},
    interruption::Interruption,
};

/// What tells two states of a file apart.
type State = (u64, Option<SystemTime>);

/// Gives `work` what is new, until the process is interrupted.
///
/// # Errors
/// Those of `work`; a folder that cannot be read.
pub fn watch(
    folder: &Path,
    search: &Search,
    interruption: &Interruption,
    work: impl Fn(&[Job]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut last: HashMap<PathBuf, State> = HashMap::new();
    let mut done: HashMap<PathBuf, State> = HashMap::new();
    loop {
        let there: Vec<(Job, State)> = search.below(folder)?.into_iter().filter_map(with_state).collect();
        let is_ready = |(job, state): &&(Job, State)| {
            last.get(job.source.name()) == Some(state) && done.get(job.source.name()) != Some(state)
        };
        let ready: Vec<Job> = there.iter().filter(is_ready).map(|(job, _)| job.clone()).collect();
        work(&ready)?;
        let states = || there.iter().map(|(job, state)| (job.source.name().to_owned(), *state));
        done.retain(|path, _| there.iter().any(|(job, _)| job.source.name() == path));
        done.extend(states().filter(|(path, _)| ready.iter().any(|job| job.source.name() == path)));
        last = states().collect();
        if interruption.comes_within(PAUSE) {
            return Ok(());
        }
    }
}

fn with_state(job: Job) -> Option<(Job, State)> {
    let metadata = fs::metadata(job.source.name()).ok()?;
    Some((job, (metadata.len(), metadata.modified().ok())))
}

const PAUSE: Duration = Duration::from_millis(500);
