//! No bytes make the judges of chains and bundles panic.
#![no_main]

use std::{
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use countersign::spiffe::{
    BundleSet, TrustDomain, X509Bundle, X509Svid, X509VerifyOptions, verify_x509_svid,
};
use libfuzzer_sys::fuzz_target;

fn domain() -> TrustDomain {
    TrustDomain::parse("example.org").expect("a trust domain")
}

static SET: LazyLock<BundleSet> = LazyLock::new(|| {
    [
        X509Bundle::from_der(domain(), include_bytes!("../corpus/der_chain/root"))
            .expect("a bundle"),
    ]
    .into_iter()
    .collect()
});

fuzz_target!(|der: &[u8]| {
    let options = X509VerifyOptions {
        now: Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
        ..X509VerifyOptions::default()
    };
    let _ = X509Svid::from_der(der, include_bytes!("../corpus/key"));
    let _ = X509Svid::from_pem(der, None);
    if let Ok(bundle) = X509Bundle::from_der_lazy(domain(), der) {
        let chain: Vec<&[u8]> = bundle.authorities().collect();
        assert_eq!(chain.concat(), der);
        let first = verify_x509_svid(&chain, &*SET, &options);
        assert_eq!(verify_x509_svid(&chain, &*SET, &options), first);
        // What is presented as the authorities that vouch for it.
        let _ = verify_x509_svid(&chain, &bundle, &options);
        let read = X509Bundle::from_pem(domain(), bundle.to_pem().as_bytes());
        if let Ok(read) = read {
            assert_eq!(read, bundle);
        }
    }
});
