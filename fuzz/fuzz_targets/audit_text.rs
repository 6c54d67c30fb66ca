//! See `cofferdam_fuzz::audit::text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::audit::text(data));
