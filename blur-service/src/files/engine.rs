//! One picture after the other: read, blurred or only looked at, written.

use std::{
    fs::{self, Metadata},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use super::{
    args::FilesArgs,
    find::Job,
    memory::Memory,
    outcome::{Outcome, Scored, What},
    sheet::Thumbnail,
    write,
};
use crate::{
    codec::Header,
    cores::Cores,
    detect::Detectors,
    error::Error,
    options::{Leeway, Options, members},
    pipeline,
    redact::NoiseKey,
};

pub struct Engine {
    detectors: Detectors,
    cores: Arc<Cores>,
    options: Options,
    noise_key: NoiseKey,
    max_pixels: u64,
    max_frames: u32,
    max_frame_pixels: u64,
    memory: Memory,
    overwrite: bool,
    writes: bool,
}

impl Engine {
    /// # Errors
    /// Models that cannot be read; no random numbers; options that mean nothing.
    pub fn start(args: &FilesArgs) -> anyhow::Result<Self> {
        let cores = Arc::new(Cores::new(args.jobs()));
        let detectors = Detectors::load(args.picture.model_dir.as_deref()).context("cannot load the models")?;
        Ok(Self {
            detectors: detectors.sharing(cores.clone()),
            cores,
            options: args.picture.options(),
            noise_key: args.picture.noise_key()?,
            max_pixels: args.max_pixels,
            max_frames: args.max_frames,
            max_frame_pixels: args.max_frame_pixels,
            memory: Memory::new(args.max_memory.0),
            overwrite: args.overwrite,
            writes: !args.check && !args.dry_run,
        })
    }

    /// What becomes of a picture and, if one is wanted, a small one of it.
    pub fn work(&self, job: &Job, thumbnail: bool) -> (Outcome, Option<Thumbnail>) {
        let core = self.cores.take();
        let done = self.try_work(job, thumbnail);
        drop(core);
        let (what, thumbnail) = done.unwrap_or_else(|what| (*what, None));
        (Outcome::new(&job.source, what), thumbnail)
    }

    /// From the standard input to the standard output.
    ///
    /// # Errors
    /// The standard output's.
    pub fn pipe(&self) -> anyhow::Result<Outcome> {
        let mut file = Vec::new();
        io::stdin()
            .read_to_end(&mut file)
            .context("cannot read the standard input")?;
        let core = self.cores.take();
        let what = match self.made(&file, &self.options) {
            Ok(Made::Picture(blurred)) => {
                let mut output = io::stdout();
                output
                    .write_all(&blurred.file)
                    .and_then(|()| output.flush())
                    .context("cannot write to the standard output")?;
                What::blurred(&blurred, None)
            }
            Ok(Made::Boxes(faces)) => What::Seen { faces },
            Err(error) => *Box::<What>::from(error),
        };
        drop(core);
        Ok(Outcome::new(Path::new("-"), what))
    }

    fn try_work(&self, job: &Job, thumbnail: bool) -> Result<(What, Option<Thumbnail>), Box<What>> {
        let like = fs::metadata(&job.source).map_err(What::failed)?;
        if let Some(output) = self.done_before(job, &like)? {
            return Ok((What::Skipped { output }, None));
        }
        let file = fs::read(&job.source).map_err(What::failed)?;
        let options = self.options_for(&job.source)?;
        match self.made(&file, &options)? {
            Made::Boxes(faces) => {
                let small = thumbnail.then(|| Thumbnail::of(&file, &faces)).transpose()?;
                Ok((What::Seen { faces }, small.flatten()))
            }
            Made::Picture(blurred) => {
                let target = job.target.as_ref().map(|target| named(target, blurred.media_type));
                if let Some(target) = &target {
                    write::write(target, &blurred.file, &like, self.overwrite)
                        .map_err(|error| What::failed(format!("cannot write {}: {error}", target.display())))?;
                }
                Ok((What::blurred(&blurred, target), None))
            }
        }
    }

    /// A result of the source's age is the source's; any other is somebody's, and stays.
    fn done_before(&self, job: &Job, like: &Metadata) -> Result<Option<PathBuf>, Box<What>> {
        let Some(target) = job.target.as_ref().filter(|_| !self.overwrite) else {
            return Ok(None);
        };
        let names = [target.clone()]
            .into_iter()
            .chain(EXTENSIONS.map(|(_, extension)| also_named(target, extension)));
        let Some((target, there)) = names
            .filter_map(|name| Some((name.clone(), fs::metadata(name).ok()?)))
            .next()
        else {
            return Ok(None);
        };
        match (there.modified(), like.modified()) {
            (Ok(one), Ok(other)) if one == other => Ok(Some(target)),
            _ => Err(What::failed(format!(
                "{} is there already, and of another time; --overwrite writes it anew",
                target.display()
            ))),
        }
    }

    /// With what stands beside the picture.
    fn options_for(&self, source: &Path) -> Result<Options, Box<What>> {
        let mut name = source.as_os_str().to_owned();
        name.push(".veil.json");
        let text = match fs::read_to_string(&name) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.options.clone()),
            Err(error) => return Err(What::failed(format!("{}: {error}", Path::new(&name).display()))),
        };
        let chosen = members(&text).and_then(|pairs| self.options.with_query(&pairs, &Leeway::all()));
        chosen.map_err(|error| What::failed(format!("{}: {error}", Path::new(&name).display())))
    }

    fn made(&self, file: &[u8], options: &Options) -> Result<Made, Error> {
        let header = Header::read(file)?;
        header.check_pixels(self.max_pixels)?;
        header.check_parts(self.max_frames, self.max_frame_pixels)?;
        let too_much = || Error::TooMuchMemory {
            needed: header.work_bytes,
            limit: self.memory.bytes(),
        };
        let _hold = self.memory.take(header.work_bytes).ok_or_else(too_much)?;
        if !self.writes {
            let found = pipeline::detect(file, &header, options, &self.detectors, &|| true)?;
            return Ok(Made::Boxes(Scored::all(&found.faces)));
        }
        let key = &self.noise_key;
        pipeline::blur(file, &header, options, key, &self.detectors, &|| true)
            .map(Box::new)
            .map(Made::Picture)
    }
}

/// What became another format says so: `scan.bmp` is written to `scan.bmp.jpg`.
fn named(target: &Path, media_type: &str) -> PathBuf {
    let own = target
        .extension()
        .and_then(|own| own.to_str())
        .map(str::to_ascii_lowercase);
    let is_its = |extension: &str| match own.as_deref() {
        Some("jpeg" | "jpe" | "jfif") => extension == "jpg",
        Some("apng") => extension == "png",
        Some("tiff") => extension == "tif",
        own => own == Some(extension),
    };
    match EXTENSIONS.iter().find(|(known, _)| *known == media_type) {
        Some((_, extension)) if !is_its(extension) => also_named(target, extension),
        _ => target.to_owned(),
    }
}

fn also_named(target: &Path, extension: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

const EXTENSIONS: [(&str, &str); 5] = [
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/webp", "webp"),
    ("image/gif", "gif"),
    ("image/tiff", "tif"),
];

enum Made {
    Picture(Box<pipeline::Blurred>),
    Boxes(Vec<Scored>),
}
