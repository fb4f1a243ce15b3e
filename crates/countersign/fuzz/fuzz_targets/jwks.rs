//! Whatever is taken as a JWKS writes as one that reads the same.
#![no_main]

use countersign::spiffe::{JwtBundle, TrustDomain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let domain = TrustDomain::parse("example.org").expect("a trust domain");
    if let Ok(bundle) = JwtBundle::from_jwks(domain.clone(), json) {
        let written = bundle.to_jwks().expect("a JWKS");
        let again = JwtBundle::from_jwks(domain.clone(), written.as_bytes()).expect("the same");
        assert_eq!(again, bundle);
        assert!(again.skipped().is_empty());
        assert_eq!(JwtBundle::from_jwks_lazy(domain, json), bundle);
    }
});
