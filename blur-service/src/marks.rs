//! What a person marks in a picture, since no detector finds every face: boxes to hide besides what is found, and found
//! faces to spare. All boxes are in the pixels of the upright picture, as those that the detector gives.

use serde::Deserialize;

use crate::{
    detect::Face,
    error::Error,
    geometry::{Rect, Size},
};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// To be hidden as they are, rounded outward; without a margin.
    pub regions: Vec<Rect>,
    pub exclude: Vec<Spare>,
}

/// Which found face is spared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spare {
    /// Those whose box is mostly this one.
    Box(Rect),
    /// Its place among the faces that are found.
    Index(usize),
}

impl Marks {
    pub const NONE: Self = Self {
        regions: Vec::new(),
        exclude: Vec::new(),
    };

    /// # Errors
    /// [`Error::TooMany`].
    pub fn add_regions(&mut self, regions: Vec<Rect>) -> Result<(), Error> {
        add("regions", &mut self.regions, regions)
    }

    /// # Errors
    /// [`Error::TooMany`].
    pub fn add_exclude(&mut self, exclude: Vec<Spare>) -> Result<(), Error> {
        add("faces to spare", &mut self.exclude, exclude)
    }

    /// The parts of the regions inside a picture of `size`, upright.
    ///
    /// # Errors
    /// [`Error::MarkOutside`] for one that has none: whoever drew it believes that something is hidden there.
    pub fn regions_in(&self, size: Size) -> Result<Vec<Rect>, Error> {
        let inside = |region: &Rect| {
            region.clamped(size).ok_or_else(|| Error::MarkOutside {
                name: "regions",
                why: format!(
                    "the box {},{},{},{} lies outside of the picture, which has {} × {} pixels",
                    region.x, region.y, region.width, region.height, size.width, size.height
                ),
            })
        };
        self.regions.iter().map(inside).collect()
    }

    /// Whether all of it means something in a file of several frames or pages, where each has its own faces.
    ///
    /// # Errors
    /// [`Error::MarkOutside`] for an index.
    pub fn check_for_parts(&self) -> Result<(), Error> {
        match self.exclude.iter().any(|spare| matches!(spare, Spare::Index(_))) {
            true => Err(Error::MarkOutside {
                name: "exclude",
                why: "an index means nothing in a file of several frames or pages; give boxes, which count in each"
                    .to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Takes the faces that shall be spared out of those that were found.
    ///
    /// # Errors
    /// [`Error::MarkOutside`] for an index that no face has.
    pub fn spare(&self, faces: &mut Vec<Face>) -> Result<Vec<Face>, Error> {
        let count = faces.len();
        let beyond = self.exclude.iter().find_map(|spare| match spare {
            Spare::Index(index) if *index >= count => Some(*index),
            _ => None,
        });
        if let Some(index) = beyond {
            let why = format!("no face has the index {index}: {count} were found, and the first has the index 0");
            return Err(Error::MarkOutside { name: "exclude", why });
        }
        let is_spared = |index: usize, face: &Face| self.exclude.iter().any(|spare| spare.fits(index, face));
        let (spared, hidden): (Vec<_>, Vec<_>) = (0..)
            .zip(faces.drain(..))
            .partition(|(index, face)| is_spared(*index, face));
        faces.extend(hidden.into_iter().map(|(_, face)| face));
        Ok(spared.into_iter().map(|(_, face)| face).collect())
    }
}

impl Spare {
    fn fits(self, index: usize, face: &Face) -> bool {
        match self {
            Self::Box(rect) => rect.iou(face.rect) >= SAME_FACE,
            Self::Index(wanted) => wanted == index,
        }
    }
}

/// Whether what is seen at `rect` is a part of a spared face, or that face itself.
pub fn is_spared(rect: Rect, spared: &[Face]) -> bool {
    let is_part = |face: &Face| rect.iou(face.rect) >= SAME_FACE || rect.covered_by(&[face.rect]) >= PART_OF_FACE;
    spared.iter().any(is_part)
}

/// Boxes as `10,20,64,80;200,20,64,80`, or as JSON: an array of objects with `x`, `y`, `width` and `height`, or of arrays of
/// four numbers.
///
/// # Errors
/// What was expected instead.
pub fn parse_regions(text: &str) -> Result<Vec<Rect>, String> {
    let boxes = parse(text).into_iter().flatten().map(Written::into_box);
    boxes
        .collect::<Option<Vec<_>>>()
        .filter(|boxes| !boxes.is_empty() || is_empty_list(text))
        .ok_or_else(|| {
            "boxes like 10,20,64,80;200,20,64,80 (x, y, width, height in upright pixels) or a JSON array of boxes as \
             /v1/detect gives them"
                .to_owned()
        })
}

/// The same, in which a single number is an index.
///
/// # Errors
/// What was expected instead.
pub fn parse_exclude(text: &str) -> Result<Vec<Spare>, String> {
    let spare = |written| match written {
        Written::Index(index) => Some(Spare::Index(index)),
        other => other.into_box().map(Spare::Box),
    };
    let marks = parse(text).into_iter().flatten().map(spare);
    marks
        .collect::<Option<Vec<_>>>()
        .filter(|marks| !marks.is_empty() || is_empty_list(text))
        .ok_or_else(|| "boxes or indices of /v1/detect, like 0;200,20,64,80, or a JSON array of them".to_owned())
}

/// One mark as a client writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Index(usize),
    Numbers([f32; 4]),
    Box(WrittenBox),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBox {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
    /// As `/v1/detect` gives it; it decides nothing here.
    #[serde(default, rename = "score")]
    _score: serde::de::IgnoredAny,
}

impl Written {
    fn into_box(self) -> Option<Rect> {
        let rect = match self {
            Self::Index(_) => return None,
            Self::Numbers([x, y, width, height]) => Rect::new(x, y, width, height),
            Self::Box(WrittenBox {
                x, y, width, height, ..
            }) => Rect::new(x, y, width, height),
        };
        let is_a_place = !rect.is_empty() && rect.x.is_finite() && rect.y.is_finite();
        is_a_place.then_some(rect)
    }
}

fn parse(text: &str) -> Option<Vec<Written>> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text).ok();
    }
    let mark = |mark: &str| {
        let numbers: Vec<&str> = mark.split(',').map(str::trim).collect();
        match numbers[..] {
            [index] => index.parse().ok().map(Written::Index),
            [x, y, width, height] => {
                let numbers = [x, y, width, height].map(|number| number.parse().ok());
                let [Some(x), Some(y), Some(width), Some(height)] = numbers else {
                    return None;
                };
                Some(Written::Numbers([x, y, width, height]))
            }
            _ => None,
        }
    };
    text.split(';').map(mark).collect()
}

fn is_empty_list(text: &str) -> bool {
    parse(text).is_some_and(|marks| marks.is_empty())
}

fn add<T>(what: &'static str, marks: &mut Vec<T>, more: Vec<T>) -> Result<(), Error> {
    marks.extend(more);
    if marks.len() > MOST_MARKS {
        return Err(Error::TooMany {
            what,
            found: marks.len() as u64,
            limit: MOST_MARKS as u64,
        });
    }
    Ok(())
}

/// A box drawn about a face by hand, with a little room, is still that face; one about a neighbour is not.
const SAME_FACE: f32 = 0.5;
/// How much of what is seen must lie in a spared face to be a part of it.
const PART_OF_FACE: f32 = 0.8;
/// More than a person draws in a picture.
const MOST_MARKS: usize = 256;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_box_is_written_as_detection_gives_it_or_shorter() {
        let expected = [Rect::new(10.0, 20.5, 64.0, 80.0)];
        for text in [
            "10,20.5,64,80",
            " 10, 20.5, 64, 80 ",
            "[[10,20.5,64,80]]",
            r#"[{"x":10.0,"y":20.5,"width":64.0,"height":80.0,"score":0.9}]"#,
        ] {
            assert_eq!(parse_regions(text).unwrap(), expected, "{text}");
            assert_eq!(parse_exclude(text).unwrap(), expected.map(Spare::Box), "{text}");
        }
        assert_eq!(parse_regions("[]").unwrap(), []);
        assert_eq!(
            parse_exclude("[2,[0,0,1,1]]").unwrap(),
            [Spare::Index(2), Spare::Box(Rect::new(0.0, 0.0, 1.0, 1.0))]
        );
        assert_eq!(
            parse_exclude("2;0,0,1,1").unwrap(),
            parse_exclude("[2,[0,0,1,1]]").unwrap()
        );
    }

    #[test]
    fn what_is_no_box_is_refused() {
        for text in [
            "",
            "7",
            "1,2,3",
            "1,2,3,4,5",
            "1,2,3,4;",
            "1,2,0,4",
            "1,2,-3,4",
            "nan,2,3,4",
            "1,2,inf,4",
            "1e39,2,3,4",
            "[1,2,3,4]",
            "[[1,2,3,4]",
            r#"[{"x":1,"y":2,"w":3,"h":4}]"#,
            r#"[{"x":1,"y":2,"width":3,"height":4,"size":1}]"#,
            r#"{"x":1,"y":2,"width":3,"height":4}"#,
        ] {
            assert!(parse_regions(text).is_err(), "{text}");
        }
        for text in ["-1", "0.5", "0,1", "[-1]", "[\"0\"]"] {
            assert!(parse_exclude(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_face_is_spared_by_its_box_or_index_and_its_neighbour_is_not() {
        let boxes = [
            Rect::new(0.0, 0.0, 100.0, 100.0),
            Rect::new(70.0, 60.0, 30.0, 30.0),
            Rect::new(200.0, 0.0, 50.0, 60.0),
        ];
        for (exclude, spared) in [
            (Spare::Box(boxes[0]), 0),
            (Spare::Box(boxes[0].padded(1.3)), 0),
            (Spare::Box(boxes[2].moved(4.0, 4.0)), 2),
            (Spare::Index(1), 1),
        ] {
            let mut faces = boxes.map(|rect| Face { rect, score: 0.9 }).to_vec();
            let marks = Marks {
                exclude: vec![exclude],
                ..Marks::NONE
            };
            let gone = marks.spare(&mut faces).unwrap();
            assert_eq!(gone.iter().map(|face| face.rect).collect::<Vec<_>>(), [boxes[spared]]);
            assert_eq!(faces.len(), 2);
        }
        let marks = Marks {
            exclude: vec![Spare::Box(Rect::new(0.0, 0.0, 1000.0, 1000.0))],
            ..Marks::NONE
        };
        let mut faces = boxes.map(|rect| Face { rect, score: 0.9 }).to_vec();
        assert!(
            marks.spare(&mut faces).unwrap().is_empty(),
            "one box about all is nobody's"
        );
    }

    #[test]
    fn a_mark_that_means_nothing_is_told() {
        let marks = Marks {
            regions: vec![Rect::new(90.0, 10.0, 20.0, 20.0), Rect::new(100.0, 0.0, 5.0, 5.0)],
            exclude: vec![Spare::Index(1)],
        };
        let size = Size::new(100, 50);
        assert_eq!(
            marks.regions_in(size).unwrap_err().to_string(),
            "option `regions`: the box 100,0,5,5 lies outside of the picture, which has 100 × 50 pixels"
        );
        let mut one = vec![Face {
            rect: Rect::of(size),
            score: 0.9,
        }];
        assert_eq!(
            marks.spare(&mut one).unwrap_err().to_string(),
            "option `exclude`: no face has the index 1: 1 were found, and the first has the index 0"
        );
    }
}
