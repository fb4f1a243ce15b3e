//! What is printed reads back as what it was.

use countersign::spiffe::{SpiffeId, TrustDomain};
use proptest::prelude::*;

const NAME: &str = "[a-z0-9._-]{1,255}";

fn segment() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._-]{1,40}".prop_filter("relative", |text| text != "." && text != "..")
}

proptest! {
    #[test]
    fn ids_of_legal_parts(name in NAME, segments in prop::collection::vec(segment(), 0..8)) {
        let domain = TrustDomain::parse(&name).unwrap();
        prop_assert_eq!(domain.name(), &name);
        let id = SpiffeId::from_segments(&domain, &segments).unwrap();
        prop_assert_eq!(&SpiffeId::parse(id.as_str()).unwrap(), &id);
        prop_assert_eq!(id.segments().collect::<Vec<_>>(), segments);
        prop_assert_eq!(id.trust_domain(), domain.clone());
        prop_assert!(id.member_of(&domain));
        prop_assert_eq!(domain.id().append_path(id.path()).unwrap(), id.clone());
        let loud = format!("SPIFFE://{}{}", name.to_uppercase(), id.path());
        prop_assert_eq!(SpiffeId::parse(&loud).unwrap(), id);
    }

    #[test]
    fn whatever_is_taken_is_a_fixed_point(text in "(spiffe|SPIFFE|spif)?(://)?[a-zA-Z0-9._/%?#:@ -]{0,60}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(SpiffeId::parse(id.as_str()).unwrap(), id.clone());
            prop_assert!(id.as_str().eq_ignore_ascii_case(&text));
            prop_assert!(text.ends_with(id.path()));
        }
        if let Ok(domain) = TrustDomain::parse(&text) {
            prop_assert_eq!(TrustDomain::parse(domain.name()).unwrap(), domain);
        }
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in "\\PC{0,80}") {
        let _ = SpiffeId::parse(&text);
        let _ = TrustDomain::parse(&text);
    }
}
