//! Whatever is taken as a name prints as itself, and is of the characters and lengths the standard allows.
#![no_main]

use countersign::spiffe::{SpiffeId, TrustDomain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(id) = SpiffeId::parse(text) {
        assert_eq!(SpiffeId::parse(id.as_str()).as_ref(), Ok(&id));
        assert!(id.as_str().eq_ignore_ascii_case(text) && text.len() <= 2048);
        assert_eq!(
            SpiffeId::from_segments(&id.trust_domain(), id.segments()).as_ref(),
            Ok(&id)
        );
        assert!(
            id.segments()
                .all(|segment| !matches!(segment, "" | "." | ".."))
        );
        assert!(
            id.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b":/.-_".contains(&byte))
        );
    }
    if let Ok(domain) = TrustDomain::parse(text) {
        assert_eq!(TrustDomain::parse(domain.name()).as_ref(), Ok(&domain));
        assert!(!domain.name().is_empty() && domain.name().len() <= 255);
        assert!(!domain.name().bytes().any(|byte| byte.is_ascii_uppercase()));
    }
});
