//! Whatever is taken as a principal writes as one that reads the same; names and IDs in it are fixed points.
#![no_main]

use countersign::principal::{Principal, Rules, TenantId, TrustDomain, WorkloadId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(principal) = Principal::from_json(text) {
        let written = principal.to_json();
        assert_eq!(Principal::from_json(&written).expect("the same"), principal);
        assert_eq!(Principal::from_json(&written).expect("the same").to_json(), written);
        assert_eq!(serde_json::from_str::<Principal>(text).expect("the same"), principal);
    } else {
        assert!(Principal::from_json_by(text, Rules::Strict).is_err());
    }
    if let Ok(id) = WorkloadId::parse(text) {
        assert_eq!(id.as_str(), text);
        assert!(TrustDomain::parse(id.trust_domain_name()).is_ok());
    }
    if let Ok(id) = TenantId::parse(text) {
        assert_eq!(TenantId::parse(&id.to_string()), Ok(id));
    }
});
