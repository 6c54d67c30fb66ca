//! See `cofferdam_fuzz::token::jws`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::token::jws(data));
