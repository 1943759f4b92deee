//! What is looked at, as data: which network sees which part of a picture, how large, in which pose, and from which
//! score on it is believed. All of it follows from the size of the whole upright picture, never from what was decoded of it, so
//! that a file's form decides nothing. A stronger detail makes the looks of the weaker ones and further ones.

use std::cmp::Reverse;

use clap::ValueEnum;

use super::{
    Detail, Face, Sensitivity,
    nested::one_each,
    parts::{parts, tiles},
    pose::Pose,
    view::View,
};
use crate::geometry::{Rect, Size};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    CenterFace,
    YuNet,
}

/// One look of a network at a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    pub network: Network,
    pub view: View,
    /// The weakest detail that makes it.
    pub detail: Detail,
    beliefs: &'static [Belief],
}

/// From which score on a face of a certain size is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Belief {
    /// The longer side of its box, in pixels of what is shown.
    px: (f32, f32),
    /// By sensitivity: low, normal, high.
    least_score: [f32; 3],
}

impl Look {
    /// All that `detail` makes at a picture of this size, those of weaker details first, none twice.
    pub fn all(detail: Detail, picture: Size) -> Vec<Self> {
        let mut looks: Vec<Self> = Vec::new();
        for rule in RULES.iter().filter(|rule| rule.detail <= detail) {
            for look in rule.looks(picture) {
                if !looks.iter().any(|known| known.sees_as_much_as(&look)) {
                    looks.push(look);
                }
            }
        }
        looks
    }

    /// The looks that `detail` makes besides after these looks saw these faces: where one lies, stands on its head or is a
    /// negative, smaller ones may do so too. What a stronger detail saw does not count for a weaker one's looks, so that these stay the same.
    pub fn further(detail: Detail, picture: Size, seen: &[(Self, Vec<Face>)]) -> Vec<Self> {
        let rules = FURTHER.iter().filter(|rule| rule.detail <= detail);
        let looks = rules.flat_map(|rule| {
            let known = move || seen.iter().filter(move |(look, _)| look.detail <= rule.detail);
            let looks = rule.looks(picture).into_iter();
            looks.filter(move |look| is_right(look.view.pose, known))
        });
        looks.collect()
    }

    /// In groups that are made of what the first of them shows, the largest first: what is left for the end is done soon.
    pub fn grouped(looks: Vec<Self>) -> Vec<Vec<Self>> {
        let mut groups: Vec<Vec<Self>> = Vec::new();
        for look in looks {
            match groups.iter_mut().find(|group| group[0].view.gives(&look.view)) {
                Some(group) => group.push(look),
                None => groups.push(vec![look]),
            }
        }
        groups.sort_by_key(|group| Reverse(group[0].view.long_side));
        groups
    }

    /// Whether this look is of use at a picture only where it is in dots.
    pub fn is_for_dots(&self) -> bool {
        self.view.pose == Pose::Descreened
    }

    /// The least score that any sensitivity believes in, at any size.
    pub fn least_score(&self) -> f32 {
        let scores = self.beliefs.iter().flat_map(|belief| belief.least_score);
        scores.reduce(f32::min).unwrap_or(1.0)
    }

    /// Whether a box is of a size that this look is there for: others see the rest better.
    fn is_for(&self, face: &Face) -> bool {
        self.beliefs.iter().any(|belief| belief.is_about(self.px(face)))
    }

    /// The weakest sensitivity that believes in this face.
    pub fn believed_at(&self, face: &Face) -> Option<Sensitivity> {
        let px = self.px(face);
        let mut sensitivities = Sensitivity::value_variants().iter().copied();
        sensitivities.find(|sensitivity| {
            let mut beliefs = self.beliefs.iter().filter(|belief| belief.is_about(px));
            beliefs.any(|belief| face.score >= belief.least_score[*sensitivity as usize])
        })
    }

    /// Of all boxes that the network gives those that this look believes in, the best on each face, clamped to the picture.
    pub fn believed(&self, mut faces: Vec<Face>, picture: Size) -> Vec<Face> {
        faces.retain(|face| face.score >= self.least_score() && self.is_for(face));
        let mut faces = one_each(faces, picture);
        faces.retain(|face| self.believed_at(face).is_some());
        faces
    }

    /// Whether one pass of the network serves both.
    pub fn is_at_the_same_as(&self, other: &Self) -> bool {
        (self.network, self.view) == (other.network, other.view)
    }

    /// Long side in pixels of the upright `picture` in which this look sees all that it can.
    pub fn enough_px(&self, picture: Size) -> u32 {
        (picture.long_side() as f32 * self.view.scale()).ceil() as u32
    }

    fn px(&self, face: &Face) -> f32 {
        face.rect.width.max(face.rect.height) * self.view.scale()
    }

    fn sees_as_much_as(&self, other: &Self) -> bool {
        self.is_at_the_same_as(other) && self.beliefs == other.beliefs
    }
}

impl Belief {
    /// In faces of any size.
    const fn any(least_score: [f32; 3]) -> Self {
        Self::of(0.0, f32::INFINITY, least_score)
    }

    const fn of(least_px: f32, most_px: f32, least_score: [f32; 3]) -> Self {
        Self {
            px: (least_px, most_px),
            least_score,
        }
    }

    fn is_about(&self, px: f32) -> bool {
        (self.px.0..=self.px.1).contains(&px)
    }
}

/// What a detail adds to the weaker ones: a look at the whole picture, or at parts of a strip, or of what is too large to
/// be shown at once.
struct Rule {
    detail: Detail,
    network: Network,
    shown: Shown,
    poses: &'static [Pose],
    beliefs: &'static [Belief],
}

/// How long the long side of a picture is shown.
struct Shown {
    /// At so many times its own size,
    times: f32,
    /// but at least,
    least: u32,
    /// and at most so many pixels, or, of a large one,
    most: u32,
    /// this share, so that the people at its back stay large enough.
    share: f32,
}

impl Rule {
    fn looks(&'static self, picture: Size) -> Vec<Look> {
        let parts = parts(picture).into_iter();
        let views = parts.flat_map(|part| tiles(part, self.shown.long_side(part)));
        let posed = views.flat_map(|view| self.poses.iter().map(move |pose| view.posed(*pose)));
        let looks = posed.map(|view| Look {
            network: self.network,
            view,
            detail: self.detail,
            beliefs: self.beliefs,
        });
        looks.collect()
    }
}

impl Shown {
    const fn at(long_side: u32) -> Self {
        Self::up_to(long_side).at_least(long_side)
    }

    /// At its own size, if it is no larger.
    const fn up_to(most: u32) -> Self {
        Self {
            times: 1.0,
            least: 1,
            most,
            share: 0.0,
        }
    }

    const fn at_least(self, least: u32) -> Self {
        Self { least, ..self }
    }

    const fn enlarged(self, times: f32) -> Self {
        Self { times, ..self }
    }

    const fn or_share(self, share: f32) -> Self {
        Self { share, ..self }
    }

    fn long_side(&self, part: Rect) -> u32 {
        let own = part.width.max(part.height);
        let most = ((own * self.share) as u32).min(LARGEST).max(self.most);
        ((own * self.times) as u32).clamp(self.least, most)
    }
}

/// Whether a face was seen in this pose which no upright look saw as well, those aside that show it larger than it is.
fn is_right<'a, I: Iterator<Item = &'a (Look, Vec<Face>)>>(pose: Pose, seen: impl Fn() -> I) -> bool {
    let faces = |pose| {
        let looks = seen().filter(move |(look, _)| look.view.pose == pose && look.view.scale() <= 1.0);
        looks.flat_map(|(_, faces)| faces)
    };
    faces(pose).any(|face| {
        let mut upright = faces(Pose::Upright);
        !upright.any(|other| other.score >= face.score && other.rect.iou(face.rect) > SAME_FACE)
    })
}

// What each look brings and each score costs was measured with tests/eval/run; its tables are in tests/eval/README.md.
const RULES: &[Rule] = &[
    Rule {
        detail: Detail::Fast,
        network: Network::YuNet,
        shown: Shown::up_to(960),
        poses: &[Pose::Upright],
        beliefs: &[YUNET, Belief::of(24.0, 48.0, SMALL)],
    },
    // For the largest faces: up to one that is larger than the picture.
    Rule {
        detail: Detail::Fast,
        network: Network::YuNet,
        shown: Shown::at(320),
        poses: &[Pose::Upright],
        beliefs: &[Belief::any([0.65, 0.5, 0.4])],
    },
    // Crowds.
    Rule {
        detail: Detail::Thorough,
        network: Network::YuNet,
        shown: CROWD,
        poses: &[Pose::Upright],
        beliefs: &[YUNET, Belief::of(0.0, 48.0, SMALL)],
    },
    // Masks, hoods and blur, of which CenterFace knows more.
    Rule {
        detail: Detail::Thorough,
        network: Network::CenterFace,
        shown: Shown::at(320),
        poses: &[Pose::Upright],
        beliefs: &[
            Belief::any([0.5, 0.3, 0.25]),
            Belief::of(32.0, f32::INFINITY, [0.35, 0.2, 0.15]),
        ],
    },
    // Most pictures are upright and positive, where another pose has only false positives to add.
    Rule {
        detail: Detail::Thorough,
        network: Network::YuNet,
        shown: Shown::up_to(640),
        poses: &POSED,
        beliefs: &[Belief::any([0.9, 0.8, 0.65])],
    },
    // Nets and bars before faces.
    Rule {
        detail: Detail::Thorough,
        network: Network::YuNet,
        shown: Shown::at(320),
        poses: &[Pose::Softened],
        beliefs: &[Belief::any([0.8, 0.65, 0.5])],
    },
    // In dots small faces are as large as a few of them: looked for more and less closely.
    Rule {
        detail: Detail::Thorough,
        network: Network::YuNet,
        shown: CROWD,
        poses: &[Pose::Descreened],
        beliefs: &[YUNET],
    },
    Rule {
        detail: Detail::Thorough,
        network: Network::YuNet,
        shown: Shown::up_to(960),
        poses: &[Pose::Descreened],
        beliefs: &[YUNET],
    },
    // Between upright, lying and overturned ones.
    Rule {
        detail: Detail::Max,
        network: Network::YuNet,
        shown: Shown::up_to(640),
        poses: &SLANTED,
        beliefs: &[Belief::of(0.0, YUNET_MOST_PX, [0.8, 0.7, 0.55])],
    },
    Rule {
        detail: Detail::Max,
        network: Network::YuNet,
        shown: Shown::up_to(2400).enlarged(1.5).or_share(0.5),
        poses: &[Pose::Upright],
        beliefs: &[Belief::of(0.0, YUNET_MOST_PX, [0.6, 0.45, 0.35])],
    },
    Rule {
        detail: Detail::Max,
        network: Network::CenterFace,
        shown: Shown::up_to(960).at_least(640),
        poses: &[Pose::Upright],
        beliefs: &[Belief::any([0.5, 0.35, 0.25])],
    },
    Rule {
        detail: Detail::Max,
        network: Network::YuNet,
        shown: Shown::up_to(1280),
        poses: &TURNED,
        beliefs: &[TURNED_CROWD],
    },
    Rule {
        detail: Detail::Max,
        network: Network::CenterFace,
        shown: Shown::at(320),
        poses: &TURNED,
        beliefs: &[Belief::any([0.7, 0.5, 0.4])],
    },
];

const FURTHER: &[Rule] = &[Rule {
    detail: Detail::Thorough,
    network: Network::YuNet,
    shown: CROWD,
    poses: &POSED,
    beliefs: &[TURNED_CROWD],
}];

/// How a picture is shown in which the smallest faces are looked for: those of ten pixels are seen where they are enlarged.
const CROWD: Shown = Shown::up_to(1920).enlarged(1.5).or_share(0.4);
const TURNED: [Pose; 3] = [Pose::Quarter, Pose::Half, Pose::ThreeQuarters];
const SLANTED: [Pose; 4] = [Pose::Eighth, Pose::ThreeEighths, Pose::FiveEighths, Pose::SevenEighths];
const POSED: [Pose; 4] = [Pose::Quarter, Pose::Half, Pose::ThreeQuarters, Pose::Negative];
const YUNET: Belief = Belief::of(0.0, YUNET_MOST_PX, [0.65, 0.5, 0.4]);
/// Small faces have lower scores, and what is taken for one by mistake is small too.
const SMALL: [f32; 3] = [0.65, 0.4, 0.3];
const TURNED_CROWD: Belief = Belief::of(0.0, YUNET_MOST_PX, [0.85, 0.75, 0.6]);
/// Beyond this YuNet sees faces in clothes and faces in parts of a face.
const YUNET_MOST_PX: f32 = 300.0;
/// Intersection over union from which on two boxes are on the same face.
const SAME_FACE: f32 = 0.3;
/// The long side up to which the share of a large picture grows, in pixels.
const LARGEST: u32 = 4096;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_detail_makes_the_looks_of_the_weaker_ones() {
        for picture in [
            Size::new(300, 200),
            Size::new(1920, 1080),
            Size::new(3000, 4000),
            Size::new(9000, 700),
        ] {
            let [fast, thorough, max] =
                [Detail::Fast, Detail::Thorough, Detail::Max].map(|detail| Look::all(detail, picture));
            assert!(fast.iter().all(|look| thorough.contains(look)));
            assert!(thorough.iter().all(|look| max.contains(look)));
            assert!(fast.len() < thorough.len() && thorough.len() < max.len());
        }
    }

    #[test]
    fn a_higher_sensitivity_believes_lower_scores() {
        for belief in RULES.iter().flat_map(|rule| rule.beliefs) {
            assert!(belief.least_score.is_sorted_by(|low, high| low >= high), "{belief:?}");
        }
    }

    #[test]
    fn every_detail_has_a_look_that_a_face_as_large_as_the_picture_fits() {
        for long_side in [400, 1600, 4000] {
            for detail in Detail::value_variants() {
                let looks = Look::all(*detail, Size::new(long_side, long_side * 3 / 4));
                assert!(
                    looks.iter().any(|look| look.view.long_side <= 320),
                    "{detail} {long_side}"
                );
            }
        }
    }

    #[test]
    fn one_pass_at_a_small_picture_serves_all_that_look_at_it_in_the_same_way() {
        let groups = Look::grouped(Look::all(Detail::Max, Size::new(500, 400)));
        let enlarged = |look: &&Look| look.network == Network::YuNet && look.view.long_side == 750;
        let of_group = |group: &Vec<Look>| group.iter().filter(enlarged).copied().collect::<Vec<_>>();
        let upright = of_group(&groups[0])
            .into_iter()
            .filter(|look| look.view.pose == Pose::Upright);
        let upright: Vec<Look> = upright.collect();
        assert_eq!(upright.len(), 2);
        assert!(upright[0].is_at_the_same_as(&upright[1]));
        assert!(
            groups[1..]
                .iter()
                .flat_map(of_group)
                .all(|look| look.view.pose != Pose::Upright)
        );
    }

    #[test]
    fn the_smallest_view_is_made_of_a_larger_one_and_no_other_is() {
        let groups = |detail| Look::grouped(Look::all(detail, Size::new(1600, 1200))).into_iter();
        let sides = |group: Vec<Look>| group.iter().map(|look| look.view.long_side).collect::<Vec<_>>();
        assert_eq!(groups(Detail::Fast).map(sides).collect::<Vec<_>>(), [[960, 320]]);
        let thorough = groups(Detail::Thorough).map(sides).collect::<Vec<_>>();
        assert_eq!(thorough, [vec![1920; 2], vec![960, 320, 320, 320, 960], vec![640; 4]]);
    }
}
