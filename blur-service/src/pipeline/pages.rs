//! The road of a file of several pages: each goes through pixels like a picture of its own, and all of them are written.

use super::{Blurred, Clock, Found, Road, SecondLook, Task, pixels};
use crate::{
    codec::{Pages, Picture, TiffWriter},
    detect::Face,
    error::Error,
    redact::Noise,
};

pub fn blur(task: &Task, noise: &Noise) -> Result<Blurred, Error> {
    let output = task.output()?;
    let mut clock = Clock::start(task.go_on);
    let mut writer = TiffWriter::start()?;
    let mut found = Gathered::default();
    let mut second_look: Option<SecondLook> = None;
    let mut spared = Vec::new();
    each_page(task, &mut clock, |task, picture, clock| {
        let faces = pixels::faces_in(&picture, |photo| task.find(photo))?;
        clock.lap(|timings| &mut timings.detect)?;
        let hidden = pixels::hide(task, picture, faces, noise, clock)?;
        writer.add(&hidden.picture, task.header)?;
        found.add(hidden.faces);
        spared.extend(hidden.spared);
        second_look = SecondLook::both(second_look, hidden.second_look);
        clock.lap(|timings| &mut timings.encode)
    })?;
    Ok(Blurred {
        file: writer.finish()?,
        media_type: output.media_type(),
        faces: found.faces,
        parts: found.parts,
        spared,
        regions: task.options.marks.regions_in(task.header.upright_size())?,
        road: Road {
            name: "pixels",
            why: format!("each of its {} pages is a picture", found.count),
            turns_upright: true,
        },
        second_look,
        removed: None,
        kept: Vec::new(),
        timings: clock.timings,
    })
}

pub fn detect(task: &Task) -> Result<Found, Error> {
    let mut clock = Clock::start(task.go_on);
    let mut found = Gathered::default();
    each_page(task, &mut clock, |task, picture, clock| {
        found.add(pixels::faces_in(&picture, |photo| task.find(photo))?);
        clock.lap(|timings| &mut timings.detect)
    })?;
    Ok(Found {
        size: task.header.upright_size(),
        faces: found.faces,
        parts: found.parts,
        timings: clock.timings,
    })
}

/// Calls `work` with each page, upright, and with a task of its own.
fn each_page<'a>(
    task: &Task<'a>,
    clock: &mut Clock<'a>,
    mut work: impl FnMut(&Task, Picture, &mut Clock<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut pages = Pages::open(task.file)?;
    while let Some((header, mut picture)) = pages.next_page()? {
        picture.pixels.apply_orientation(header.orientation);
        clock.lap(|timings| &mut timings.decode)?;
        let task = Task {
            header: &header,
            ..*task
        };
        work(&task, picture, clock)?;
    }
    Ok(())
}

/// The faces of several pictures, and which has which.
#[derive(Default)]
pub struct Gathered {
    pub faces: Vec<Face>,
    pub parts: Vec<u32>,
    pub count: u32,
}

impl Gathered {
    /// Those of the next picture.
    pub fn add(&mut self, faces: Vec<Face>) {
        self.parts.extend(faces.iter().map(|_| self.count));
        self.faces.extend(faces);
        self.count += 1;
    }
}
