//! What may be chosen for one picture, by the operator as defaults and by a client in the query. What hides less than
//! the operator's choice is the operator's to allow.

use std::fmt;

use clap::ValueEnum;

use crate::{
    detect::{Detail, Sensitivity},
    error::Error,
    redact::Look,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub detail: Detail,
    pub sensitivity: Sensitivity,
    pub effect: Look,
    pub profile: Profile,
    /// How many times wider and higher than the face's box the hidden region is.
    pub margin: f32,
}

/// What the answer keeps of a JPEG beside its faces; other formats are always written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Every coded block outside the faces, exactly, where the file is of a kind that allows it.
    Lossless,
    /// What is seen: pixels under fresh tables, which drops the camera's fingerprint.
    Reencode,
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
    pub const NAMES: [&'static str; 5] = ["detail", "sensitivity", "effect", "profile", "margin"];

    /// The operator's choice with a client's upon it; `query` is decoded names and values.
    ///
    /// # Errors
    /// [`Error::UnknownOption`], [`Error::InvalidOption`]; [`Error::OptionNotAllowed`] for what would hide less,
    /// unless `weaker_allowed`.
    pub fn with_query(self, query: &[(String, String)], weaker_allowed: bool) -> Result<Self, Error> {
        let mut chosen = self;
        for (name, value) in query {
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
                    chosen.effect.is_weaker_than(self.effect)
                }
                "profile" => {
                    chosen.profile = parse("profile", value)?;
                    chosen.profile.is_weaker_than(self.profile)
                }
                "margin" => {
                    chosen.margin = parse_margin(value).map_err(|expected| invalid("margin", value, expected))?;
                    chosen.margin < self.margin
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

fn parse<T: ValueEnum>(name: &'static str, value: &str) -> Result<T, Error> {
    T::from_str(value, false).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(T::to_possible_value)
            .map(|v| v.get_name().to_owned())
            .collect();
        invalid(name, value, names.join(", "))
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
        profile: Profile::Lossless,
        margin: 1.3,
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
                margin: 1.5
            }
        );
        assert_eq!(with("effect=mosaic", false).unwrap().effect, Look::Mosaic);
    }

    #[test]
    fn what_hides_less_is_the_operators_to_allow() {
        for weaker in ["detail=fast", "sensitivity=low", "margin=1.1"] {
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
    fn a_typo_is_never_a_default() {
        assert_eq!(
            with("efect=solid", false).unwrap_err().to_string(),
            "unknown option `efect`; did you mean `effect`?"
        );
        assert_eq!(with("effect=blurry", false).unwrap_err().code(), "invalid_option");
        assert_eq!(with("margin=NaN", true).unwrap_err().code(), "invalid_option");
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
