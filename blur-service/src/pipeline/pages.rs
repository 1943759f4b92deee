//! The road of a file of several pages: each goes through pixels like a picture of its own, and all of them are written.

use super::{Blurred, Clock, Found, Road, Task, gathered::Gathered, pixels};
use crate::{
    codec::{Pages, Picture, TiffWriter},
    error::Error,
    redact::Noise,
};

pub fn blur(task: &Task, noise: &Noise) -> Result<Blurred, Error> {
    let output = task.output()?;
    let mut clock = Clock::start(task.go_on);
    let mut writer = TiffWriter::start()?;
    let mut gathered = Gathered::default();
    each_page(task, &mut clock, |task, picture, clock| {
        let faces = pixels::faces_in(&picture, |photo| task.find(photo))?;
        clock.lap(|timings| &mut timings.detect)?;
        let picture = gathered.hidden(pixels::hide(task, picture, faces, noise, clock)?);
        writer.add(&picture, task.header)?;
        clock.lap(|timings| &mut timings.encode)
    })?;
    let road = Road {
        name: "pixels",
        why: format!("each of its {} pages is a picture", gathered.count),
        turns_upright: true,
    };
    gathered.blurred(task, writer.finish()?, output, road, clock.timings)
}

pub fn detect(task: &Task) -> Result<Found, Error> {
    let mut clock = Clock::start(task.go_on);
    let mut gathered = Gathered::default();
    each_page(task, &mut clock, |task, picture, clock| {
        gathered.add(pixels::faces_in(&picture, |photo| task.find(photo))?);
        clock.lap(|timings| &mut timings.detect)
    })?;
    Ok(gathered.found(task, clock.timings))
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
