//! Whatever is taken as a SPIFFE bundle or a bundle map writes as one that reads the same.
#![no_main]

use countersign::spiffe::{BundleMap, SpiffeBundle, TrustDomain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let domain = TrustDomain::parse("example.org").expect("a trust domain");
    if let Ok(bundle) = SpiffeBundle::parse(domain.clone(), json) {
        let _ = bundle.x509_bundle().check();
        // An authority whose key has no JWK form is read, but cannot be written.
        if let Ok(written) = bundle.to_json() {
            let again = SpiffeBundle::parse(domain, written.as_bytes()).expect("the same");
            assert_eq!(again, bundle);
            assert_eq!(again.to_json().as_ref(), Ok(&written));
        }
    }
    if let Ok(map) = BundleMap::parse(json)
        && let Ok(written) = map.to_json()
    {
        assert_eq!(BundleMap::parse(written.as_bytes()).as_ref(), Ok(&map));
    }
});
