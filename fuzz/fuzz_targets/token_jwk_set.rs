//! See `cofferdam_fuzz::token::jwk_set`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::token::jwk_set(data));
