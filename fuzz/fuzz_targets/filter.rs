//! The language of filters: what parses prints as something that parses to the same.
#![no_main]

use marcato::Filter;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(filter) = text.parse::<Filter>() {
        let printed = filter.to_string();
        assert_eq!(printed.parse::<Filter>().unwrap().to_string(), printed);
    }
});
