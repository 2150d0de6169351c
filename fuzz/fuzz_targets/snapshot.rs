//! A snapshot's file: whatever it holds, it is used whole or not at all.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marcato::fuzz_snapshot(bytes));
