//! Scripts that mean ill: each is stopped within its limits, and the next one finds all as it was.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pingora::http::RequestHeader;

use super::{Failure, Hook, Kept, Limits, Mistake, Program, Seen, Store};
use crate::chance;
use crate::heap;
use crate::request::testing::{ctx, request};

mod every_function;
mod reading;

struct Cost {
    time: Duration,
    memory: i64,
}

fn run(body: &str, limits: &Limits) -> (Result<String, Failure>, Cost) {
    let program = read(body, limits).unwrap_or_else(|mistake| panic!("{body}: {mistake:?}"));
    run_read(&program)
}

/// Functions, of which `attack()` is to be called.
fn read(body: &str, limits: &Limits) -> Result<Program, Mistake> {
    Program::hooks(&format!("{body}\nfn key(request) {{ attack() }}"), limits)
}

fn run_read(program: &Program) -> (Result<String, Failure>, Cost) {
    static HEAD: OnceLock<RequestHeader> = OnceLock::new();
    let head = HEAD.get_or_init(|| {
        let (long, list) = ("a".repeat(16_000), ["0123456789abcde"; 900].join(","));
        let fields = [("x-long", &*long), ("x-list", &list), ("x-mixed", &mixed(16_000))];
        request("GET", "/", &fields)
    });
    let (ctx, store, settings) = (ctx("192.0.2.1"), Store::default(), BTreeMap::new());
    let kept = Kept {
        store: &store,
        settings: &settings,
    };
    heap::forget_peak();
    let (before, began) = (heap::taken(), Instant::now());
    let result = program.run(Hook::Key, Seen::of(head, &ctx), kept);
    let cost = Cost {
        time: began.elapsed(),
        memory: heap::peak() - before,
    };
    (result.map(|(value, _)| value.to_string()), cost)
}

/// Letters a and b in no order.
pub fn mixed(length: usize) -> String {
    let mut next = chance::bits(1);
    let letters = (0..length).map(|_| if next() >> 60 & 1 == 0 { 'a' } else { 'b' });
    letters.collect()
}

/// Each with a word on why it is stopped; without one, it may end well too. `tests/bench/hostile` sends them to Veil itself.
fn attacks() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("attacks.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(" | ").unwrap())
}

#[test]
fn each_is_stopped_within_its_limits() {
    each_is_stopped(&Limits::default());
}

#[test]
fn each_is_stopped_within_the_highest_limits() {
    let highest =
        "{ operations: 1000000, call_depth: 24, string: 1MiB, array: 10000, map: 10000, memory: 16MiB, time: 10ms }";
    each_is_stopped(&serde_yaml::from_str(highest).unwrap());
}

fn each_is_stopped(limits: &Limits) {
    for (why, script) in attacks() {
        let (result, cost) = run(script, limits);
        match &result {
            Err(failure) => {
                let what = failure.what.to_lowercase();
                assert!(!what.contains("panics"), "{script}: {what}");
            }
            Ok(value) => assert!(why == "-" || *limits != Limits::default(), "{script} gives {value}"),
        }
        // How long it really takes shows the benchmark; this is for what is not stopped at all.
        assert!(cost.time < Duration::from_secs(5), "{script}: {:?}", cost.time);
        assert!(cost.memory < 17 << 20, "{script}: {} bytes", cost.memory);
        assert_eq!(
            run("fn attack() { 40 + 2 }", limits).0,
            Ok("42".to_owned()),
            "after {script}"
        );
    }
}

#[test]
fn what_there_is_not_is_a_mistake_where_it_stands() {
    for (text, line, column, part) in [
        ("fn key(request) {\n  headr(\"x\")\n}", 2, 3, "did you mean \"header\""),
        ("fn key(request) { request.pth }", 1, 27, "did you mean \"path\""),
        ("fn key(request) { clint }", 1, 19, "did you mean \"client\""),
        ("fn key(request) { header() }", 1, 19, "takes"),
        (
            "fn key(request) { path.matches(\"(\") }",
            1,
            32,
            "not a regular expression",
        ),
        ("fn key(request) { path.matches(host) }", 1, 32, "while it runs"),
        (
            "fn key(request) { client in cidr(\"10.0.0.0/99\") }",
            1,
            29,
            "10.0.0.0/99",
        ),
        ("fn key(request) { eval(\"1\") }", 1, 19, "eval"),
        ("fn key(request) { sleep(5) }", 1, 19, "no function \"sleep\""),
        ("fn key(request) { import \"x\" as y; }", 1, 19, ""),
        ("fn key() { 1 }", 1, 1, "write fn key(request)"),
        ("fn on_requst(request) { 1 }", 1, 1, "did you mean \"on_request\""),
        ("let x = 1;", 1, 1, "outside of functions"),
        ("fn helper() { 1 }", 1, 1, "none of the functions"),
        ("fn key(request) { 1 + }", 1, 23, ""),
    ] {
        let mistake = Program::hooks(text, &Limits::default()).expect_err(text);
        assert!(mistake.what.contains(part), "{text}: {mistake:?}");
        assert_eq!((mistake.line, mistake.column), (line, column), "{text}: {mistake:?}");
    }
    for (text, part) in [
        ("request.path == \"/\"", "no \"request\""),
        ("store.get(\"a\") == \"\"", "no \"store\""),
        ("let x = 1", ""),
        ("path = 1", ""),
    ] {
        let mistake = Program::condition(text).expect_err(text);
        assert!(mistake.what.contains(part), "{text}: {mistake:?}");
    }
}

/// Words of the language and of its library, put together at random: whatever is read also ends.
#[test]
fn what_makes_no_sense_ends_too() {
    const WORDS: &[&str] = &[
        "fn key(request) {",
        "}",
        "(",
        ")",
        "[",
        "]",
        "if",
        "else",
        "{",
        "while",
        "true",
        "loop",
        "let",
        "x",
        "=",
        "+",
        "*",
        "x",
        "1",
        "9223372036854775807",
        "\"a\"",
        "`${x}`",
        ";",
        ";",
        ".len",
        ".split(\",\")",
        "for i in 0..",
        "return",
        "throw",
        "request",
        ".header(\"x\")",
        "store.count(x, \"1m\")",
        "#{a: x}",
        "|x| x",
        ".map(|x| x + 1)",
        "==",
        "in",
        "path",
        "&&",
        "!",
        "-",
        "x += x;",
        "break",
        "switch x {",
        "=>",
        "_",
        "Fn(\"key\")",
        "try {",
        "catch",
        "sha256(x)",
        ".replace(\"a\", x)",
        "?.",
        "??",
        "<<",
        "**",
    ];
    let mut next = chance::below(0x9e37_79b9);
    let (head, ctx, store, settings) = (
        request("GET", "/a?b=c", &[("x", "y")]),
        ctx("192.0.2.1"),
        Store::default(),
        BTreeMap::new(),
    );
    let (seen, mut ran) = (Seen::of(&head, &ctx), 0);
    for _ in 0..20_000 {
        let words: Vec<&str> = (0..next(12) + 1).map(|_| WORDS[next(WORDS.len())]).collect();
        let text = format!("fn key(request) {{ let x = request.path; {} }}", words.join(" "));
        let _ = Program::condition(&words.join(" ")).map(|condition| condition.holds(seen));
        let Ok(program) = Program::hooks(&text, &Limits::default()) else {
            continue;
        };
        ran += 1;
        let kept = Kept {
            store: &store,
            settings: &settings,
        };
        if let Err(failure) = program.run(Hook::Key, seen, kept) {
            assert!(!failure.what.starts_with("panics"), "{text}: {failure}");
        }
    }
    assert!(ran > 200, "{ran} of them could be read");
}

/// As deep as may be written, in functions that call one another as deep as may be: a thread's stack has to bear it.
#[test]
fn the_deepest_that_is_read_fits_on_a_stack() {
    let limits: Limits = serde_yaml::from_str("{ call_depth: 24 }").unwrap();
    let (head, ctx, store, settings) = (
        request("GET", "/", &[]),
        ctx("192.0.2.1"),
        Store::default(),
        BTreeMap::new(),
    );
    let mut read = 0;
    for depth in (2..40).rev() {
        for (open, close) in [
            ("1 + (", ")"),
            ("[", "][0]"),
            ("if true { ", " }"),
            ("[1].map(|x| ", ")"),
            ("#{a: ", "}.a"),
            ("-(", ")"),
        ] {
            let text = format!(
                "fn key(request) {{ deep() }}\nfn deep() {{ {}deep(){} }}",
                open.repeat(depth),
                close.repeat(depth)
            );
            let Ok(program) = Program::hooks(&text, &limits) else {
                continue;
            };
            read += 1;
            let kept = Kept {
                store: &store,
                settings: &settings,
            };
            assert!(program.run(Hook::Key, Seen::of(&head, &ctx), kept).is_err(), "{text}");
        }
    }
    assert!(read > 40, "{read}");
}
