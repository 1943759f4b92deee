//! The road through pixels: every format, and the JPEGs that cannot be spliced or shall not be.

use super::{
    Blurred, Clock, Found, Road, Task,
    second_look::{Draft, look_again},
    splice,
};
use crate::{
    codec::Picture,
    detect::Face,
    error::Error,
    geometry::Rect,
    options::Verify,
    redact::{Look, Noise, Region, regions},
};

pub fn blur(task: &Task, why: String, noise: &mut Noise) -> Result<Blurred, Error> {
    let Task { header, options, .. } = *task;
    let mut clock = Clock::start(task.go_on);
    let picture = decode(task)?;
    clock.lap(|timings| &mut timings.decode)?;
    let mut faces = faces_in(&picture, |view| task.eyes.find(view))?;
    clock.lap(|timings| &mut timings.detect)?;
    let mut sheet = Sheet {
        task,
        picture,
        hidden: Vec::new(),
        noise,
    };
    sheet.picture.clear_hidden_colour();
    sheet.hide(&faces)?;
    clock.lap(|timings| &mut timings.redact)?;
    let second_look = match options.verify() {
        Verify::Off => None,
        _ => Some(look_again(&mut sheet, &mut faces)?),
    };
    clock.lap(|timings| &mut timings.verify)?;
    let file = header.format.encode(&sheet.picture, header)?;
    drop(sheet);
    header.format.prove(&file)?;
    clock.lap(|timings| &mut timings.encode)?;
    Ok(Blurred {
        file,
        faces,
        road: Road {
            name: "pixels",
            why,
            turns_upright: true,
        },
        second_look,
        removed: None,
        timings: clock.timings,
    })
}

pub fn detect(task: &Task) -> Result<Found, Error> {
    let mut clock = Clock::start(task.go_on);
    let picture = decode(task)?;
    clock.lap(|timings| &mut timings.decode)?;
    let faces = faces_in(&picture, |view| task.eyes.find(view))?;
    clock.lap(|timings| &mut timings.detect)?;
    Ok(Found {
        size: picture.size(),
        faces,
        timings: clock.timings,
    })
}

/// The whole picture, upright.
fn decode(task: &Task) -> Result<Picture, Error> {
    match task.header.jpeg {
        Some(facts) if facts.is_uncommon => splice::decode(task),
        _ => task.header.format.decode(task.file, task.header),
    }
}

/// A decoded picture and what is hidden of it.
struct Sheet<'a> {
    task: &'a Task<'a>,
    picture: Picture,
    /// Regions, and whether they still show something.
    hidden: Vec<(Region, bool)>,
    noise: &'a mut Noise<'a>,
}

impl Draft for Sheet<'_> {
    fn look(&mut self) -> Result<Vec<Face>, Error> {
        let regions = self.regions();
        faces_in(&self.picture, |view| self.task.eyes.find_again(view, &regions))
    }

    fn regions(&self) -> Vec<Rect> {
        self.hidden.iter().map(|(region, _)| region.rect()).collect()
    }

    fn blank(&mut self, rect: Rect) -> Result<u32, Error> {
        let mut blanked = 0;
        for (region, shows) in &mut self.hidden {
            if *shows && region.rect().intersection(rect).is_some() {
                self.picture.hide(*region, Look::Solid.effect(), self.noise)?;
                *shows = false;
                blanked += 1;
            }
        }
        Ok(blanked)
    }

    fn hide(&mut self, faces: &[Face]) -> Result<(), Error> {
        let Task { header, options, .. } = *self.task;
        for region in regions(faces, self.picture.size(), options.margin, header.block()) {
            self.picture.hide(region, options.effect.effect(), self.noise)?;
            self.hidden.push((region, true));
        }
        // Cells with a trace of alpha may have become clear ones.
        self.picture.clear_hidden_colour();
        Ok(())
    }
}

/// The faces in every view of the picture; one seen in several views counts once.
fn faces_in(
    picture: &Picture,
    find: impl Fn(&image::RgbImage) -> Result<Vec<Face>, Error>,
) -> Result<Vec<Face>, Error> {
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
