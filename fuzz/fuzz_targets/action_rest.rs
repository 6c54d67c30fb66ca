//! See `cofferdam_fuzz::action::rest`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::action::rest(data));
