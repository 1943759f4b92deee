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
        [("effect", "solid"), ("margin", "2.5"), ("regions", "[[1, 2, 3, 4]]")]
    );
    assert!(super::members("[]").is_err());
}

#[test]
fn what_json_says_twice_is_refused_since_one_of_them_would_be_lost() {
    for (text, said) in [
        (
            r#"{"regions": [[1, 2, 3, 4]], "regions": [[5, 6, 7, 8]]}"#,
            "option `regions` is given more than once",
        ),
        (
            r#"{"effect": "solid", "\u0065ffect": "smooth"}"#,
            "option `effect` is given more than once",
        ),
    ] {
        let error = members(text).unwrap_err();
        assert_eq!((error.status(), error.to_string().as_str()), (400, said));
    }
    let box_with_two_places = r#"{"regions": [{"x": 1, "y": 2, "width": 3, "height": 4, "x": 500}]}"#;
    let error = SET.with_query(&members(box_with_two_places).unwrap(), &Leeway::default());
    assert_eq!(error.unwrap_err().code(), "invalid_option");
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
            "option `format`: `tiff` is not one of keep, jpeg, png, webp, avif",
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
    assert_eq!(with("format=heic", true).unwrap_err().code(), "invalid_option");
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
