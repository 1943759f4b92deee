//! The flags of `blur`.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use super::shard::Shard;
use crate::args::{ByteSize, PictureArgs};

/// Hide every face in pictures of the file system, without a server
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  blur-service blur photo.jpg                  writes photo.blurred.jpg\n  \
blur-service blur album -r -o blurred        keeps the tree, the names and the times\n  \
blur-service blur - < in.jpg > out.jpg\n  \
blur-service blur album -r --dry-run         writes a contact sheet with the boxes of all faces\n  \
blur-service blur blurred -r --check         fails where a face is seen\n  \
blur-service blur s3://in/2026 -r -o s3://out/2026 --shard 0/4 --manifest s3://out/told/0.jsonl\n\n\
Boxes to hide besides, and faces to spare, stand in PICTURE.veil.json beside a picture, such as\n  \
{\"regions\": [[10, 20, 64, 80]], \"exclude\": [0]}\n\n\
Exit code: 0 good; 1 something was refused or failed, or --check has seen a face; 2 wrong usage; 3 a store failed or the work \
was interrupted: run it again, and it does the rest."
)]
pub struct FilesArgs {
    /// Pictures and folders, also in object stores (s3://BUCKET/NAME, gs://…, az://…, with the settings of their own tools
    /// from the environment); `-` reads one picture from the standard input and writes it to the standard output
    #[arg(required_unless_present = "watch", value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Folder for the results, or place in an object store; they keep their tree and names [default: beside each picture,
    /// as NAME.blurred.EXT]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Go through folders and all below them
    #[arg(short, long)]
    pub recursive: bool,

    /// Do the I-th of N parts (from 0), which is the same pictures by their names each time: N machines share a folder
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// Write results that exist already anew
    #[arg(long)]
    pub overwrite: bool,

    /// Pictures at a time [default: the number of cores]
    #[arg(short, long)]
    jobs: Option<NonZeroUsize>,

    /// File or object that comes to tell of every picture what was found and done, a line of JSON each, also where a run
    /// was ended and the next one went on; each part needs its own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "check"])]
    pub manifest: Option<PathBuf>,

    /// Say of each picture what was found and done, as a line of JSON on the standard output
    #[arg(long)]
    pub json: bool,

    /// No summary
    #[arg(short, long)]
    pub quiet: bool,

    /// Look for faces and write no picture, but a contact sheet with the boxes
    #[arg(long)]
    pub dry_run: bool,

    /// File for the contact sheet, which a browser shows [default: contact-sheet.html in the folder for results, or here]
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    sheet: Option<PathBuf>,

    /// Look for faces and write nothing; fail if there is one
    #[arg(long, conflicts_with_all = ["dry_run", "output", "overwrite"])]
    pub check: bool,

    /// Go on with whatever comes into a folder, until interrupted
    #[arg(long, value_name = "DIR", conflicts_with_all = ["paths", "dry_run", "check"], requires = "output")]
    pub watch: Option<PathBuf>,

    /// Most pixels of a picture
    #[arg(long, env = "BLUR_MAX_PIXELS", default_value_t = 200_000_000)]
    pub max_pixels: u64,

    /// Most frames of an animation, or pages of a file
    #[arg(long, env = "BLUR_MAX_FRAMES", default_value_t = 500)]
    pub max_frames: u32,

    /// Most pixels of all frames of an animation together
    #[arg(long, env = "BLUR_MAX_FRAME_PIXELS", default_value_t = 400_000_000)]
    pub max_frame_pixels: u64,

    /// Memory for decoded pictures
    #[arg(long, env = "BLUR_MAX_MEMORY", default_value = "2GiB")]
    pub max_memory: ByteSize,

    #[command(flatten)]
    pub picture: PictureArgs,
}

impl FilesArgs {
    pub fn jobs(&self) -> usize {
        self.jobs
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }

    pub fn is_pipe(&self) -> bool {
        self.paths.iter().any(|path| path == Path::new("-"))
    }

    /// Where the contact sheet goes, if there is one.
    pub fn sheet(&self) -> Option<PathBuf> {
        let usual = || self.output.clone().unwrap_or_default().join("contact-sheet.html");
        self.dry_run.then(|| self.sheet.clone().unwrap_or_else(usual))
    }

    /// # Errors
    /// What does not go together, beside that which clap knows.
    pub fn check_usage(&self) -> anyhow::Result<()> {
        if self.is_pipe() && (self.paths.len() > 1 || self.output.is_some() || self.dry_run || self.manifest.is_some())
        {
            anyhow::bail!(
                "`-` is one picture from the standard input to the standard output, and goes with no other path, --output, --manifest or --dry-run"
            );
        }
        Ok(())
    }
}
