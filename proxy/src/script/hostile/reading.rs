//! Texts that mean ill to who reads them, before any of them runs.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::script::{Limits, Program};

#[test]
fn one_that_is_too_deep_or_too_long_is_a_mistake() {
    const TIMES: usize = 5_000;
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("#{a: ", "1", "}"),
        ("trim(", "path", ")"),
        ("if true { ", "1", ""),
        ("if true { 1 } else ", "{ 2 }", ""),
        ("`${", "1", "}`"),
        ("|x| ", "1", ""),
        ("!", "true", ""),
        ("- ", "1", ""),
        ("/*", "", "*/"),
        ("1 + ", "1", ""),
        ("1 ?? ", "1", ""),
        ("2 ** ", "1", ""),
        ("true && ", "true", ""),
        ("true == ", "true", ""),
        ("1 in [1] || ", "true", ""),
        ("path", ".trim()", ".trim()"),
        ("path", "[0]", "[0]"),
        ("switch 1 { _ => ", "1", "}"),
        ("[1, 1, 1, 1, ", "1", "]"),
        ("9", "9", "9"),
        ("\"aaaaaaaaaaaaaaaaaaaa", "", "\""),
        ("{ let x = 1; ", "", "}"),
        ("try { ", "1", "} catch { }"),
    ] {
        let text = format!("{}{middle}{}", open.repeat(TIMES), close.repeat(TIMES));
        reads(&text, &format!("{open}{middle}{close}"));
    }
}

#[test]
fn a_giant_ends() {
    let cases = (0..10_000).fold(String::new(), |mut cases, number| {
        let _ = write!(cases, "{number} => {number}, ");
        cases
    });
    let ranges = (0..2_000).fold(String::new(), |mut cases, number| {
        let _ = write!(cases, "{number}..9000000000000000000 => {number}, ");
        cases
    });
    let functions = (0..2_000).fold(String::new(), |mut functions, number| {
        let _ = write!(functions, "fn f{number}() {{ 1 }} ");
        functions
    });
    let variables = (0..2_000).fold(String::new(), |mut variables, number| {
        let _ = write!(variables, "let v{number} = 1; ");
        variables
    });
    reads(&format!("switch 1 {{ {cases} _ => 1 }}"), "cases");
    reads(&format!("switch 1 {{ {ranges} _ => 1 }}"), "ranges");
    reads(&format!("1 }} {functions} fn more() {{ 1"), "functions");
    reads(&variables, "variables");
}

/// Whatever is said of it: soon, and without the stack's end.
fn reads(text: &str, what: &str) {
    let began = Instant::now();
    let _ = Program::condition(text);
    let _ = Program::hooks(&format!("fn key(request) {{ {text} }}"), &Limits::default());
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{what}: {:?}",
        began.elapsed()
    );
}

#[test]
fn one_that_is_longer_than_any_needs_to_be_is_a_mistake() {
    let long = format!("fn key(request) {{ 1 }} // {}", "x".repeat(256 << 10));
    let mistake = Program::hooks(&long, &Limits::default()).expect_err("too long");
    assert!(mistake.what.contains("longer than 256 KiB"), "{mistake:?}");
}
