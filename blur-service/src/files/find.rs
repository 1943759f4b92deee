//! Which pictures there are to do, and where each result goes.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use super::args::FilesArgs;

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub source: PathBuf,
    /// Nothing is written where nothing shall be.
    pub target: Option<PathBuf>,
}

/// All pictures that the arguments name, in the order of their names.
///
/// # Errors
/// A path that cannot be read; a folder without `-r`; two pictures that would be written to one file.
pub fn jobs(args: &FilesArgs) -> anyhow::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for path in &args.paths {
        let kind = std::fs::metadata(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        if !kind.is_dir() {
            let name = path.file_name().map(Path::new).unwrap_or(path);
            jobs.extend(job(path.clone(), name, args));
        } else if args.recursive {
            jobs.extend(below(path, args)?);
        } else {
            anyhow::bail!("{} is a folder: -r goes through it", path.display());
        }
    }
    refuse_meetings(&jobs)?;
    Ok(jobs)
}

/// The pictures of a folder, but for those that are results.
///
/// # Errors
/// The system's.
pub fn below(folder: &Path, args: &FilesArgs) -> anyhow::Result<Vec<Job>> {
    let results = args.output.as_ref().and_then(|output| output.canonicalize().ok());
    let is_result = |path: &Path| results.is_some() && path.canonicalize().ok() == results;
    let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
    let mut jobs = Vec::new();
    for entry in walk.filter_entry(|entry| !(entry.file_type().is_dir() && is_result(entry.path()))) {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type().is_file()
            && is_picture(path)
            && (args.output.is_some() || args.check || !is_named_result(path))
        {
            let name = path.strip_prefix(folder).unwrap_or(path);
            jobs.extend(job(path.to_owned(), name, args));
        }
    }
    Ok(jobs)
}

/// None where it is of another part.
fn job(source: PathBuf, name: &Path, args: &FilesArgs) -> Option<Job> {
    if args.shard.is_some_and(|shard| !shard.holds(name)) {
        return None;
    }
    let target = match &args.output {
        _ if args.check || args.dry_run => None,
        Some(output) => Some(output.join(name)),
        None => Some(beside(&source)),
    };
    Some(Job { source, target })
}

/// `photo.jpg` becomes `photo.blurred.jpg`.
fn beside(source: &Path) -> PathBuf {
    let mut name = source.file_stem().unwrap_or_default().to_owned();
    name.push(OsString::from(".blurred"));
    if let Some(extension) = source.extension() {
        name.push(".");
        name.push(extension);
    }
    source.with_file_name(name)
}

fn is_named_result(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    stem.and_then(Path::extension)
        .is_some_and(|extension| extension == "blurred")
}

/// By its name, also of those kinds that are refused: whoever has them shall hear of it.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && extension.is_some_and(|extension| PICTURES.contains(&extension.to_ascii_lowercase().as_str()))
}

fn refuse_meetings(jobs: &[Job]) -> anyhow::Result<()> {
    let mut targets: HashMap<&Path, &Path> = HashMap::new();
    for job in jobs {
        let Some(target) = &job.target else { continue };
        if let Some(other) = targets.insert(target, &job.source) {
            let (one, other, target) = (job.source.display(), other.display(), target.display());
            anyhow::bail!("{other} and {one} would both be written to {target}");
        }
    }
    Ok(())
}

const PICTURES: [&str; 22] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "tif", "tiff", "bmp", "avif", "heic", "heif", "jxl",
    "jp2", "ico", "dng", "cr2", "nef", "arw", "psd",
];
