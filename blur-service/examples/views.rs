//! What the detector is shown, for `tests/corpus/run`.
//!
//! Reads a line of JSON a picture from standard input, `{"picture": PATH, "shown": PATH}`; writes the views of each road
//! to files beside `shown` and prints a line of JSON for each picture: by road, those files or why there are none.

use std::{collections::BTreeMap, fs, io};

use anyhow::Context;
use blur_service::{codec::Header, error::Error, options::Profile, pipeline::shown};
use image::RgbImage;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Task {
    picture: String,
    shown: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Seen {
    Views(Vec<String>),
    Refused(String),
}

fn main() -> anyhow::Result<()> {
    for line in io::stdin().lines() {
        let task: Task = serde_json::from_str(&line?)?;
        let file = fs::read(&task.picture).with_context(|| task.picture.clone())?;
        let mut roads = BTreeMap::new();
        for profile in [Profile::Lossless, Profile::Reencode] {
            let seen = match views(&file, profile) {
                Ok(views) => Seen::Views(written(&views, &format!("{}-{profile}", task.shown))?),
                Err(error) => Seen::Refused(error.to_string()),
            };
            roads.insert(profile.to_string(), seen);
        }
        println!("{}", serde_json::to_string(&roads)?);
    }
    Ok(())
}

fn views(file: &[u8], profile: Profile) -> Result<Vec<RgbImage>, Error> {
    shown(file, &Header::read(file)?, profile, &|| true)
}

fn written(views: &[RgbImage], prefix: &str) -> anyhow::Result<Vec<String>> {
    let write = |(number, view): (usize, &RgbImage)| {
        let path = format!("{prefix}-{number}.ppm");
        let head = format!("P6\n{} {}\n255\n", view.width(), view.height());
        fs::write(&path, [head.as_bytes(), view.as_raw()].concat())?;
        Ok(path)
    };
    views.iter().enumerate().map(write).collect()
}
