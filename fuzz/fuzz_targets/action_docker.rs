//! See `cofferdam_fuzz::action::docker`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::action::docker(data));
