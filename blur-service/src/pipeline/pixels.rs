//! The road through pixels: every format, and the JPEGs that cannot be spliced or shall not be.

use super::{
    Blurred, Clock, Found, Road, Task,
    second_look::{Draft, SecondLook, look_again},
};
use crate::{
    codec::{Picture, to_upright},
    detect::{Face, Photo},
    error::Error,
    geometry::Rect,
    options::Verify,
    redact::{Blocks, Cells, Means, Noise, Place, regions},
};

pub fn blur(task: &Task, why: String, noise: &Noise) -> Result<Blurred, Error> {
    let Task { header, .. } = *task;
    let output = task.output()?;
    let mut clock = Clock::start(task.go_on);
    let regions = task.options.marks.regions_in(header.upright_size())?;
    let picture = decode(task)?;
    clock.lap(|timings| &mut timings.decode)?;
    let faces = faces_in(&picture, |photo| task.find(photo))?;
    clock.lap(|timings| &mut timings.detect)?;
    let hidden = hide(task, picture, faces, noise, &mut clock)?;
    let file = output.encode(&hidden.picture, header)?;
    drop(hidden.picture);
    output.prove(&file)?;
    clock.lap(|timings| &mut timings.encode)?;
    Ok(Blurred {
        file,
        media_type: output.media_type(),
        parts: Vec::new(),
        faces: hidden.faces,
        spared: hidden.spared,
        regions,
        road: Road {
            name: "pixels",
            why,
            turns_upright: true,
        },
        second_look: hidden.second_look,
        removed: None,
        kept: Vec::new(),
        timings: clock.timings,
    })
}

/// A picture with its faces hidden, as it will be written.
pub struct Hidden {
    pub picture: Picture,
    pub faces: Vec<Face>,
    pub spared: Vec<Face>,
    pub second_look: Option<SecondLook>,
}

/// Hides these faces of an upright picture but for those that are spared, looks again, and hides what a person drew.
pub fn hide(
    task: &Task,
    picture: Picture,
    mut faces: Vec<Face>,
    noise: &Noise,
    clock: &mut Clock,
) -> Result<Hidden, Error> {
    let marks = &task.options.marks;
    let regions = marks.regions_in(task.header.upright_size())?;
    let spared = marks.spare(&mut faces)?;
    let mut sheet = Sheet::new(task, picture, noise);
    sheet.picture.clear_hidden_colour();
    sheet.hide(&faces)?;
    clock.lap(|timings| &mut timings.redact)?;
    let second_look = match task.options.verify() {
        Verify::Off => None,
        _ => Some(look_again(&mut sheet, &mut faces, &spared)?),
    };
    sheet.hide_drawn(&regions)?;
    clock.lap(|timings| &mut timings.verify)?;
    Ok(Hidden {
        picture: sheet.picture,
        faces,
        spared,
        second_look,
    })
}

pub fn detect(task: &Task) -> Result<Found, Error> {
    let mut clock = Clock::start(task.go_on);
    let picture = decode(task)?;
    clock.lap(|timings| &mut timings.decode)?;
    let faces = faces_in(&picture, |photo| task.find(photo))?;
    clock.lap(|timings| &mut timings.detect)?;
    Ok(Found {
        size: picture.size(),
        faces,
        parts: Vec::new(),
        timings: clock.timings,
    })
}

/// The whole picture, upright.
fn decode(task: &Task) -> Result<Picture, Error> {
    task.header.format.decode(task.file, task.header, task.go_on)
}

/// A decoded picture and what is hidden of it.
struct Sheet<'a> {
    task: &'a Task<'a>,
    picture: Picture,
    blocks: Blocks,
    /// Of the picture that came in, as far as they were needed.
    means: Option<Means>,
    /// In pixels as stored, like all that follows.
    faces: Vec<Face>,
    /// What a person drew.
    drawn: Vec<Rect>,
    /// Where nothing is shown any more.
    blank: Vec<Rect>,
    hidden: Vec<(Place, Vec<Cells>)>,
    noise: &'a Noise,
}

impl<'a> Sheet<'a> {
    fn new(task: &'a Task<'a>, picture: Picture, noise: &'a Noise) -> Self {
        let blocks = task.header.blocks();
        Self {
            task,
            means: None,
            picture,
            blocks,
            faces: Vec::new(),
            drawn: Vec::new(),
            blank: Vec::new(),
            hidden: Vec::new(),
            noise,
        }
    }

    /// Chooses the cells of all faces that are known, anew.
    fn plan(&mut self) -> Result<(), Error> {
        let Task { header, options, .. } = *self.task;
        let (blocks, count) = (self.blocks, self.blocks.count());
        let spots = regions(&self.faces, &self.drawn, header.size, options.margin);
        let places = blocks.places(&spots, |region| blocks.around(region));
        let owners = blocks.owners(&places);
        let is_hidden = |x: u32, y: u32| owners[(y * count.width + x) as usize].is_some();
        let channels = self.picture.channels();
        let means = self.means.get_or_insert_with(|| Means::unknown(blocks, channels));
        for place in &places {
            self.picture.measure(header, place.reach(count), means)?;
        }
        let tones = self.picture.tones()?;
        let cells = |place: Place| (place, means.cells(place, tones, &is_hidden, self.noise));
        self.hidden = places.into_iter().map(cells).collect();
        for rect in self.blank.clone() {
            self.make_blank(rect);
        }
        Ok(())
    }

    fn make_blank(&mut self, rect: Rect) -> u32 {
        let mut changed = 0;
        for (place, cells) in &mut self.hidden {
            let is_touched = self.blocks.region(place.area).rect().intersection(rect).is_some();
            if is_touched && cells.iter().any(|cells| !cells.is_blank()) {
                cells.iter_mut().for_each(Cells::make_blank);
                changed += 1;
            }
        }
        changed
    }

    /// What a person drew comes last, so that nothing else of the picture depends on it.
    fn hide_drawn(&mut self, regions: &[Rect]) -> Result<(), Error> {
        if regions.is_empty() {
            return Ok(());
        }
        self.drawn = regions.iter().map(|region| self.task.as_stored(*region)).collect();
        self.plan()?;
        self.paint()
    }

    fn paint(&mut self) -> Result<(), Error> {
        let Task { header, options, .. } = *self.task;
        for (place, cells) in &self.hidden {
            self.picture.paint(header, place.area, cells, options.look())?;
        }
        // Cells with a trace of alpha may have become clear ones.
        self.picture.clear_hidden_colour();
        Ok(())
    }
}

impl Draft for Sheet<'_> {
    fn look(&mut self) -> Result<Vec<Face>, Error> {
        let regions = self.regions();
        faces_in(&self.picture, |photo| self.task.eyes.find_again(photo, &regions))
    }

    fn regions(&self) -> Vec<Rect> {
        let header = self.task.header;
        let stored = self
            .hidden
            .iter()
            .map(|(place, _)| self.blocks.region(place.area).rect());
        stored
            .map(|rect| to_upright(rect, header.size, header.orientation))
            .collect()
    }

    fn blank(&mut self, rect: Rect) -> Result<u32, Error> {
        let stored = self.task.as_stored(rect);
        self.blank.push(stored);
        let changed = self.make_blank(stored);
        if changed > 0 {
            self.paint()?;
        }
        Ok(changed)
    }

    fn hide(&mut self, faces: &[Face]) -> Result<(), Error> {
        if faces.is_empty() {
            return Ok(());
        }
        self.faces.extend(faces.iter().map(|face| Face {
            rect: self.task.as_stored(face.rect),
            ..*face
        }));
        self.plan()?;
        self.paint()
    }
}

/// The faces in every view of the picture; one seen in several views counts once, with all that any of them shows of it.
pub fn faces_in(picture: &Picture, find: impl Fn(Photo) -> Result<Vec<Face>, Error>) -> Result<Vec<Face>, Error> {
    let mut faces: Vec<Face> = Vec::new();
    for view in picture.views()? {
        for face in find(Photo::whole(&view))? {
            match faces.iter_mut().find(|known| known.rect.iou(face.rect) > SAME_FACE) {
                Some(known) => known.rect = known.rect.merged(face.rect),
                None => faces.push(face),
            }
        }
    }
    Ok(faces)
}

/// Two boxes in two views that overlap so much are one face.
const SAME_FACE: f32 = 0.4;
