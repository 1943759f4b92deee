//! Every function that there is, with values that it was not made for.

use std::time::Duration;

use super::{Limits, read, run_read};
use crate::script::engine::engine;

const VALUES: &[&str] = &[
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "long",
    "list",
    "0..9000000000",
    "(|x| x)",
    "()",
    "0",
    "-1",
    "\"\"",
    "\"\\u00e9\"",
    "'x'",
    "true",
    "[]",
    "#{a: long}",
    "9000000000..=0",
    "request",
    "response",
    "store",
];
/// Of which two are put together, and more.
const SOME: usize = 10;
const FEW: usize = 5;

#[test]
fn none_panics_or_goes_on_for_ever() {
    let limits = Limits::default();
    let named = engine(&limits).collect_fn_metadata(
        None,
        |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
        true,
    );
    let is_word = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let mut calls = 0;
    for (name, count) in named.into_iter().filter(|(name, count)| is_word(name) && *count > 0) {
        let values = match count {
            1 => VALUES,
            2 => &VALUES[..SOME],
            _ => &VALUES[..FEW],
        };
        for choice in 0..values.len().pow(count.min(4) as u32) {
            let chosen = (0..count).map(|place| values[choice / values.len().pow(place.min(3) as u32) % values.len()]);
            let call = format!("{name}({})", chosen.collect::<Vec<_>>().join(", "));
            ends(&call, &limits);
            calls += 1;
        }
    }
    for operator in [
        "+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "==", "<", "in", "..",
    ] {
        let some = &VALUES[..SOME];
        for (one, other) in some.iter().flat_map(|one| some.iter().map(move |other| (one, other))) {
            ends(&format!("{one} {operator} {other}"), &limits);
            calls += 1;
        }
    }
    assert!(calls > 5_000, "{calls}");
}

fn ends(call: &str, limits: &Limits) {
    let script =
        format!("fn attack() {{ let long = header(\"x-long\"); let list = header(\"x-list\").split(\",\"); {call} }}");
    // What is not even read cannot do harm.
    let Ok(program) = read(&script, limits) else {
        return;
    };
    let (result, cost) = run_read(&program);
    let panics = result.is_err_and(|failure| failure.what.starts_with("panics"));
    assert!(!panics, "{call}");
    assert!(cost.time < Duration::from_secs(5), "{call}: {:?}", cost.time);
    assert!(cost.memory < 17 << 20, "{call}: {}", cost.memory);
}
