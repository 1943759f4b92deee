//! Scripts that mean ill: each is stopped within its limits, and the next one finds all as it was.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Failure, Hook, Kept, Limits, Program, Seen, Store};
use crate::heap;
use crate::request::testing::{ctx, request};

struct Cost {
    time: Duration,
    memory: i64,
}

fn run(body: &str) -> (Result<String, Failure>, Cost) {
    let program = Program::hooks(&format!("{body}\nfn key(request) {{ attack() }}"), &Limits::default());
    let program = program.unwrap_or_else(|mistake| panic!("{body}: {mistake:?}"));
    let (head, ctx, store, settings) = (
        request("GET", "/", &[]),
        ctx("192.0.2.1"),
        Store::default(),
        BTreeMap::new(),
    );
    let kept = Kept {
        store: &store,
        settings: &settings,
    };
    heap::forget_peak();
    let (before, began) = (heap::taken(), Instant::now());
    let result = program.run(Hook::Key, Seen::of(&head, &ctx), kept);
    let cost = Cost {
        time: began.elapsed(),
        memory: heap::peak() - before,
    };
    (result.map(|(value, _)| value.to_string()), cost)
}

/// Each with a word on why it is stopped; without one, it may end well too.
const ATTACKS: &[(&str, &str)] = &[
    ("fn attack() { loop {} }", "limit"),
    ("fn attack() { let x = 0; while true { x += 1; } }", "limit"),
    ("fn attack() { for i in 0..9000000000 { let y = i * i; } }", "limit"),
    ("fn attack() { attack() }", "deeper"),
    (
        "fn a(n) { b(n) + b(n) } fn b(n) { if n == 0 { 1 } else { a(n - 1) } } fn attack() { a(7) + a(7) * a(7) + attack() }",
        "limit",
    ),
    (
        "fn attack() { let s = \"xxxxxxxxxxxxxxxx\"; loop { s += s; } }",
        "too large",
    ),
    ("fn attack() { let s = \"x\"; loop { s = s + s + s; } }", "too large"),
    ("fn attack() { let a = [1]; loop { a += a; } }", "too large"),
    (
        "fn attack() { let a = []; loop { a.push(\"0123456789abcdef0123456789abcdef\"); } }",
        "large",
    ),
    ("fn attack() { let a = []; loop { a = [a, a]; } }", "too large"),
    ("fn attack() { let a = [1]; a.pad(1000000, 7); a.len }", "large"),
    (
        "fn attack() { let m = #{}; let n = 0; loop { n += 1; m[n.to_string()] = n; } }",
        "limit",
    ),
    (
        "fn attack() { let m = #{}; let k = \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"; k += k; k += k; k += k; k += k; k += k; k += k; k += k; let n = 0; loop { n += 1; m[k + n] = n; } }",
        "",
    ),
    (
        "fn attack() { let k = \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"; k += k; k += k; k += k; k += k; k += k; k += k; k += k; let a = []; loop { let m = #{}; m[k + a.len.to_string()] = 1; a.push(m); } }",
        "",
    ),
    (
        "fn attack() { let s = \"aaaaaaaaaaaaaaaa\"; s += s; s += s; s += s; s += s; s += s; s += s; s.replace(\"a\", s).len }",
        "longer",
    ),
    (
        "fn attack() { let s = \",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\"; s += s; s += s; s += s; s += s; s += s; s.split(\",\").len }",
        "parts",
    ),
    (
        "fn attack() { let a = [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]; let s = a[0]; s += s; s += s; s += s; s += s; s += s; s += s; s += s; [s, s, s, s].join(s).len }",
        "l",
    ),
    (
        "fn attack() { let a = []; for i in 0..1000000 { a.push(i); } a.sort(); a.len }",
        "too large",
    ),
    (
        "fn attack() { let a = []; for i in 0..900 { a.push((i * 7919) % 900); } a.sort(|x, y| if x % 2 == 0 { -1 } else { 1 }); a.len }",
        "without a function",
    ),
    (
        "fn attack() { let s = \"a\"; for i in 0..13 { s += s; } let n = 0; for i in 0..1000000 { if s.matches(\"(a+)+b|(a*)*c|[01]*1[01]{20}$\") { n += 1; } } n }",
        "limit",
    ),
    ("fn attack() { let n = 9223372036854775807; n + 1 }", "overflow"),
    ("fn attack() { let n = -9223372036854775807 - 1; n / -1 }", "overflow"),
    ("fn attack() { 1 / 0 }", "zero"),
    ("fn attack() { 1 % 0 }", "zero"),
    ("fn attack() { 2 ** 9000 }", "overflow"),
    ("fn attack() { let a = [1]; a[9000] }", "bounds"),
    ("fn attack() { let a = [1]; a[-9223372036854775807] }", "bounds"),
    ("fn attack() { parse_int(\"99999999999999999999999\") }", "error"),
    ("fn attack() { parse_int(\"1\", 99) }", "radix"),
    ("fn attack() { throw \"me\" }", "me"),
    (
        "fn attack() { let s = `${[[[[1]]]]}`; loop { s = `${s}${s}`; } }",
        "large",
    ),
    ("fn attack() { let f = Fn(\"attack\"); f.call() }", "deeper"),
    ("fn attack() { let a = [1, 2, 3]; a.map(|x| attack()) }", "deeper"),
    (
        "fn attack() { let n = 0; loop { store.set(n.to_string(), \"x\", \"1m\"); n += 1; } }",
        "limit",
    ),
    ("fn attack() { store.set(\"k\", \"v\", \"99999d\") }", "time from"),
    (
        "fn attack() { let s = \"😀\"; s += s; s.sub_string(-5, 9223372036854775807) }",
        "",
    ),
    ("fn attack() { \"é\".index_of(\"\\u0301\") }", ""),
];

#[test]
fn each_is_stopped_within_its_limits() {
    for (script, why) in ATTACKS {
        // The system may let the thread wait meanwhile, which is no time of the script's.
        let tries = (0..5).map(|_| run(script));
        let (result, cost) = tries.min_by_key(|(_, cost)| cost.time).unwrap();
        match &result {
            Err(failure) => {
                let what = failure.what.to_lowercase();
                assert!(!what.contains("panics"), "{script}: {what}");
            }
            Ok(value) => assert!(why.is_empty(), "{script} gives {value}"),
        }
        assert!(cost.time < Duration::from_millis(10), "{script}: {:?}", cost.time);
        assert!(cost.memory < 16 << 20, "{script}: {} bytes", cost.memory);
        assert_eq!(run("fn attack() { 40 + 2 }").0, Ok("42".to_owned()), "after {script}");
    }
}

#[test]
fn one_that_is_too_deep_to_read_is_a_mistake() {
    for text in [
        format!("fn key(request) {{ {}1{} }}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("fn key(request) {{ {}1{} }}", "[".repeat(5_000), "]".repeat(5_000)),
        format!("fn key(request) {{ {} }}", "if true { ".repeat(5_000)),
        format!("fn key(request) {{ 1{} }}", " + 1".repeat(50_000)),
        format!("fn key(request) {{ {}true }}", "!".repeat(50_000)),
    ] {
        let began = Instant::now();
        let _ = Program::hooks(&text, &Limits::default());
        assert!(began.elapsed() < Duration::from_secs(5), "{}", &text[..60]);
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
    let mut state = 0x9e37_79b9_u64;
    let mut next = |most: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
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
