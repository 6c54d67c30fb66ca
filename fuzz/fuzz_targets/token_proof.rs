//! See `cofferdam_fuzz::token::proof`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::token::proof(data));
