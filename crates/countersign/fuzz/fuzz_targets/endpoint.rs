//! Whatever is taken as an endpoint prints as one that is read the same.
#![no_main]

use countersign::spiffe::workload_api::Endpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(endpoint) = Endpoint::parse(text) {
        assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
    }
});
