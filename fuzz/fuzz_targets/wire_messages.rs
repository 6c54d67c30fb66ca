//! See `cofferdam_fuzz::wire::messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::wire::messages(data));
