//! See `cofferdam_fuzz::broker::owners`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::broker::owners(data));
