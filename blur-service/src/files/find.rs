//! Which pictures there are to do, and where each result goes.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use anyhow::Context;
use walkdir::WalkDir;

use super::{
    args::FilesArgs,
    place::{Place, Trouble},
    store::{Object, Stores},
};

/// One picture.
#[derive(Clone)]
pub struct Job {
    pub source: Place,
    /// What a person wants of this picture besides, if there is such a file.
    pub marks: Option<Place>,
    /// Nothing is written where nothing shall be.
    pub target: Option<Place>,
}

/// What the arguments name.
pub struct Search<'a> {
    args: &'a FilesArgs,
    sources: Vec<Place>,
    output: Option<Place>,
    pub manifest: Option<Place>,
}

impl<'a> Search<'a> {
    /// # Errors
    /// An object store that cannot be used.
    pub fn new(args: &'a FilesArgs) -> anyhow::Result<Self> {
        let mut stores = Stores::default();
        let mut place = |path: &PathBuf| Place::named(path, &mut stores);
        Ok(Self {
            args,
            sources: args.paths.iter().map(&mut place).collect::<Result<_, _>>()?,
            output: args.output.as_ref().map(&mut place).transpose()?,
            manifest: args.manifest.as_ref().map(&mut place).transpose()?,
        })
    }

    /// Whether pictures are waited for, as those of a store are.
    pub fn is_remote(&self) -> bool {
        self.sources.iter().chain(&self.output).any(Place::is_object)
    }

    /// All pictures, in the order of their names.
    ///
    /// # Errors
    /// A path that cannot be read; a folder without `-r`; two pictures that would be written to one file.
    pub fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for source in &self.sources {
            jobs.extend(self.at(source)?);
        }
        refuse_meetings(&jobs)?;
        Ok(jobs)
    }

    fn at(&self, source: &Place) -> anyhow::Result<Vec<Job>> {
        match source {
            Place::File(path) if std::fs::metadata(path).is_ok_and(|kind| kind.is_dir()) => {
                if !self.args.recursive {
                    anyhow::bail!("{source} is a folder: -r goes through it");
                }
                return self.below(path);
            }
            Place::Object(prefix) if self.args.recursive => {
                let listed = prefix
                    .below()
                    .map_err(Trouble::Store)
                    .with_context(|| source.to_string())?;
                if !listed.is_empty() {
                    return Ok(self.listed(source, listed));
                }
            }
            _ => {}
        }
        source.origin().with_context(|| source.to_string())?;
        let name = source.name().file_name().map_or(source.name(), Path::new);
        Ok(self.job(source.clone(), name, true).into_iter().collect())
    }

    /// The pictures of a folder, but for those that are results.
    ///
    /// # Errors
    /// The system's.
    pub fn below(&self, folder: &Path) -> anyhow::Result<Vec<Job>> {
        let results = match &self.output {
            Some(Place::File(output)) => output.canonicalize().ok(),
            _ => None,
        };
        let is_result = |path: &Path| results.is_some() && path.canonicalize().ok() == results;
        let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
        let mut jobs = Vec::new();
        for entry in walk.filter_entry(|entry| !(entry.file_type().is_dir() && is_result(entry.path()))) {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type().is_file() && self.wants(path) {
                let name = path.strip_prefix(folder).unwrap_or(path);
                jobs.extend(self.job(Place::File(path.to_owned()), name, true));
            }
        }
        Ok(jobs)
    }

    /// The same of a bucket, whose listing tells what stands beside a picture as well.
    fn listed(&self, source: &Place, objects: Vec<(PathBuf, Object)>) -> Vec<Job> {
        let results = self.output.as_ref().filter(|output| output.is_below(source));
        let is_result = |place: &Place| results.is_some_and(|results| place.is_below(results));
        let names: HashSet<PathBuf> = objects.iter().map(|(name, _)| name.clone()).collect();
        let job = |(name, object): (PathBuf, Object)| {
            let place = Place::Object(object);
            let has_marks = || names.contains(Place::File(name.clone()).with_suffix(MARKS).name());
            let is_wanted = self.wants(&name) && !is_result(&place);
            is_wanted.then(|| self.job(place, &name, has_marks()))?
        };
        objects.into_iter().filter_map(job).collect()
    }

    fn wants(&self, name: &Path) -> bool {
        is_picture(name) && (self.args.output.is_some() || self.args.check || !is_named_result(name))
    }

    /// None where it is of another part.
    fn job(&self, source: Place, name: &Path, may_have_marks: bool) -> Option<Job> {
        if self.args.shard.is_some_and(|shard| !shard.holds(name)) {
            return None;
        }
        let target = match &self.output {
            _ if self.args.check || self.args.dry_run => None,
            Some(output) => Some(output.join(name)),
            None => Some(source.beside()),
        };
        let marks = may_have_marks.then(|| source.with_suffix(MARKS));
        Some(Job { source, marks, target })
    }
}

/// By its name, also of those kinds that are refused: whoever has them shall hear of it.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && extension.is_some_and(|extension| PICTURES.contains(&extension.to_ascii_lowercase().as_str()))
}

fn is_named_result(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    stem.and_then(Path::extension)
        .is_some_and(|extension| extension == "blurred")
}

fn refuse_meetings(jobs: &[Job]) -> anyhow::Result<()> {
    let mut targets = HashMap::new();
    for Job { source, target, .. } in jobs {
        let Some(target) = target else { continue };
        if let Some(other) = targets.insert(target.to_string(), source) {
            anyhow::bail!("{other} and {source} would both be written to {target}");
        }
    }
    Ok(())
}

/// What stands beside `photo.jpg` is in `photo.jpg.veil.json`.
const MARKS: &str = ".veil.json";

const PICTURES: [&str; 22] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "tif", "tiff", "bmp", "avif", "heic", "heif", "jxl",
    "jp2", "ico", "dng", "cr2", "nef", "arw", "psd",
];
