//! See `cofferdam_fuzz::docker::frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::docker::frames(data));
