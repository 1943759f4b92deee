//! What may be chosen for one picture, by the operator as defaults and by a client in the query. What hides less than
//! the operator's choice is the operator's to allow.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    codec::Wanted,
    detect::{Detail, Sensitivity},
    error::Error,
    redact::Look,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub detail: Detail,
    pub sensitivity: Sensitivity,
    pub effect: Look,
    /// How hidden faces look in an animation, whose frames tell more together than each of them.
    pub animation_effect: Look,
    /// What the answer is written as.
    pub format: Wanted,
    /// 1 to 100, where the answer is coded anew and with loss; unless chosen, that of the picture.
    pub quality: Option<u8>,
    pub profile: Profile,
    /// How many times wider and higher than the face's box the hidden region is.
    pub margin: f32,
    /// What is looked at again before the picture is written; if nothing is chosen, what `detail` suggests.
    pub verify: Option<Verify>,
    /// Whether the answer is a report with the picture inside.
    pub report: bool,
}

/// What the detector looks at again once the faces are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
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
        (self as u8) < other as u8
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
    pub const NAMES: [&'static str; 9] = [
        "detail",
        "sensitivity",
        "effect",
        "format",
        "quality",
        "profile",
        "margin",
        "verify",
        "report",
    ];

    /// What is looked at again. Unless it was chosen, that which takes less than a tenth of the work.
    pub fn verify(&self) -> Verify {
        self.verify.unwrap_or(match self.detail {
            Detail::Fast => Verify::Off,
            Detail::Thorough | Detail::Max => Verify::Regions,
        })
    }

    /// The operator's choice with a client's upon it; `query` is decoded names and values.
    ///
    /// # Errors
    /// [`Error::UnknownOption`], [`Error::InvalidOption`]; [`Error::OptionNotAllowed`] for what would hide less,
    /// unless `weaker_allowed`.
    pub fn with_query(self, query: &[(String, String)], weaker_allowed: bool) -> Result<Self, Error> {
        let mut chosen = self;
        for (index, (name, value)) in query.iter().enumerate() {
            if query[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::RepeatedOption { name: shortened(name) });
            }
            let weaker = match name.as_str() {
                "detail" => {
                    chosen.detail = parse("detail", value)?;
                    (chosen.detail as u8) < self.detail as u8
                }
                "sensitivity" => {
                    chosen.sensitivity = parse("sensitivity", value)?;
                    (chosen.sensitivity as u8) < self.sensitivity as u8
                }
                "effect" => {
                    chosen.effect = parse("effect", value)?;
                    let is_weaker_in_animations = chosen.effect.is_weaker_than(self.animation_effect);
                    if weaker_allowed || !is_weaker_in_animations {
                        chosen.animation_effect = chosen.effect;
                    }
                    chosen.effect.is_weaker_than(self.effect)
                }
                "profile" => {
                    chosen.profile = parse("profile", value)?;
                    chosen.profile.is_weaker_than(self.profile)
                }
                "format" => {
                    chosen.format = parse_format(value)?;
                    false
                }
                "quality" => {
                    chosen.quality = Some(parse_quality(value)?);
                    false
                }
                "margin" => {
                    chosen.margin = parse_margin(value).map_err(|expected| invalid("margin", value, expected))?;
                    chosen.margin < self.margin
                }
                "verify" => {
                    chosen.verify = Some(parse("verify", value)?);
                    chosen.verify().is_weaker_than(self.verify())
                }
                "report" => {
                    chosen.report = value
                        .parse()
                        .map_err(|_| invalid("report", value, "true or false".into()))?;
                    false
                }
                _ => return Err(unknown(name)),
            };
            if weaker && !weaker_allowed {
                let name = Self::NAMES.into_iter().find(|known| known == name).unwrap_or("option");
                return Err(Error::OptionNotAllowed { name });
            }
        }
        Ok(chosen)
    }
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

fn invalid(name: &'static str, value: &str, expected: String) -> Error {
    Error::InvalidOption {
        name,
        value: shortened(value),
        expected,
    }
}

fn unknown(name: &str) -> Error {
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

/// What a client sent is given back in part only.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SET: Options = Options {
        detail: Detail::Thorough,
        sensitivity: Sensitivity::Normal,
        effect: Look::Smooth,
        animation_effect: Look::Solid,
        format: Wanted::Keep,
        quality: None,
        profile: Profile::Lossless,
        margin: 1.3,
        verify: None,
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
        assert!(solid.with_query(&[("effect".into(), "smooth".into())], false).is_err());
        let reencode = Options {
            profile: Profile::Reencode,
            ..SET
        };
        assert!(
            reencode
                .with_query(&[("profile".into(), "lossless".into())], false)
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
        assert!(whole.with_query(&[("verify".into(), "regions".into())], false).is_err());
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
            ("report=yes", "option `report`: `yes` is not true or false"),
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
        SET.with_query(&pairs, weaker_allowed)
    }
}
