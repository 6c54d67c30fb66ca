//! See `cofferdam_fuzz::wire::frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::wire::frames(data));
