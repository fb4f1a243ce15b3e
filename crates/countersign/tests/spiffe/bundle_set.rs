use countersign::spiffe::{BundleSet, JwsAlgorithm, JwtBundle, X509Bundle};

use crate::{
    issuer::{Ca, td},
    jwt_signers::Signer,
};

fn jwt(name: &str) -> JwtBundle {
    let mut bundle = JwtBundle::new(td(name));
    bundle.add_authority(Signer::ec(JwsAlgorithm::ES256).authority("k")).unwrap();
    bundle
}

#[test]
fn the_revision_changes_with_every_change_and_with_nothing_else() {
    let root = Ca::root("root");
    let mut set = BundleSet::new();
    let mut seen = vec![set.revision()];
    let mut changed = |set: &BundleSet, is: bool, what: &str| {
        let new = !seen.contains(&set.revision());
        assert_eq!(new, is, "{what}");
        seen.push(set.revision());
    };
    assert!(set.insert_x509(root.bundle("a")));
    changed(&set, true, "insert x509");
    assert!(!set.insert_x509(root.bundle("a")));
    changed(&set, false, "insert an equal one");
    let keys = jwt("a");
    assert!(set.insert_jwt(keys.clone()));
    changed(&set, true, "insert jwt");
    assert!(!set.insert_jwt(keys));
    changed(&set, false, "insert the same");
    assert!(!set.remove(&td("b")) && !set.remove_jwt(&td("b")));
    changed(&set, false, "remove nothing");
    assert!(set.remove_jwt(&td("a")) && !set.remove_jwt(&td("a")));
    changed(&set, true, "remove jwt");
    assert!(set.contains(&td("a")));
    assert!(set.remove_x509(&td("a")));
    changed(&set, true, "remove x509");
    assert!(!set.contains(&td("a")) && set.is_empty());
    assert!(set.insert_x509(root.bundle("a")));
    changed(&set, true, "insert again");
    assert!(set.remove(&td("a")));
    changed(&set, true, "remove");
}

#[test]
fn clones_go_their_own_way() {
    let root = Ca::root("root");
    let mut set: BundleSet = [root.bundle("a"), root.bundle("b")].into_iter().collect();
    let clone = set.clone();
    assert_eq!((clone.revision(), &clone), (set.revision(), &set));
    set.remove(&td("a"));
    assert_ne!(clone.revision(), set.revision());
    assert_ne!(clone, set);
    assert!(clone.contains(&td("a")) && !set.contains(&td("a")));
    assert_eq!(clone.trust_domains().map(|domain| domain.name()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn lookups_are_by_whole_name() {
    let root = Ca::root("root");
    let set: BundleSet = [root.bundle("example.org")].into_iter().collect();
    for name in ["example.or", "example.orga", "org", "sub.example.org"] {
        assert!(set.x509_bundle(&td(name)).is_none(), "{name}");
    }
    assert!(set.x509_bundle(&td("EXAMPLE.org")).is_some());
    assert!(set.jwt_bundle(&td("example.org")).is_none());
}

#[test]
fn lazy_bundles_are_read_on_first_use_and_broken_certificates_left_out() {
    let root = Ca::root("root");
    let lazy = X509Bundle::from_der_lazy(td("a"), &[&[0x30, 0][..], &root.der].concat()).unwrap();
    assert_eq!(lazy.len(), 2);
    assert_eq!(lazy.check().unwrap_err().code(), "malformed_certificate");
    assert_eq!((lazy.refused().len(), lazy.refused()[0].index), (1, 0));

    let keys = jwt("a");
    let text = keys.to_jwks().unwrap();
    let lazy = JwtBundle::from_jwks_lazy(td("a"), text.as_bytes());
    assert!(format!("{lazy:?}").contains("not read yet"));
    assert_eq!(lazy, keys);
    assert!(lazy.authority("k").is_some());
    let broken = JwtBundle::from_jwks_lazy(td("a"), b"{}");
    assert_eq!(broken.check().unwrap_err().code(), "missing_keys");
    assert!(broken.is_empty() && broken.authority("k").is_none());
}

#[test]
fn an_authority_taken_back_is_a_change() {
    let (kept, revoked) = (Ca::root("kept"), Ca::root("revoked"));
    let both = X509Bundle::from_der(td("a"), &[&kept.der[..], &revoked.der].concat()).unwrap();
    let one = kept.bundle("a");
    assert_ne!(both, one);
    assert_ne!(one, both);
    let mut set: BundleSet = [both.clone()].into_iter().collect();
    assert!(set.insert_x509(one.clone()));
    assert_eq!(set.x509_bundle(&td("a")).map(X509Bundle::len), Some(1));
    assert!(set.insert_x509(both));

    let two = jwt("a");
    let mut none = two.clone();
    none.remove_authority("k").unwrap();
    let mut set: BundleSet = [two].into_iter().collect();
    assert!(set.insert_jwt(none));
    assert!(set.jwt_bundle(&td("a")).is_some_and(JwtBundle::is_empty));
}
