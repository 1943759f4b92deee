//! What may be chosen for one picture, by the operator as defaults and by a client in the query. What hides less than
//! the operator's choice is the operator's to allow.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

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

/// The members of a JSON object, as a query would have them.
///
/// # Errors
/// [`Error::BadRequest`] for any other text.
pub fn members(text: &str) -> Result<Vec<(String, String)>, Error> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        let why = "the options are not a JSON object such as {\"effect\": \"solid\", \"regions\": [[10, 20, 64, 80]]}";
        return Err(Error::BadRequest(why.into()));
    };
    let value = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members.into_iter().map(|(name, is)| (name, value(is))).collect())
}

/// A margin from 1 (the face's box itself) to 4.
///
/// # Errors
/// What was expected instead.
pub fn parse_margin(value: &str) -> Result<f32, String> {
    let margin: Option<f32> = value.parse().ok();
    margin
        .filter(|margin| (1.0..=4.0).contains(margin))
        .ok_or_else(|| "a number from 1 to 4".to_owned())
}

fn parse_format(value: &str) -> Result<Wanted, Error> {
    if value == "avif" || value == "heic" {
        let expected = "written: it is read, but to write it takes seconds a picture; there are keep, jpeg, png, webp";
        return Err(invalid("format", value, expected.to_owned()));
    }
    parse("format", value)
}

fn parse_quality(value: &str) -> Result<u8, Error> {
    let quality: Option<u8> = value.parse().ok();
    let quality = quality.filter(|quality| (1..=100).contains(quality));
    quality.ok_or_else(|| invalid("quality", value, "a whole number from 1 to 100".to_owned()))
}

fn parse<T: ValueEnum>(name: &'static str, value: &str) -> Result<T, Error> {
    T::from_str(value, false).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(T::to_possible_value)
            .map(|v| v.get_name().to_owned())
            .collect();
        invalid(name, value, format!("one of {}", names.join(", ")))
    })
}

/// A value as it is written.
pub fn name_of(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn invalid(name: &'static str, value: &str, expected: String) -> Error {
    Error::InvalidOption {
        name,
        value: shortened(value),
        expected,
    }
}

fn unknown(name: &str) -> Error {
    if name == "report" {
        let why = "the report has a path of its own: POST /v1/blur/report, or `Accept: multipart/mixed` for picture and report";
        return Error::BadRequest(why.into());
    }
    let nearest = Options::NAMES
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map(|(_, known)| known);
    Error::UnknownOption {
        name: shortened(name),
        nearest,
        known: Options::NAMES.join(", "),
    }
}

/// Lists, of which one may be given in pieces.
const ADD_UP: [&str; 2] = ["regions", "exclude"];

/// What a client sent is given back in part only.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SET: Options = Options {
        detect: Search::On,
        detail: Detail::Thorough,
        sensitivity: Sensitivity::Normal,
        effect: Look::Smooth,
        animation_effect: Look::Solid,
        format: Wanted::Keep,
        quality: None,
        shape: Shape::Box,
        profile: Profile::Lossless,
        margin: 1.3,
        verify: None,
        marks: Marks::NONE,
        keep: Fields::NONE,
        report: false,
    };

    #[test]
    fn what_hides_more_is_anyones_to_choose() {
        let chosen = with(
            "detail=max&sensitivity=high&effect=solid&profile=reencode&margin=1.5",
            false,
        )
        .unwrap();
        assert_eq!(
            chosen,
            Options {
                detail: Detail::Max,
                sensitivity: Sensitivity::High,
                effect: Look::Solid,
                profile: Profile::Reencode,
                margin: 1.5,
                ..SET
            }
        );
        assert_eq!(with("effect=mosaic", false).unwrap().effect, Look::Mosaic);
        assert_eq!(with("shape=ellipse", false).unwrap().shape, Shape::Ellipse);
    }

    #[test]
    fn what_hides_less_is_the_operators_to_allow() {
        for weaker in ["detail=fast", "sensitivity=low", "margin=1.1", "verify=off"] {
            assert_eq!(
                with(weaker, false).unwrap_err().code(),
                "option_not_allowed",
                "{weaker}"
            );
            assert!(with(weaker, true).is_ok(), "{weaker}");
        }
        let solid = Options {
            effect: Look::Solid,
            ..SET
        };
        assert!(
            solid
                .with_query(&[("effect".into(), "smooth".into())], &Leeway::default())
                .is_err()
        );
        let reencode = Options {
            profile: Profile::Reencode,
            ..SET
        };
        assert!(
            reencode
                .with_query(&[("profile".into(), "lossless".into())], &Leeway::default())
                .is_err()
        );
    }

    #[test]
    fn the_second_look_follows_the_detail_unless_it_is_chosen() {
        assert_eq!(SET.verify(), Verify::Regions);
        assert_eq!(with("detail=fast", true).unwrap().verify(), Verify::Off);
        assert_eq!(with("verify=whole", false).unwrap().verify(), Verify::Whole);
        let whole = Options {
            verify: Some(Verify::Whole),
            ..SET
        };
        assert!(
            whole
                .with_query(&[("verify".into(), "regions".into())], &Leeway::default())
                .is_err()
        );
    }

    #[test]
    fn what_the_file_says_is_kept_where_the_operator_allows_it() {
        let leeway = Leeway {
            keep: "copyright,credit".parse().unwrap(),
            ..Leeway::default()
        };
        let ask = |keep: &str| SET.with_query(&[("keep".into(), keep.into())], &leeway);
        assert_eq!(ask("credit").unwrap().keep, "credit".parse().unwrap());
        assert!(ask("").is_ok());
        let refused = ask("credit,gps").unwrap_err();
        assert_eq!(
            (refused.status(), refused.to_string().as_str()),
            (
                403,
                "option `keep`: `gps` is not kept by this service; it is the operator's to allow, by --allow-keep"
            )
        );
        assert_eq!(ask("all").unwrap_err().code(), "invalid_option");
        let own = Options {
            keep: "gps".parse().unwrap(),
            ..SET
        };
        assert!(
            own.with_query(&[("keep".into(), "gps".into())], &Leeway::default())
                .is_ok()
        );
        assert!(
            own.with_query(&[("keep".into(), "".into())], &Leeway::default())
                .unwrap()
                .keep
                .is_empty()
        );
    }

    #[test]
    fn json_says_what_a_query_would() {
        let members = members(r#"{"effect": "solid", "margin": 2.5, "regions": [[1, 2, 3, 4]]}"#).unwrap();
        let told: Vec<_> = members
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            told,
            [("effect", "solid"), ("margin", "2.5"), ("regions", "[[1,2,3,4]]")]
        );
        assert!(super::members("[]").is_err());
    }

    #[test]
    fn faces_are_spared_only_where_the_operator_allows_it() {
        for query in ["exclude=0", "exclude=10,20,30,40", "exclude=[0]", "detect=off"] {
            let refused = with(query, false).unwrap_err();
            assert_eq!(
                (refused.status(), refused.code()),
                (403, "option_not_allowed"),
                "{query}"
            );
            assert!(refused.to_string().ends_with("by --allow-exclude"), "{refused}");
            assert!(with(query, true).is_ok(), "{query}");
        }
        assert!(with("exclude=[]", false).is_ok());
        assert!(with("regions=10,20,30,40", false).is_ok());
        let only_weaker = Leeway {
            weaker: true,
            ..Leeway::default()
        };
        assert!(SET.with_query(&[("exclude".into(), "0".into())], &only_weaker).is_err());
        assert_eq!(with("detect=off&verify=whole", true).unwrap().verify(), Verify::Off);
    }

    #[test]
    fn what_makes_more_work_than_the_operator_allows_is_refused() {
        let leeway = Leeway {
            most_detail: Some(Detail::Thorough),
            most_verify: Some(Verify::Regions),
            ..Leeway::default()
        };
        let ask = |set: &Options, name: &str, value: &str| set.with_query(&[(name.into(), value.into())], &leeway);
        assert_eq!(
            ask(&SET, "detail", "max").unwrap_err().to_string(),
            "option `detail`: `max` makes more work than this service allows, which is `thorough` at most"
        );
        assert_eq!(ask(&SET, "verify", "whole").unwrap_err().code(), "option_too_dear");
        assert!(ask(&SET, "detail", "thorough").is_ok());
        let own = Options {
            detail: Detail::Max,
            ..SET
        };
        assert!(
            ask(&own, "detail", "max").is_ok(),
            "what the operator has chosen is allowed"
        );
    }

    #[test]
    fn marks_may_come_in_pieces() {
        let chosen = with("regions=1,2,3,4&regions=[[5,6,7,8]]", false).unwrap();
        assert_eq!(chosen, with("regions=1,2,3,4;5,6,7,8", false).unwrap());
        let many = format!("regions={}", ["1,2,3,4"; 300].join(";"));
        assert_eq!(with(&many, false).unwrap_err().code(), "too_many_parts");
    }

    #[test]
    fn a_typo_is_never_a_default() {
        assert_eq!(
            with("efect=solid", false).unwrap_err().to_string(),
            "unknown option `efect`; did you mean `effect`?"
        );
        assert_eq!(with("effect=blurry", false).unwrap_err().code(), "invalid_option");
        assert_eq!(with("margin=NaN", true).unwrap_err().code(), "invalid_option");
    }

    #[test]
    fn a_mistake_says_what_may_be_written() {
        for (query, said) in [
            ("margin=5", "option `margin`: `5` is not a number from 1 to 4"),
            ("verify=no", "option `verify`: `no` is not one of off, regions, whole"),
            ("quality=0", "option `quality`: `0` is not a whole number from 1 to 100"),
            (
                "quality=101",
                "option `quality`: `101` is not a whole number from 1 to 100",
            ),
            (
                "format=tiff",
                "option `format`: `tiff` is not one of keep, jpeg, png, webp",
            ),
            (
                "regions=1,2,3",
                "option `regions`: `1,2,3` is not boxes like 10,20,64,80;200,20,64,80 (x, y, width, height in upright pixels) \
                 or a JSON array of boxes as /v1/detect gives them",
            ),
            (
                "exclude=-1",
                "option `exclude`: `-1` is not boxes or indices of /v1/detect, like 0;200,20,64,80, or a JSON array of them",
            ),
        ] {
            assert_eq!(with(query, true).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn an_option_given_twice_is_refused() {
        let error = with("effect=solid&margin=2&effect=smooth", true).unwrap_err();
        assert_eq!(
            (error.status(), error.to_string().as_str()),
            (400, "option `effect` is given more than once")
        );
    }

    #[test]
    fn an_animation_stays_solid_unless_the_operator_allows_more() {
        assert_eq!(with("effect=mosaic", false).unwrap().animation_effect, Look::Solid);
        assert_eq!(with("effect=mosaic", true).unwrap().animation_effect, Look::Mosaic);
        assert_eq!(with("format=avif", true).unwrap_err().code(), "invalid_option");
    }

    fn with(query: &str, weaker_allowed: bool) -> Result<Options, Error> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, v)| (n.into(), v.into()))
            .collect();
        let leeway = if weaker_allowed {
            Leeway::all()
        } else {
            Leeway::default()
        };
        SET.with_query(&pairs, &leeway)
    }
}
