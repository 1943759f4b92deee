//! One box a face, of all that was seen, such that whatever a weaker setting hides a stronger one hides too.
//!
//! What each pair of detail and sensitivity answers is made of what the next weaker ones answer: their boxes stay, and
//! grow where a further look saw more of the same face; only then come the faces that they do not know. So each box of a
//! weaker answer lies inside one of a stronger answer, whatever the networks see.

use clap::ValueEnum;

use super::{Detail, Face, Sensitivity};
use crate::geometry::{Rect, Size, without_doubles};

/// A face, and the weakest setting that sees it.
#[derive(Clone, Copy)]
pub(super) struct Sighting {
    pub face: Face,
    pub detail: Detail,
    pub sensitivity: Sensitivity,
}

/// All that the looks of a detail saw, whatever the sensitivity.
pub struct Seen {
    pub(super) detail: Detail,
    pub(super) sightings: Vec<Sighting>,
}

impl Seen {
    /// The faces that this sensitivity believes, best first, no face twice.
    pub fn faces(&self, sensitivity: Sensitivity) -> Vec<Face> {
        nested(&self.sightings, self.detail, sensitivity)
    }
}

/// The faces that this setting answers, best first. `sightings` hold at least all that it and every weaker one sees.
fn nested(sightings: &[Sighting], detail: Detail, sensitivity: Sensitivity) -> Vec<Face> {
    // By sensitivity, what the weaker detail answers.
    let mut answers: Vec<Vec<Known>> = Sensitivity::value_variants().iter().map(|_| Vec::new()).collect();
    for detail in up_to(detail) {
        let mut less_sensitive: Vec<Known> = Vec::new();
        for sensitivity in up_to(sensitivity) {
            let answer = &mut answers[sensitivity as usize];
            less_sensitive.iter().for_each(|known| known.join(answer));
            let mut new: Vec<Face> = sightings
                .iter()
                .filter(|sighting| (sighting.detail, sighting.sensitivity) == (detail, sensitivity))
                .map(|sighting| sighting.face)
                .collect();
            best_first(&mut new);
            new.into_iter().for_each(|face| Known::new(face).join(answer));
            less_sensitive.clone_from(answer);
        }
    }
    let mut faces: Vec<Face> = answers[sensitivity as usize].iter().map(|known| known.face).collect();
    best_first(&mut faces);
    faces
}

/// Of the boxes of one look the best on each face, clamped to the picture.
pub fn one_each(mut faces: Vec<Face>, picture: Size) -> Vec<Face> {
    faces.retain(|face| face.score.is_finite());
    best_first(&mut faces);
    let inside = faces.into_iter().filter_map(|face| {
        Some(Face {
            rect: face.rect.clamped(picture)?,
            ..face
        })
    });
    without_doubles(inside, |face| face.rect, |better, rect| is_on(better, rect, SAME_LOOK))
}

/// A face that an answer holds.
#[derive(Clone, Copy)]
struct Known {
    face: Face,
    /// As it was first seen: boxes on the same face are known by it.
    first: Rect,
}

impl Known {
    fn new(face: Face) -> Self {
        Self { face, first: face.rect }
    }

    /// Lets a box of the same face grow over this one, or adds it.
    fn join(self, answer: &mut Vec<Self>) {
        match answer
            .iter_mut()
            .find(|known| is_on(known.first, self.first, ANOTHER_LOOK))
        {
            Some(known) => {
                known.face.rect = known.face.rect.merged(self.face.rect);
                known.face.score = known.face.score.max(self.face.score);
            }
            None => answer.push(self),
        }
    }
}

fn up_to<T: ValueEnum + Copy + PartialOrd + 'static>(most: T) -> impl Iterator<Item = T> {
    T::value_variants().iter().copied().filter(move |value| *value <= most)
}

fn best_first(faces: &mut [Face]) {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Whether `rect` is on the face that another box is on: they overlap more than neighbours in a crowd do, or so much of it
/// lies inside that it is hidden with the other, such as a face cut by a view's edge.
fn is_on(other: Rect, rect: Rect, most_overlap: f32) -> bool {
    other.iou(rect) > most_overlap || other.covers(rect) > MOST_COVERED
}

/// Intersection over union of two boxes that one look sees on two faces, at most.
const SAME_LOOK: f32 = 0.4;
/// Networks draw their boxes each in its own way, the more so where a face is turned.
const ANOTHER_LOOK: f32 = 0.3;
const MOST_COVERED: f32 = 0.85;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_piece_of_a_face_inside_a_better_box_is_no_second_face() {
        let whole = face(Rect::new(100.0, 100.0, 100.0, 120.0), 0.9);
        let piece = face(Rect::new(110.0, 100.0, 30.0, 50.0), 0.5);
        let beside = face(Rect::new(190.0, 100.0, 90.0, 100.0), 0.4);
        assert_eq!(
            one_each(vec![beside, piece, whole], Size::new(400, 400)),
            [whole, beside]
        );
    }

    #[test]
    fn a_face_seen_twice_is_one_box_over_both() {
        let sighting = |x, score, detail| Sighting {
            face: face(Rect::new(x, 0.0, 100.0, 100.0), score),
            detail,
            sensitivity: Sensitivity::Normal,
        };
        let seen = [sighting(0.0, 0.6, Detail::Fast), sighting(20.0, 0.9, Detail::Thorough)];
        let faces = nested(&seen, Detail::Thorough, Sensitivity::Normal);
        assert_eq!(faces, [face(Rect::new(0.0, 0.0, 120.0, 100.0), 0.9)]);
    }

    proptest! {
        #[test]
        fn a_stronger_answer_covers_a_weaker_one(
            seen in prop::collection::vec((0u8..3, 0u8..3, 0f32..60.0, 0f32..60.0, 5f32..40.0, 5f32..40.0, 0f32..1.0), 0..40)
        ) {
            let seen: Vec<Sighting> = seen.into_iter().map(|(detail, sensitivity, x, y, width, height, score)| Sighting {
                face: face(Rect::new(x, y, width, height), score),
                detail: Detail::value_variants()[detail as usize],
                sensitivity: Sensitivity::value_variants()[sensitivity as usize],
            }).collect();
            let all = |detail, sensitivity| -> Vec<Face> {
                let visible: Vec<Sighting> = seen.iter().copied().filter(|sighting| sighting.detail <= detail && sighting.sensitivity <= sensitivity).collect();
                nested(&visible, detail, sensitivity)
            };
            for detail in up_to(Detail::Max) {
                for sensitivity in up_to(Sensitivity::High) {
                    let strong = all(detail, sensitivity);
                    for weaker in up_to(detail) {
                        for less in up_to(sensitivity) {
                            for weak in all(weaker, less) {
                                prop_assert!(strong.iter().any(|face| face.rect.covers(weak.rect) > 0.999), "{weak:?} {strong:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    fn face(rect: Rect, score: f32) -> Face {
        Face { rect, score }
    }
}
