//! The road of an animation. A face that is missed in a frame between two others, or found one frame too late, would be
//! shown for a moment: hence what is hidden in a frame is what is found in it and in all that are shown shortly before and
//! after. The frames are composed twice, for the detector and to be written, so that few are in memory at a time.

use super::{Blurred, Clock, Found, Road, Task, gathered::Gathered, pixels};
use crate::{
    codec::{Delay, Frame, Frames, FramesPlan, FramesWriter, Picture, Profile, frames, without_alpha},
    detect::Face,
    error::Error,
    options::Options,
    redact::Noise,
};

pub fn blur(task: &Task, noise: &Noise) -> Result<Blurred, Error> {
    let output = task.output()?;
    let mut clock = Clock::start(task.go_on);
    let seen = Seen::watch(task, &mut clock)?;
    let options = Options {
        effect: task.options.animation_effect,
        ..task.options.clone()
    };
    let task = Task {
        options: &options,
        ..*task
    };
    let plan = FramesPlan {
        size: task.header.upright_size(),
        frames: seen.sightings.len() as u32,
        plays: seen.plays,
        profile: seen.profile,
    };
    let mut writer = FramesWriter::start(output, &plan)?;
    let mut gathered = Gathered::default();
    let mut reel = Reel::open(&task)?;
    for faces in seen.united() {
        let frame = reel.next()?.ok_or_else(|| Error::internal("a frame is gone"))?;
        clock.lap(|timings| &mut timings.decode)?;
        let picture = gathered.hidden(pixels::hide(&task, frame.picture, faces, noise, &mut clock)?);
        writer.add(Frame {
            pixels: picture.pixels.into_rgba8(),
            delay: frame.delay,
        })?;
        check_room(&task, writer.bytes())?;
        clock.lap(|timings| &mut timings.encode)?;
    }
    let file = writer.finish()?;
    clock.lap(|timings| &mut timings.encode)?;
    let road = Road {
        name: "animation",
        why: format!("it has {} frames", gathered.count),
        turns_upright: true,
    };
    gathered.blurred(&task, file, output, road, clock.timings)
}

pub fn detect(task: &Task) -> Result<Found, Error> {
    let mut clock = Clock::start(task.go_on);
    let seen = Seen::watch(task, &mut clock)?;
    let mut gathered = Gathered::default();
    seen.sightings
        .into_iter()
        .for_each(|sighting| gathered.add(sighting.faces));
    Ok(gathered.found(task, clock.timings))
}

/// A written file has only the memory that was asked for.
fn check_room(task: &Task, written: usize) -> Result<(), Error> {
    let (needed, limit) = (written as u64, task.header.work_bytes);
    match needed > limit {
        true => Err(Error::TooMuchMemory { needed, limit }),
        false => Ok(()),
    }
}

/// The frames of a file as pictures, upright and in colours that are kept.
struct Reel<'a> {
    frames: Box<dyn Frames + 'a>,
    task: &'a Task<'a>,
}

struct Still {
    picture: Picture,
    delay: Delay,
}

impl<'a> Reel<'a> {
    fn open(task: &'a Task<'a>) -> Result<Self, Error> {
        let frames = frames(task.file, task.header)?;
        Ok(Self { frames, task })
    }

    fn next(&mut self) -> Result<Option<Still>, Error> {
        let Some(Frame { pixels, delay }) = self.frames.next()? else {
            return Ok(None);
        };
        let mut picture = Picture::new(without_alpha(pixels), self.frames.space()?)?;
        picture.pixels.apply_orientation(self.task.header.orientation);
        Ok(Some(Still { picture, delay }))
    }
}

/// What was seen in a frame, and when it is shown.
#[derive(Clone)]
struct Sighting {
    faces: Vec<Face>,
    /// In milliseconds from the first frame's beginning.
    begins: u64,
    ends: u64,
}

/// What was seen in all frames.
struct Seen {
    sightings: Vec<Sighting>,
    plays: u32,
    profile: Option<Profile>,
}

impl Seen {
    fn watch(task: &Task, clock: &mut Clock) -> Result<Self, Error> {
        let mut reel = Reel::open(task)?;
        let mut sightings: Vec<Sighting> = Vec::new();
        let mut last: Option<Picture> = None;
        let mut ends = 0;
        while let Some(Still { picture, delay }) = reel.next()? {
            clock.lap(|timings| &mut timings.decode)?;
            let is_same = last.as_ref().is_some_and(|last| last.pixels == picture.pixels);
            let faces = match (is_same, sightings.last()) {
                (true, Some(before)) => before.faces.clone(),
                _ => pixels::faces_in(&picture, |photo| task.find(photo))?,
            };
            let begins = ends;
            ends += delay.in_ticks(MILLISECONDS).max(SHORTEST);
            sightings.push(Sighting { faces, begins, ends });
            last = Some(picture);
            clock.lap(|timings| &mut timings.detect)?;
        }
        Ok(Self {
            sightings,
            plays: reel.frames.plays(),
            profile: last.and_then(|picture| picture.profile),
        })
    }

    /// What is hidden in each frame.
    fn united(self) -> impl Iterator<Item = Vec<Face>> {
        (0..self.sightings.len()).map(move |index| united(&self.sightings, index))
    }
}

/// The faces of all frames that are near this one in time or in number; those in one place as one.
fn united(sightings: &[Sighting], index: usize) -> Vec<Face> {
    let here = &sightings[index];
    let is_near = |(other, sighting): &(usize, &Sighting)| {
        other.abs_diff(index) <= FRAMES || (sighting.begins <= here.ends + NEAR && here.begins <= sighting.ends + NEAR)
    };
    let near = sightings.iter().enumerate().filter(is_near);
    let mut faces: Vec<Face> = Vec::new();
    for face in near.flat_map(|(_, sighting)| &sighting.faces) {
        match faces.iter_mut().find(|known| known.rect.iou(face.rect) > SAME_PLACE) {
            Some(known) => {
                known.rect = known.rect.merged(face.rect);
                known.score = known.score.max(face.score);
            }
            None => faces.push(*face),
        }
    }
    faces
}

const MILLISECONDS: u32 = 1000;
/// Viewers show a frame no shorter.
const SHORTEST: u64 = 10;
/// So long, in milliseconds, and so many frames before and after it, what is found is hidden.
const NEAR: u64 = 500;
const FRAMES: usize = 2;
/// Two boxes that overlap so much are one.
const SAME_PLACE: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    #[test]
    fn a_face_that_is_missed_for_a_moment_stays_hidden() {
        let seen = [1, 1, 0, 0, 1, 0, 0, 0, 0, 0].map(|count| count == 1);
        let hidden = |milliseconds: u64| {
            let sightings: Vec<Sighting> = (0..)
                .zip(seen)
                .map(|(index, is_seen)| Sighting {
                    faces: if is_seen { vec![face(index as f32)] } else { Vec::new() },
                    begins: index * milliseconds,
                    ends: (index + 1) * milliseconds,
                })
                .collect();
            (0..seen.len())
                .map(|index| united(&sightings, index).len())
                .collect::<Vec<_>>()
        };
        assert_eq!(hidden(5000), [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
        assert_eq!(hidden(125), [1; 10]);
    }

    #[test]
    fn faces_in_one_place_are_one_that_covers_them_all() {
        let sightings = [0.0, 2.0, 90.0].map(|x| Sighting {
            faces: vec![face(x)],
            begins: 0,
            ends: 1,
        });
        let faces = united(&sightings, 0);
        assert_eq!(faces.len(), 2);
        assert_eq!(faces[0].rect, Rect::new(0.0, 0.0, 22.0, 20.0));
    }

    fn face(x: f32) -> Face {
        Face {
            rect: Rect::new(x, 0.0, 20.0, 20.0),
            score: 0.9,
        }
    }
}
