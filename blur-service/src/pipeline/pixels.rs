//! The road through pixels: every format, and the JPEGs that cannot be spliced or shall not be.

use super::{Blurred, Clock, Find, Found, Task, Timings};
use crate::{
    codec::Picture,
    detect::Face,
    error::Error,
    redact::{Noise, regions},
};

pub fn blur(task: &Task, noise: &mut Noise) -> Result<Blurred, Error> {
    let Task { header, options, .. } = *task;
    let mut clock = Clock::start(task.go_on);
    let mut picture = header.format.decode(task.file, header)?;
    let decode = clock.lap()?;
    let faces = faces_in(&picture, task.find)?;
    let detect = clock.lap()?;
    picture.clear_hidden_colour();
    for region in regions(&faces, picture.size(), options.margin, header.block()) {
        picture.hide(region, options.effect.effect(), noise)?;
    }
    // Cells with a trace of alpha may have become clear ones.
    picture.clear_hidden_colour();
    let redact = clock.lap()?;
    let file = header.format.encode(&picture, header)?;
    drop(picture);
    header.format.prove(&file)?;
    let encode = clock.lap()?;
    Ok(Blurred {
        file,
        faces,
        path: "pixels",
        timings: Timings {
            decode,
            detect,
            redact,
            encode,
        },
    })
}

pub fn detect(task: &Task) -> Result<Found, Error> {
    let mut clock = Clock::start(task.go_on);
    let picture = task.header.format.decode(task.file, task.header)?;
    let decode = clock.lap()?;
    let faces = faces_in(&picture, task.find)?;
    let detect = clock.lap()?;
    Ok(Found {
        size: picture.size(),
        faces,
        timings: Timings {
            decode,
            detect,
            ..Timings::default()
        },
    })
}

/// The faces in every view of the picture; one seen in several views counts once.
fn faces_in(picture: &Picture, find: &Find) -> Result<Vec<Face>, Error> {
    let mut faces: Vec<Face> = Vec::new();
    for view in picture.views() {
        for face in find(&view)? {
            if !faces.iter().any(|known| known.rect.iou(face.rect) > SAME_FACE) {
                faces.push(face);
            }
        }
    }
    Ok(faces)
}

/// Two boxes in two views that overlap so much are one face.
const SAME_FACE: f32 = 0.4;
