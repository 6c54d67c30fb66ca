//! See `cofferdam_fuzz::scan::description`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::scan::description(data));
