//! A configuration of Nginx's: whatever is in it, it is refused or becomes one of Veil's, with a report.

#![no_main]

use veil::nginx::{Origin, import};

libfuzzer_sys::fuzz_target!(|text: &str| {
    // Files of this machine are nobody's business.
    let origin = Origin {
        file: "/dev/null".into(),
        directives: text.replace("include", "included"),
        ..Origin::default()
    };
    let Ok(imported) = import(&origin) else { return };
    let _ = imported.report.to_string();
    let _ = veil::config::parse("fuzzed.yaml", &imported.yaml);
});
