//! See `cofferdam_fuzz::report::render`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::report::render(data));
