//! A second look, before a picture is written: the detector sees it as it is going to be, and what it still takes for a
//! face is hidden more strongly.
//!
//! Inside a hidden region nothing of the picture is left but a few cells, so what is seen there is a ghost: the region
//! then shows nothing at all. What reaches out of the regions was missed, or hidden in part: it is hidden with them, and
//! the look is repeated. If that does not come to an end the picture is not answered.

use serde::Serialize;

use crate::{detect::Face, error::Error, geometry::Rect, marks::is_spared};

/// What a second look led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SecondLook {
    /// How often was looked.
    pub looks: u32,
    /// Regions that show nothing any more, because a face was still seen in them.
    #[serde(rename = "regions_blanked")]
    pub blanked: u32,
    /// Faces that had not been seen the first time, or only in part.
    #[serde(rename = "faces_added")]
    pub added: u32,
}

impl SecondLook {
    /// What the looks at two parts of a file led to.
    pub fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else {
            return one.or(other);
        };
        Some(Self {
            looks: one.looks + other.looks,
            blanked: one.blanked + other.blanked,
            added: one.added + other.added,
        })
    }
}

/// A picture whose faces are hidden and that is not written yet. All in its upright pixels.
pub trait Draft {
    /// What is still seen in it.
    fn look(&mut self) -> Result<Vec<Face>, Error>;

    /// What is hidden so far.
    fn regions(&self) -> Vec<Rect>;

    /// Shows nothing any more in the regions that `rect` touches; returns how many of them had shown something.
    fn blank(&mut self, rect: Rect) -> Result<u32, Error>;

    /// Hides these faces too.
    fn hide(&mut self, faces: &[Face]) -> Result<(), Error>;
}

/// Looks at `draft` until nothing is to be done any more; faces that come to light are added to `faces`. The `spared` ones
/// are in plain view and stay there.
///
/// # Errors
/// [`Error::StillSeen`] if every look brings new faces to light; those of the draft.
pub fn look_again(draft: &mut dyn Draft, faces: &mut Vec<Face>, spared: &[Face]) -> Result<SecondLook, Error> {
    let mut outcome = SecondLook::default();
    while outcome.looks < MOST_LOOKS {
        outcome.looks += 1;
        let mut found = draft.look()?;
        found.retain(|face| !is_spared(face.rect, spared));
        let regions = draft.regions();
        let (ghosts, missed): (Vec<Face>, Vec<Face>) = found
            .into_iter()
            .partition(|face| face.rect.covered_by(&regions) >= HIDDEN);
        draft.hide(&missed)?;
        for ghost in ghosts {
            outcome.blanked += draft.blank(ghost.rect)?;
        }
        if missed.is_empty() {
            return Ok(outcome);
        }
        outcome.added += missed.len() as u32;
        faces.extend(missed);
    }
    Err(Error::StillSeen)
}

/// How much of a box must lie in hidden regions, so that no face can be left in it.
const HIDDEN: f32 = 0.8;
/// Each look after the first takes in what the one before brought to light.
const MOST_LOOKS: u32 = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_picture_in_which_nothing_is_seen_stays() {
        let mut draft = Scripted::new(&[&[]]);
        assert_eq!(look(&mut draft).unwrap(), (1, 0, 0));
        assert_eq!(draft.done, Vec::<String>::new());
    }

    #[test]
    fn a_ghost_in_a_hidden_region_makes_it_blank_and_ends_the_look() {
        let mut draft = Scripted::new(&[&[Rect::new(15.0, 15.0, 10.0, 10.0)]]);
        assert_eq!(look(&mut draft).unwrap(), (1, 1, 0));
        assert_eq!(draft.done, ["blank 15"]);
    }

    #[test]
    fn a_missed_face_is_hidden_and_looked_at_again() {
        let mut draft = Scripted::new(&[&[Rect::new(60.0, 60.0, 10.0, 10.0)], &[]]);
        assert_eq!(look(&mut draft).unwrap(), (2, 0, 1));
        assert_eq!(draft.done, ["hide 60"]);
    }

    #[test]
    fn a_face_that_sticks_out_of_its_region_counts_as_missed() {
        let mut draft = Scripted::new(&[&[Rect::new(20.0, 10.0, 20.0, 20.0)], &[]]);
        assert_eq!(look(&mut draft).unwrap(), (2, 0, 1));
    }

    #[test]
    fn two_regions_on_the_same_half_of_a_face_do_not_hide_it() {
        let half = Rect::new(10.0, 10.0, 10.0, 20.0);
        let mut draft = Scripted {
            regions: vec![half, half.padded(1.1)],
            ..Scripted::new(&[&[Rect::new(10.0, 10.0, 20.0, 20.0)], &[]])
        };
        assert_eq!(look(&mut draft).unwrap(), (2, 0, 1));
        assert_eq!(draft.done, ["hide 10"]);
    }

    #[test]
    fn a_spared_face_and_its_parts_are_let_be() {
        let spared = Rect::new(60.0, 60.0, 10.0, 10.0);
        let mut draft = Scripted::new(&[&[spared.moved(1.0, 1.0), Rect::new(62.0, 62.0, 4.0, 4.0)]]);
        let face = Face {
            rect: spared,
            score: 0.9,
        };
        let outcome = look_again(&mut draft, &mut Vec::new(), &[face]).unwrap();
        assert_eq!((outcome.looks, draft.done.len()), (1, 0));
    }

    #[test]
    fn faces_without_end_are_a_failure() {
        let missed = Rect::new(60.0, 60.0, 10.0, 10.0);
        let mut draft = Scripted::new(&[&[missed], &[missed], &[missed], &[]]);
        assert!(matches!(look(&mut draft), Err(Error::StillSeen)));
    }

    fn look(draft: &mut Scripted) -> Result<(u32, u32, u32), Error> {
        let mut faces = Vec::new();
        let SecondLook { looks, blanked, added } = look_again(draft, &mut faces, &[])?;
        assert_eq!(faces.len(), added as usize);
        Ok((looks, blanked, added))
    }

    /// Sees what is written, look after look.
    struct Scripted {
        seen: std::vec::IntoIter<Vec<Rect>>,
        regions: Vec<Rect>,
        done: Vec<String>,
    }

    impl Scripted {
        fn new(seen: &[&[Rect]]) -> Self {
            let seen: Vec<Vec<Rect>> = seen.iter().map(|look| look.to_vec()).collect();
            Self {
                seen: seen.into_iter(),
                regions: vec![Rect::new(10.0, 10.0, 20.0, 20.0)],
                done: Vec::new(),
            }
        }
    }

    impl Draft for Scripted {
        fn look(&mut self) -> Result<Vec<Face>, Error> {
            let seen = self.seen.next().unwrap();
            Ok(seen
                .iter()
                .map(|rect| Face {
                    rect: *rect,
                    score: 0.5,
                })
                .collect())
        }

        fn regions(&self) -> Vec<Rect> {
            self.regions.clone()
        }

        fn blank(&mut self, rect: Rect) -> Result<u32, Error> {
            self.done.push(format!("blank {}", rect.x));
            Ok(1)
        }

        fn hide(&mut self, faces: &[Face]) -> Result<(), Error> {
            self.done
                .extend(faces.iter().map(|face| format!("hide {}", face.rect.x)));
            Ok(())
        }
    }
}
