//! Judges JPEG files for `tests/corpus/run`: what the lossless path makes of them, block by block, by an independent
//! reader (`libjpeg-turbo-rs`).
//!
//! Reads a line of JSON a picture from standard input, `{"picture": PATH, "spliced": PATH, "answers": [PATH…]}`: hides
//! three places in the picture and writes the result to `spliced`; `answers` are what the service made of the picture,
//! by the same road. Prints a line of JSON for each.

mod blocks;
mod scrambled;

use std::{fs, io};

use anyhow::Context;
use blocks::Blocks;
use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Metadata},
    redact::{Look, Noise, Region},
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Task {
    picture: String,
    spliced: String,
    answers: Vec<String>,
}

#[derive(Serialize)]
struct Verdict {
    /// What begins with `spliced`, or why not.
    outcome: String,
    sampling: Vec<(u8, u8)>,
    restart_interval: u16,
    /// Compared, of all results.
    blocks: usize,
    /// Whether what lay under the cells was put into disorder, which must not change a byte of any result.
    is_scrambled: bool,
    failures: Vec<String>,
}

const LOOKS: [Look; 4] = [Look::Solid, Look::Smooth, Look::Mosaic, Look::Gaussian];

fn main() -> anyhow::Result<()> {
    for line in io::stdin().lines() {
        let task: Task = serde_json::from_str(&line?)?;
        let file = fs::read(&task.picture).with_context(|| task.picture.clone())?;
        println!("{}", serde_json::to_string(&judged(&task, &file)?)?);
    }
    Ok(())
}

fn judged(task: &Task, file: &[u8]) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict {
        outcome: "spliced".into(),
        sampling: Vec::new(),
        restart_interval: 0,
        blocks: 0,
        is_scrambled: false,
        failures: Vec::new(),
    };
    let jpeg = match Jpeg::parse(file, &Limits::default()) {
        Ok(jpeg) => jpeg,
        Err(error) => {
            verdict.outcome = error.to_string();
            return Ok(verdict);
        }
    };
    if let Err(kind) = jpeg.supported()
        && kind.may_be_recoded()
    {
        verdict.outcome = format!("spliced, once {kind}");
    }
    let before = Blocks::read(file);
    verdict.sampling = jpeg.sampling();
    verdict.restart_interval = before.as_ref().map_or(0, Blocks::restart_interval);
    let places = places(&jpeg);
    for look in LOOKS {
        let output = match spliced(file, &places, look) {
            Ok(output) => output,
            Err(error) => {
                if matches!(error, JpegError::Unproven(_)) {
                    verdict.failures.push(format!("{look}: {error}"));
                }
                verdict.outcome = error.to_string();
                return Ok(verdict);
            }
        };
        verdict.note(
            &look.to_string(),
            compared(&before, &output, |before, after| after.compare(before, &places, look)),
        );
        fs::write(&task.spliced, output)?;
    }
    for answer in &task.answers {
        let output = fs::read(answer)?;
        verdict.note(
            answer,
            compared(&before, &output, |before, after| after.kept_or_soft(before)),
        );
    }
    if let Some((one, other, area)) = before.ok().and_then(|blocks| scrambled::pair(&blocks)) {
        verdict.is_scrambled = true;
        for look in LOOKS {
            match (spliced(&one, &[area], look), spliced(&other, &[area], look)) {
                (Ok(one), Ok(other)) if one == other => {}
                (Ok(_), Ok(_)) => verdict
                    .failures
                    .push(format!("{look}: the order of what is hidden shows")),
                (Err(error), _) | (_, Err(error)) => verdict.failures.push(format!("{look}, scrambled: {error}")),
            }
        }
    }
    Ok(verdict)
}

impl Verdict {
    fn note(&mut self, what: &str, compared: Result<usize, String>) {
        match compared {
            Ok(blocks) => self.blocks += blocks,
            Err(failure) => self.failures.push(format!("{what}: {failure}")),
        }
    }
}

fn compared(
    before: &Result<Blocks, String>,
    output: &[u8],
    compare: impl Fn(&Blocks, &Blocks) -> Result<usize, String>,
) -> Result<usize, String> {
    compare(before.as_ref()?, &Blocks::read(output)?)
}

/// Three places that depend on the size alone; one of them reaches out of the picture.
fn places(jpeg: &Jpeg) -> [Region; 3] {
    let size = jpeg.size();
    [(1, 1), (4, 2), (7, 6)].map(|(x, y)| Region {
        x: size.width * x / 8,
        y: size.height * y / 8,
        width: size.width.div_ceil(6),
        height: size.height.div_ceil(5),
    })
}

fn spliced(file: &[u8], places: &[Region], look: Look) -> Result<Vec<u8>, JpegError> {
    let jpeg = Jpeg::parse(file, &Limits::default())?;
    let (orientation, whole) = (jpeg.orientation(), in_one_scan(&jpeg)?);
    let jpeg = match &whole {
        Some(whole) => Jpeg::parse(whole, &Limits::default())?.with_fresh_tables(),
        None => jpeg,
    };
    let scan = jpeg.scan(None, &|| true)?;
    let metadata = Metadata { orientation, icc: None };
    let noise = Noise::repeatable(1);
    scan.redact(&jpeg, places, look.effect(), &noise, &metadata, &|| true)
}

/// A file of several scans is brought into one before it is spliced, as in the service.
fn in_one_scan(jpeg: &Jpeg) -> Result<Option<Vec<u8>>, JpegError> {
    match jpeg.supported() {
        Err(kind) if kind.may_be_recoded() => jpeg.in_one_scan(&|| true).map(Some),
        _ => Ok(None),
    }
}
