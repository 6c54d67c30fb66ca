//! See `cofferdam_fuzz::scan::answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::scan::answer(data));
