//! See `cofferdam_fuzz::action::json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::action::json(data));
