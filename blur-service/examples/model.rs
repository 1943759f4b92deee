//! One model by itself: `model FILE VECTORS PICTURE`, where VECTORS is `best` or `avx2`. For each line that comes in it looks
//! at the picture once, as large as it is, and answers with a line of how many faces it saw. For tests/bench/detect.

use std::{env, io};

use anyhow::{Context, bail};
use blur_service::{
    detect::{Photo, View, single},
    geometry::{Rect, Size},
};
use fearless_simd::Level;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, vectors, picture] = &arguments[..] else {
        bail!("model FILE VECTORS PICTURE")
    };
    let level = match vectors.as_str() {
        "best" => None,
        "avx2" => Some(avx2().context("this machine has no AVX2")?),
        other => bail!("no vectors \"{other}\""),
    };
    let model = single(file, level).with_context(|| format!("no model \"{file}\""))??;
    let picture = image::open(picture).with_context(|| picture.clone())?.into_rgb8();
    let size = Size::new(picture.width(), picture.height());
    let view = View::upright(Rect::of(size), size.long_side());
    for line in io::stdin().lines() {
        line?;
        println!("{}", model.detect(Photo::whole(&picture), &view, LEAST_SCORE)?.len());
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn avx2() -> Option<Level> {
    Level::new().as_avx2().map(Level::Avx2)
}

#[cfg(not(target_arch = "x86_64"))]
fn avx2() -> Option<Level> {
    None
}

const LEAST_SCORE: f32 = 0.5;
