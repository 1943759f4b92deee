//! One picture after the other: read, blurred or only looked at, written.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use anyhow::Context;

use super::{
    args::FilesArgs,
    find::Job,
    memory::Memory,
    outcome::{Outcome, Scored, What},
    place::{Origin, Place},
    sheet::Thumbnail,
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
        // One that nobody has named and that does not start is as if it were not there.
        args.picture.start_heic().or_else(|error| {
            if args.picture.heic_decoder.is_some() {
                Err(error)
            } else {
                Ok(false)
            }
        })?;
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

    /// What becomes of a picture and, if one is wanted, a small one of it. What was done before is done `again`, or left.
    pub fn work(&self, job: &Job, thumbnail: bool, again: bool) -> (Outcome, Option<Thumbnail>) {
        let done = self.try_work(job, thumbnail, again);
        let (what, thumbnail) = done.unwrap_or_else(|what| (*what, None));
        let path = job.source.clone();
        (Outcome { path, what }, thumbnail)
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
        let path = Place::File("-".into());
        Ok(Outcome { path, what })
    }

    fn try_work(&self, job: &Job, thumbnail: bool, again: bool) -> Result<(What, Option<Thumbnail>), Box<What>> {
        let origin = job.source.origin()?;
        let before = self.done_before(job, &origin)?;
        if let Some(output) = before.clone().filter(|_| !again) {
            return Ok((What::Skipped { output }, None));
        }
        let file = job
            .source
            .read()?
            .ok_or_else(|| What::failed("it is no longer there"))?;
        let options = self.options_for(job)?;
        match self.made(&file, &options)? {
            Made::Boxes(faces) => {
                let small = thumbnail.then(|| Thumbnail::of(&file, &faces)).transpose()?;
                Ok((What::Seen { faces }, small.flatten()))
            }
            Made::Picture(blurred) => {
                let target = job.target.as_ref().map(|target| named(target, blurred.media_type));
                let what = What::blurred(&blurred, target.clone());
                if let Some(target) = target {
                    let overwrite = self.overwrite || before.is_some();
                    target.write(blurred.file, blurred.media_type, &origin, overwrite)?;
                }
                Ok((what, None))
            }
        }
    }

    /// A result of the source's state is the source's; any other is somebody's, and stays.
    fn done_before(&self, job: &Job, origin: &Origin) -> Result<Option<Place>, Box<What>> {
        let Some(target) = job.target.as_ref().filter(|_| !self.overwrite) else {
            return Ok(None);
        };
        for name in names(target) {
            match name.is_result_of(origin)? {
                Some(true) => return Ok(Some(name)),
                Some(false) => {
                    return Err(What::failed(format!(
                        "{name} is there already, and of another time; --overwrite writes it anew"
                    )));
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// With what stands beside the picture.
    fn options_for(&self, job: &Job) -> Result<Options, Box<What>> {
        let text = job.marks.as_ref().map(Place::read).transpose()?.flatten();
        let (Some(text), Some(place)) = (text, &job.marks) else {
            return Ok(self.options.clone());
        };
        let text = String::from_utf8(text).map_err(|error| What::failed(format!("{place}: {error}")))?;
        let chosen = members(&text).and_then(|pairs| self.options.with_query(&pairs, &Leeway::all()));
        chosen.map_err(|error| What::failed(format!("{place}: {error}")))
    }

    fn made(&self, file: &[u8], options: &Options) -> Result<Made, Error> {
        let mut header = Header::read(file)?;
        header.check_pixels(self.max_pixels)?;
        header.work_bytes += options.format.work_bytes(&header);
        header.check_parts(self.max_frames, self.max_frame_pixels)?;
        let too_much = || Error::TooMuchMemory {
            needed: header.work_bytes,
            limit: self.memory.bytes(),
        };
        let _core = self.cores.take();
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
fn named(target: &Place, media_type: &str) -> Place {
    match EXTENSIONS.iter().find(|(known, _)| *known == media_type) {
        Some((_, extension)) if own_extension(target) != Some(extension) => {
            target.with_suffix(&format!(".{extension}"))
        }
        _ => target.clone(),
    }
}

/// Every name that a result may have got. A store is not asked for the less likely ones of them, each a request.
fn names(target: &Place) -> impl Iterator<Item = Place> {
    let others = EXTENSIONS.map(|(_, extension)| target.with_suffix(&format!(".{extension}")));
    let count = if target.is_object() && own_extension(target).is_some() {
        1
    } else {
        6
    };
    [target.clone()].into_iter().chain(others).take(count)
}

/// As this program writes it, if it is that of a format which it writes.
fn own_extension(target: &Place) -> Option<&'static str> {
    let own = target.name().extension()?.to_str()?.to_ascii_lowercase();
    let own = match &*own {
        "jpeg" | "jpe" | "jfif" => "jpg",
        "apng" => "png",
        "tiff" => "tif",
        own => own,
    };
    EXTENSIONS.iter().map(|(_, known)| *known).find(|known| *known == own)
}

const EXTENSIONS: [(&str, &str); 6] = [
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/webp", "webp"),
    ("image/gif", "gif"),
    ("image/tiff", "tif"),
    ("image/avif", "avif"),
];

enum Made {
    Picture(Box<pipeline::Blurred>),
    Boxes(Vec<Scored>),
}
