//! Any text as the options of a request: what a client chooses never hides less than the operator's choice.

use blur_service::{
    codec::Wanted,
    detect::{Detail, Sensitivity},
    keep::Fields,
    marks::Marks,
    options::{Leeway, Options, Profile, Search},
    redact::{Look, Shape},
};

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let Ok(operators) = DEFAULT.with_query(&query(lines.next().unwrap_or_default()), &Leeway::all()) else {
        return;
    };
    let Ok(chosen) = operators.with_query(&query(lines.next().unwrap_or_default()), &Leeway::default()) else {
        return;
    };
    assert!(chosen.detail as u8 >= operators.detail as u8);
    assert!(chosen.sensitivity as u8 >= operators.sensitivity as u8);
    assert!(chosen.effect == Look::Solid || operators.effect != Look::Solid);
    assert!(chosen.animation_effect == Look::Solid || operators.animation_effect != Look::Solid);
    assert!(chosen.profile == Profile::Reencode || operators.profile != Profile::Reencode);
    assert!(chosen.verify() as u8 >= operators.verify() as u8);
    assert_eq!(
        (chosen.detect, &chosen.marks.exclude),
        (operators.detect, &operators.marks.exclude)
    );
    assert_eq!(chosen.keep.first_beyond(&[&operators.keep]), None);
    assert!((operators.margin..=4.0).contains(&chosen.margin));
}

const DEFAULT: Options = Options {
    animation_effect: Look::Solid,
    format: Wanted::Keep,
    quality: None,
    detect: Search::On,
    detail: Detail::Thorough,
    sensitivity: Sensitivity::Normal,
    effect: Look::Smooth,
    shape: Shape::Box,
    profile: Profile::Lossless,
    margin: 1.3,
    verify: None,
    marks: Marks::NONE,
    keep: Fields::NONE,
    report: false,
};

fn query(line: &str) -> Vec<(String, String)> {
    line.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
