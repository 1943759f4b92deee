#![no_main]

#[path = "../checks/splice.rs"]
mod splice;

libfuzzer_sys::fuzz_target!(|data: &[u8]| splice::check(data));
