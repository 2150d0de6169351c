//! A record of the store: bytes that are not what was sealed are an error; those that are give the same bytes again.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marcato::fuzz_record(bytes));
