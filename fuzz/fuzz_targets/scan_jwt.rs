//! See `cofferdam_fuzz::scan::jwt`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::scan::jwt(data));
