//! See `cofferdam_fuzz::scan::target`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::scan::target(data));
