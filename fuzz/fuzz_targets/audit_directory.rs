//! See `cofferdam_fuzz::audit::directory`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::audit::directory(data));
