//! What may be chosen for one picture, by the operator as defaults and by a client in the query. What hides less than
//! the operator's choice is the operator's to allow.

#[cfg(test)]
mod tests;
mod written;

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use self::written::{invalid, parse, parse_format, parse_quality, shortened, unknown};
pub use self::written::{members, name_of, parse_margin};
use crate::{
    codec::Wanted,
    detect::{Detail, Sensitivity},
    error::Error,
    keep::Fields,
    marks::{Marks, parse_exclude, parse_regions},
    redact::{Effect, Look, Shape},
};

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Whether faces are looked for at all; if not, only the marked regions are hidden.
    pub detect: Search,
    pub detail: Detail,
    pub sensitivity: Sensitivity,
    pub effect: Look,
    /// How hidden faces look in an animation, whose frames tell more together than each of them.
    pub animation_effect: Look,
    /// What the answer is written as.
    pub format: Wanted,
    /// 1 to 100, where the answer is coded anew and with loss; unless chosen, that of the picture.
    pub quality: Option<u8>,
    pub shape: Shape,
    pub profile: Profile,
    /// How many times wider and higher than the face's box the hidden region is.
    pub margin: f32,
    /// What is looked at again before the picture is written; if nothing is chosen, what `detail` suggests.
    pub verify: Option<Verify>,
    /// What a person has marked in this picture.
    pub marks: Marks,
    /// What the file says in words and is written anew.
    pub keep: Fields,
    /// Whether it shall be told what the file held beside the picture.
    pub report: bool,
}

/// What clients may choose beside what hides more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leeway {
    /// What hides less than the operator's choice.
    pub weaker: bool,
    /// Faces to spare.
    pub exclude: bool,
    /// The closest search, and second look, that a client may choose where the operator's own is not closer.
    pub most_detail: Option<Detail>,
    pub most_verify: Option<Verify>,
    /// What may be kept beside what the operator keeps.
    pub keep: Fields,
}

/// Whether the detector looks for faces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Search {
    #[default]
    On,
    Off,
}

/// What the detector looks at again once the faces are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    Off,
    /// The hidden regions and what is about them, quickly.
    Regions,
    /// The whole picture, as closely as the first time.
    Whole,
}

/// What the answer keeps of a JPEG beside its faces; other formats are always written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Every coded block outside the faces, exactly, where the file is of a kind that allows it.
    Lossless,
    /// What is seen: pixels under fresh tables, which drops the camera's fingerprint.
    Reencode,
}

impl Verify {
    fn is_weaker_than(self, other: Self) -> bool {
        self < other
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lossless => "lossless",
            Self::Reencode => "reencode",
        })
    }
}

impl Profile {
    /// Whether choosing `self` where `other` is set keeps more of where the picture comes from: tables and exact
    /// coefficients tell the camera.
    fn is_weaker_than(self, other: Self) -> bool {
        (self, other) == (Self::Lossless, Self::Reencode)
    }
}

impl Options {
    pub const NAMES: [&'static str; 13] = [
        "detect",
        "detail",
        "sensitivity",
        "effect",
        "format",
        "quality",
        "shape",
        "profile",
        "margin",
        "verify",
        "regions",
        "exclude",
        "keep",
    ];

    /// What is looked at again: nothing where nothing was looked for. Unless it was chosen, that which takes less than a
    /// tenth of the work.
    pub fn verify(&self) -> Verify {
        if self.detect == Search::Off {
            return Verify::Off;
        }
        self.verify.unwrap_or(match self.detail {
            Detail::Fast => Verify::Off,
            Detail::Thorough | Detail::Max => Verify::Regions,
        })
    }

    /// What is painted over the faces.
    pub fn look(&self) -> &'static dyn Effect {
        self.effect.shaped(self.shape)
    }

    /// The operator's choice with a client's upon it; `query` is decoded names and values. Marks may be given several times
    /// and add up.
    ///
    /// # Errors
    /// [`Error::UnknownOption`], [`Error::InvalidOption`]; [`Error::OptionNotAllowed`] for what would hide less,
    /// unless `leeway` has it.
    pub fn with_query(&self, query: &[(String, String)], leeway: &Leeway) -> Result<Self, Error> {
        let mut chosen = self.clone();
        for (index, (name, value)) in query.iter().enumerate() {
            let Some(name) = Self::NAMES.into_iter().find(|known| known == name) else {
                return Err(unknown(name));
            };
            let is_repeated = query[..index].iter().any(|(earlier, _)| earlier == name);
            if is_repeated && !ADD_UP.contains(&name) {
                return Err(Error::RepeatedOption { name });
            }
            chosen.choose(name, value)?;
            if name == "effect" && (leeway.weaker || !chosen.effect.is_weaker_than(self.animation_effect)) {
                chosen.animation_effect = chosen.effect;
            }
            chosen.check_cost(name, value, self, leeway)?;
            if let Some(field) = chosen.keep.first_beyond(&[&self.keep, &leeway.keep]) {
                return Err(Error::KeepNotAllowed {
                    field: field.to_string(),
                });
            }
            if !leeway.allows(name) && chosen.is_weaker_in(name, self) {
                return Err(Error::OptionNotAllowed {
                    name,
                    by: leeway_for(name),
                });
            }
        }
        Ok(chosen)
    }

    fn choose(&mut self, name: &'static str, value: &str) -> Result<(), Error> {
        let expects = |expected: String| invalid(name, value, expected);
        match name {
            "detect" => self.detect = parse(name, value)?,
            "detail" => self.detail = parse(name, value)?,
            "sensitivity" => self.sensitivity = parse(name, value)?,
            "effect" => self.effect = parse(name, value)?,
            "format" => self.format = parse_format(value)?,
            "quality" => self.quality = Some(parse_quality(value)?),
            "shape" => self.shape = parse(name, value)?,
            "profile" => self.profile = parse(name, value)?,
            "margin" => self.margin = parse_margin(value).map_err(expects)?,
            "verify" => self.verify = Some(parse(name, value)?),
            "regions" => self.marks.add_regions(parse_regions(value).map_err(expects)?)?,
            "keep" => self.keep = value.parse().map_err(expects)?,
            "exclude" => self.marks.add_exclude(parse_exclude(value).map_err(expects)?)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// Whether an option makes no more work than the operator allows, or has chosen.
    fn check_cost(&self, name: &'static str, value: &str, set: &Self, leeway: &Leeway) -> Result<(), Error> {
        let most = match name {
            "detail" => leeway
                .most_detail
                .map(|most| if set.detail > most { set.detail } else { most })
                .filter(|most| self.detail > *most)
                .map(name_of),
            "verify" => leeway
                .most_verify
                .map(|most| if set.verify() > most { set.verify() } else { most })
                .filter(|most| self.verify() > *most)
                .map(name_of),
            _ => None,
        };
        match most {
            Some(most) => Err(Error::OptionTooDear {
                name,
                value: shortened(value),
                most,
            }),
            None => Ok(()),
        }
    }

    /// Whether less is hidden, or more is kept, by this option than by `set`'s.
    fn is_weaker_in(&self, name: &str, set: &Self) -> bool {
        match name {
            "detect" => self.detect == Search::Off && set.detect == Search::On,
            "detail" => (self.detail as u8) < set.detail as u8,
            "sensitivity" => (self.sensitivity as u8) < set.sensitivity as u8,
            "effect" => self.effect.is_weaker_than(set.effect),
            "profile" => self.profile.is_weaker_than(set.profile),
            "margin" => self.margin < set.margin,
            "verify" => self.verify().is_weaker_than(set.verify()),
            "exclude" => self.marks.exclude != set.marks.exclude,
            _ => false,
        }
    }
}

impl Leeway {
    /// All that an operator can allow.
    pub fn all() -> Self {
        Self {
            weaker: true,
            exclude: true,
            most_detail: None,
            most_verify: None,
            keep: Fields::all(),
        }
    }

    fn allows(&self, name: &str) -> bool {
        match name {
            "exclude" => self.exclude,
            // Who may spare each face may as well have none looked for.
            "detect" => self.weaker || self.exclude,
            _ => self.weaker,
        }
    }
}

/// The flag by which the operator allows it.
fn leeway_for(name: &str) -> &'static str {
    match name {
        "exclude" | "detect" => "--allow-exclude",
        _ => "--allow-client-options",
    }
}

/// Lists, of which one may be given in pieces.
const ADD_UP: [&str; 2] = ["regions", "exclude"];
