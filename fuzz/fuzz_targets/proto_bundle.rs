#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lanparty_fuzz_targets::proto::bundle(data));
