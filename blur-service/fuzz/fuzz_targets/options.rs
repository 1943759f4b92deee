#![no_main]

#[path = "../checks/options.rs"]
mod options;

libfuzzer_sys::fuzz_target!(|data: &[u8]| options::check(data));
