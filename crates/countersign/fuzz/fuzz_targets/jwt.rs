//! No text makes the judge of tokens panic, and none is accepted: nobody here holds the key.
#![no_main]

use std::{
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use countersign::spiffe::{JwtBundle, JwtSvid, JwtVerifyOptions, TrustDomain, verify_jwt_svid};
use libfuzzer_sys::fuzz_target;

static BUNDLE: LazyLock<JwtBundle> = LazyLock::new(|| {
    let domain = TrustDomain::parse("example.org").expect("a trust domain");
    JwtBundle::from_jwks(domain, include_bytes!("../corpus/jwks/whole")).expect("a bundle")
});

fuzz_target!(|token: &str| {
    let parsed = JwtSvid::parse_insecure(token);
    if let Ok(svid) = &parsed {
        assert!(!svid.audience().is_empty());
        assert!(JwtSvid::from_workload_api(token, None).is_ok());
    }
    let options = JwtVerifyOptions {
        now: Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
        allow_extra_headers: true,
        ..JwtVerifyOptions::new("reports")
    };
    // The only token with a good signature is the one in the corpus.
    if verify_jwt_svid(token, &*BUNDLE, &options).is_ok() {
        assert_eq!(token.as_bytes(), include_bytes!("../corpus/jwt/whole"));
    }
});
