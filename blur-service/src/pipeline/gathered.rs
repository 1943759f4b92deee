//! What comes of a file of several pictures: of each in turn, then of all.

use super::{Blurred, Found, Road, SecondLook, Task, Timings, pixels::Hidden};
use crate::{
    codec::{Output, Picture},
    detect::Face,
    error::Error,
};

#[derive(Default)]
pub struct Gathered {
    faces: Vec<Face>,
    /// For each face, in which picture it is.
    parts: Vec<u32>,
    /// Pictures so far.
    pub count: u32,
    spared: Vec<Face>,
    second_look: Option<SecondLook>,
}

impl Gathered {
    /// The faces of the next picture.
    pub fn add(&mut self, faces: Vec<Face>) {
        self.parts.extend(faces.iter().map(|_| self.count));
        self.faces.extend(faces);
        self.count += 1;
    }

    /// The next picture, which is to be written.
    pub fn hidden(&mut self, hidden: Hidden) -> Picture {
        self.add(hidden.faces);
        self.spared.extend(hidden.spared);
        self.second_look = SecondLook::both(self.second_look.take(), hidden.second_look);
        hidden.picture
    }

    pub fn found(self, task: &Task, timings: Timings) -> Found {
        Found {
            size: task.header.upright_size(),
            faces: self.faces,
            parts: self.parts,
            timings,
        }
    }

    /// # Errors
    /// Of the regions that a person drew.
    pub fn blurred(
        self,
        task: &Task,
        file: Vec<u8>,
        output: Output,
        road: Road,
        timings: Timings,
    ) -> Result<Blurred, Error> {
        Ok(Blurred {
            file,
            media_type: output.media_type(),
            faces: self.faces,
            parts: self.parts,
            spared: self.spared,
            regions: task.options.marks.regions_in(task.header.upright_size())?,
            road,
            second_look: self.second_look,
            removed: None,
            kept: Vec::new(),
            timings,
        })
    }
}
