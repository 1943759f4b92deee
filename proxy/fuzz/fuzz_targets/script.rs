//! A script and a request: the first line is the request's target, the second its fields' value, the rest the script.

#![no_main]

use std::collections::BTreeMap;

use http::Method;
use veil::config::rehearsal::Asked;
use veil::request::Scheme;
use veil::script::{Hook, Kept, Limits, Program, Seen, Store};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let (Some(target), Some(value), Some(script)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Ok(mut asked) = Asked::new(&Method::GET, Scheme::Http, "a.test", target, [192, 0, 2, 1].into()) else { return };
    for name in ["cookie", "x-a", "user-agent"] {
        let _ = asked.head.append_header(name, value);
    }
    let seen = Seen::of(&asked.head, &asked.ctx);
    if let Ok(condition) = Program::condition(script) {
        let _ = condition.holds(seen);
    }
    let Ok(hooks) = Program::hooks(script, &Limits::default()) else { return };
    let (store, settings) = (Store::default(), BTreeMap::new());
    for hook in Hook::ALL.into_iter().filter(|hook| hooks.has(*hook)) {
        if let Err(failure) = hooks.run(hook, seen, Kept { store: &store, settings: &settings }) {
            assert!(!failure.what.starts_with("panics"), "{failure}");
        }
    }
});
