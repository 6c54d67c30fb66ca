//! See `cofferdam_fuzz::posture::deployment`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cofferdam_fuzz::posture::deployment(data));
