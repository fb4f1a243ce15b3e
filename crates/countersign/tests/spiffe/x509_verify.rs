use countersign::spiffe::{Authorizer, BundleSet, Role, SpiffeId, X509Bundle, X509VerifyOptions, verify_x509_svid};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa,
    NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, SanType,
};

use crate::issuer::{Ca, ID, NOW, at, ca_params, id, key_usage, leaf_params, td, uri_san, valid};

fn options() -> X509VerifyOptions {
    X509VerifyOptions { now: at(NOW), ..Default::default() }
}

fn set(bundles: impl IntoIterator<Item = X509Bundle>) -> BundleSet {
    bundles.into_iter().collect()
}

fn judged(chain: &[&[u8]], set: &BundleSet, options: &X509VerifyOptions) -> Result<SpiffeId, &'static str> {
    let once = verify_x509_svid(chain, set, options).map(|svid| svid.spiffe_id);
    let again = verify_x509_svid(chain, set, options).map(|svid| svid.spiffe_id);
    assert_eq!(once, again, "a remembered verdict differs");
    once.map_err(|error| error.code())
}

#[test]
fn rule_2_10_vouched_for_by_its_own_trust_domain() {
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let leaf = root.issue(leaf_params(ID));
    let chain = [&leaf.der[..]];
    assert_eq!(judged(&chain, &set([root.bundle("example.org")]), &options()), Ok(id()));
    assert_eq!(judged(&chain, &set([]), &options()), Err("no_bundle"));
    assert_eq!(judged(&chain, &set([root.bundle("example.com")]), &options()), Err("no_bundle"));
    assert_eq!(judged(&chain, &set([other.bundle("example.org")]), &options()), Err("unknown_issuer"));
    assert_eq!(judged(&chain, &set([X509Bundle::new(td("example.org"))]), &options()), Err("no_authorities"));
    assert_eq!(judged(&[], &set([]), &options()), Err("empty_chain"));
    // One bundle alone is a source too, for its own trust domain only.
    assert!(verify_x509_svid(&chain, &root.bundle("example.org"), &options()).is_ok());
    assert!(verify_x509_svid(&chain, &root.bundle("example.com"), &options()).is_err());
}

#[test]
fn rule_8_1_a_foreign_authority_cannot_mint_local_names() {
    let (ours, theirs) = (Ca::root("ours"), Ca::root("theirs"));
    let set = set([ours.bundle("example.org"), theirs.bundle("partner.org")]);
    let forged = theirs.issue(leaf_params(ID));
    assert_eq!(judged(&[&forged.der], &set, &options()), Err("unknown_issuer"));
    assert_eq!(judged(&[&forged.der, &theirs.der], &set, &options()), Err("unknown_issuer"));
    let honest = theirs.issue(leaf_params("spiffe://partner.org/x"));
    assert!(judged(&[&honest.der], &set, &options()).is_ok());
}

#[test]
fn rule_2_10_same_name_other_key() {
    let (root, twin) = (Ca::root("root"), Ca::root("root"));
    let leaf = root.issue(leaf_params(ID));
    assert_eq!(judged(&[&leaf.der], &set([twin.bundle("example.org")]), &options()), Err("invalid_signature"));
    let both = X509Bundle::from_der(td("example.org"), &[&twin.der[..], &root.der].concat()).unwrap();
    assert!(judged(&[&leaf.der], &set([both]), &options()).is_ok());
}

#[test]
fn rule_2_10_intermediates_in_any_order_and_in_vain() {
    let root = Ca::root("root");
    let one = root.intermediate(ca_params("one"));
    let two = one.intermediate(ca_params("two"));
    let stray = Ca::root("stray");
    let leaf = two.issue(leaf_params(ID));
    let set = set([root.bundle("example.org")]);
    assert!(judged(&[&leaf.der, &two.der, &one.der], &set, &options()).is_ok());
    assert!(judged(&[&leaf.der, &one.der, &two.der], &set, &options()).is_ok());
    assert!(judged(&[&leaf.der, &two.der, &one.der, &root.der], &set, &options()).is_ok());
    assert!(judged(&[&leaf.der, &stray.der, &two.der, &one.der], &set, &options()).is_ok());
    assert_eq!(judged(&[&leaf.der, &two.der], &set, &options()), Err("unknown_issuer"));
    assert_eq!(judged(&[&leaf.der, &one.der], &set, &options()), Err("unknown_issuer"));
}

#[test]
fn rule_2_10_an_intermediate_may_be_the_anchor() {
    let root = Ca::root("root");
    let anchor = root.intermediate(ca_params("anchor"));
    let below = anchor.intermediate(ca_params("below"));
    let set = set([anchor.bundle("example.org")]);
    assert!(judged(&[&anchor.issue(leaf_params(ID)).der], &set, &options()).is_ok());
    assert!(judged(&[&below.issue(leaf_params(ID)).der, &below.der], &set, &options()).is_ok());
    // What the root signed elsewhere does not count.
    assert_eq!(judged(&[&root.issue(leaf_params(ID)).der], &set, &options()), Err("unknown_issuer"));
}

#[test]
fn rule_2_10_a_leaf_in_the_bundle_is_no_authority() {
    let root = Ca::root("root");
    let mut params = leaf_params("spiffe://example.org/rogue");
    params.key_usages.push(rcgen::KeyUsagePurpose::KeyCertSign);
    let rogue = root.intermediate(params);
    let leaf = rogue.issue(leaf_params(ID));
    let bundle = X509Bundle::from_der_lazy(td("example.org"), &rogue.der).unwrap();
    assert_eq!(bundle.refused()[0].error.code(), "signing_not_ca");
    assert_eq!(judged(&[&leaf.der], &set([bundle]), &options()), Err("no_authorities"));
    // Nor is it one in the middle of a path.
    let set = set([root.bundle("example.org")]);
    assert_eq!(judged(&[&leaf.der, &rogue.der], &set, &options()), Err("unknown_issuer"));
}

#[test]
fn rule_2_10_validity_of_leaf_and_intermediate() {
    let root = Ca::root("root");
    let mut params = ca_params("short");
    valid(&mut params, NOW - 100, NOW + 100);
    let short = root.intermediate(params);
    let leaf = short.issue(leaf_params(ID));
    let set = set([root.bundle("example.org")]);
    let chain = [&leaf.der[..], &short.der];
    // One set, one memory: what was verified now does not help then.
    for (offset, verdict) in
        [(0, Ok(id())), (100, Ok(id())), (101, Err("expired")), (1001, Err("expired")), (0, Ok(id()))]
    {
        let options = X509VerifyOptions { now: at(NOW + offset), ..options() };
        assert_eq!(judged(&chain, &set, &options), verdict, "+{offset}");
    }
    for (offset, verdict) in [(100, Ok(id())), (101, Err("not_yet_valid"))] {
        let options = X509VerifyOptions { now: at(NOW - offset), ..options() };
        assert_eq!(judged(&chain, &set, &options), verdict, "-{offset}");
    }
}

#[test]
fn rule_2_10_anchors_are_trusted_by_presence() {
    let mut params = ca_params("old");
    valid(&mut params, NOW - 1000, NOW - 500);
    let old = Ca::self_signed(params);
    let leaf = old.issue(leaf_params(ID));
    assert!(judged(&[&leaf.der], &set([old.bundle("example.org")]), &options()).is_ok());
}

#[test]
fn rule_2_10_a_changed_byte_breaks_the_signature() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let mut leaf = root.issue(leaf_params(ID)).der;
    let place = leaf.windows(7).position(|window| window == b"billing").unwrap();
    leaf[place] = b'f';
    assert_eq!(judged(&[&leaf], &set, &options()), Err("invalid_signature"));
}

#[test]
fn rule_2_2_to_2_5_the_leaf_profile_is_judged_when_verifying() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let judge = |bend: &dyn Fn(&mut CertificateParams)| {
        let mut params = leaf_params(ID);
        bend(&mut params);
        judged(&[&root.issue(params).der], &set, &options()).map(|_| ())
    };
    assert_eq!(judge(&|_| {}), Ok(()));
    assert_eq!(judge(&|leaf| leaf.subject_alt_names.clear()), Err("missing_spiffe_id"));
    assert_eq!(judge(&|leaf| leaf.subject_alt_names.push(uri_san("urn:x"))), Err("multiple_uri_sans"));
    assert_eq!(
        judge(&|leaf| leaf.subject_alt_names = vec![uri_san("spiffe://example.org")]),
        Err("leaf_id_without_path")
    );
    assert_eq!(judge(&|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), Err("leaf_is_ca"));
    assert_eq!(judge(&|leaf| leaf.key_usages.clear()), Err("leaf_missing_key_usage"));
    let bits = |bits, critical| {
        judge(&|leaf: &mut CertificateParams| {
            leaf.key_usages.clear();
            leaf.custom_extensions = vec![key_usage(bits, critical)];
        })
    };
    assert_eq!(bits(0x80, false), Err("leaf_key_usage_not_critical"));
    assert_eq!(bits(0x20, true), Err("leaf_missing_digital_signature"));
    assert_eq!(bits(0x84, true), Err("leaf_has_key_cert_sign"));
    assert_eq!(bits(0x82, true), Err("leaf_has_crl_sign"));
}

#[test]
fn rule_2_7_extended_key_usage_by_role() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let judge = |usages: &[Eku], role| {
        let mut params = leaf_params(ID);
        params.extended_key_usages = usages.to_vec();
        let leaf = root.issue(params);
        judged(&[&leaf.der], &set, &X509VerifyOptions { role, ..options() }).map(|_| ())
    };
    let (server, client) = (Some(Role::Server), Some(Role::Client));
    let refused = Err("extended_key_usage");
    for role in [None, server, client] {
        assert_eq!(judge(&[], role), Ok(()));
        assert_eq!(judge(&[Eku::ServerAuth, Eku::ClientAuth], role), Ok(()));
        assert_eq!(judge(&[Eku::CodeSigning], role), refused);
        assert_eq!(judge(&[Eku::Any], role), refused);
    }
    assert_eq!(judge(&[Eku::ServerAuth], None), Ok(()));
    assert_eq!(judge(&[Eku::ServerAuth], server), Ok(()));
    assert_eq!(judge(&[Eku::ServerAuth], client), refused);
    assert_eq!(judge(&[Eku::ClientAuth], None), Ok(()));
    assert_eq!(judge(&[Eku::ClientAuth], client), Ok(()));
    assert_eq!(judge(&[Eku::ClientAuth], server), refused);
}

#[test]
fn rule_2_7_a_remembered_verdict_is_for_its_role() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let mut params = leaf_params(ID);
    params.extended_key_usages = vec![Eku::ServerAuth];
    let leaf = root.issue(params);
    let judge = |role| judged(&[&leaf.der], &set, &X509VerifyOptions { role, ..options() }).is_ok();
    assert!(judge(Some(Role::Server)) && judge(None) && !judge(Some(Role::Client)));
}

#[test]
fn rule_2_9_signing_certificates_in_the_path() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let judge = |bend: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca_params("intermediate");
        bend(&mut params);
        let intermediate = root.intermediate(params);
        let leaf = intermediate.issue(leaf_params(ID));
        judged(&[&leaf.der, &intermediate.der], &set, &options()).map(|_| ())
    };
    assert_eq!(judge(&|_| {}), Ok(()));
    assert_eq!(judge(&|ca| ca.key_usages.clear()), Err("signing_missing_key_cert_sign"));
    assert_eq!(
        judge(&|ca| ca.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign]),
        Err("signing_missing_key_cert_sign")
    );
    assert_eq!(judge(&|ca| ca.subject_alt_names = vec![uri_san(ID)]), Err("signing_id_with_path"));
    assert_eq!(judge(&|ca| ca.subject_alt_names = vec![uri_san("spiffe://example.org")]), Ok(()));
    assert!(judge(&|ca| ca.is_ca = IsCa::ExplicitNoCa).is_err());
}

#[test]
fn rule_2_9_an_anchor_without_key_usage_is_trusted_and_one_with_the_wrong_one_is_not() {
    let judge = |bend: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca_params("root");
        bend(&mut params);
        let root = Ca::self_signed(params);
        let bundle = X509Bundle::from_der_lazy(td("example.org"), &root.der).unwrap();
        judged(&[&root.issue(leaf_params(ID)).der], &set([bundle]), &options()).map(|_| ())
    };
    assert_eq!(judge(&|ca| ca.key_usages.clear()), Ok(()));
    assert_eq!(judge(&|ca| ca.custom_extensions = vec![]), Ok(()));
    let wrong = judge(&|ca| {
        ca.key_usages.clear();
        ca.custom_extensions = vec![key_usage(0x80, true)];
    });
    assert_eq!(wrong, Err("no_authorities"));
}

#[test]
fn rule_2_10_path_length_of_intermediate_and_anchor() {
    let limited = |limit| {
        let mut params = ca_params("limited");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
        params
    };
    let root = Ca::root("root");
    let anchors = set([root.bundle("example.org")]);
    for (limit, verdict) in [(0, Err("path_length")), (1, Ok(id()))] {
        let first = root.intermediate(limited(limit));
        let second = first.intermediate(ca_params("second"));
        let chain = [second.issue(leaf_params(ID)).der, second.der, first.der];
        let chain: Vec<&[u8]> = chain.iter().map(|der| &der[..]).collect();
        assert_eq!(judged(&chain, &anchors, &options()), verdict, "{limit} in an intermediate");

        let anchor = Ca::self_signed(limited(limit));
        let anchors = set([anchor.bundle("example.org")]);
        let first = anchor.intermediate(ca_params("first"));
        let second = first.intermediate(ca_params("second"));
        assert!(judged(&[&anchor.issue(leaf_params(ID)).der], &anchors, &options()).is_ok());
        let one = judged(&[&first.issue(leaf_params(ID)).der, &first.der], &anchors, &options());
        assert_eq!(one, verdict, "{limit} in an anchor, one below");
        let leaf = second.issue(leaf_params(ID));
        let two = judged(&[&leaf.der, &second.der, &first.der], &anchors, &options());
        assert_eq!(two, Err("path_length"), "{limit} in an anchor, two below");
    }
}

#[test]
fn rule_2_10_name_constraints_bind() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let judge = |constraint: NameConstraints, dns: &str| {
        let mut params = ca_params("limited");
        params.name_constraints = Some(constraint);
        let limited = root.intermediate(params);
        let mut params = leaf_params(ID);
        params.subject_alt_names.push(SanType::DnsName(dns.try_into().unwrap()));
        judged(&[&limited.issue(params).der, &limited.der], &set, &options()).map(|_| ())
    };
    let inside = || vec![GeneralSubtree::DnsName("a.example".to_owned())];
    let permitted = || NameConstraints { permitted_subtrees: inside(), excluded_subtrees: vec![] };
    let excluded = || NameConstraints { permitted_subtrees: vec![], excluded_subtrees: inside() };
    assert_eq!(judge(permitted(), "x.a.example"), Ok(()));
    assert_eq!(judge(permitted(), "x.b.example"), Err("name_constraint"));
    assert_eq!(judge(excluded(), "x.a.example"), Err("name_constraint"));
    assert_eq!(judge(excluded(), "x.b.example"), Ok(()));
}

#[test]
fn rule_2_10_uri_name_constraints_are_refused_not_ignored() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    for tag in [0xa0, 0xa1] {
        let mut params = ca_params("limited");
        let host = b"example.org";
        let subtree = [&[0x30, host.len() as u8 + 2, 0x86, host.len() as u8][..], host].concat();
        let subtrees = [&[tag, subtree.len() as u8][..], &subtree].concat();
        let content = [&[0x30, subtrees.len() as u8][..], &subtrees].concat();
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
        let limited = root.intermediate(params);
        let leaf = limited.issue(leaf_params(ID));
        assert_eq!(judged(&[&leaf.der, &limited.der], &set, &options()), Err("name_constraint"));
    }
}

#[test]
fn rule_2_10_unknown_critical_extensions() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    for (critical, verdict) in [(true, Err("critical_extension")), (false, Ok(id()))] {
        let mut params = leaf_params(ID);
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(critical);
        params.custom_extensions = vec![extension];
        assert_eq!(judged(&[&root.issue(params).der], &set, &options()), verdict);
    }
}

#[test]
fn rule_2_10_every_kind_of_authority() {
    for algorithm in
        [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_ED25519, &PKCS_RSA_SHA256]
    {
        let root = Ca::self_signed_for(ca_params("root"), algorithm);
        let leaf = root.issue_for(leaf_params(ID), algorithm);
        assert_eq!(judged(&[&leaf.der], &set([root.bundle("example.org")]), &options()), Ok(id()), "{algorithm:?}");
    }
}

#[test]
fn rule_2_13_limits() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let leaf = root.issue(leaf_params(ID)).der;
    let mut chain = vec![&leaf[..]; 16];
    assert!(judged(&chain, &set, &options()).is_ok());
    chain.push(&leaf);
    assert_eq!(judged(&chain, &set, &options()), Err("chain_too_long"));
    let long = vec![0; 64 * 1024];
    assert_eq!(judged(&[&leaf, &long], &set, &options()), Err("chain_too_long"));
    assert_eq!(judged(&[&[0x30, 0]], &set, &options()), Err("malformed_certificate"));
    assert_eq!(judged(&[&[]], &set, &options()), Err("malformed_certificate"));
}

#[test]
fn rule_8_1_the_authorizer_speaks_last_and_every_time() {
    let root = Ca::root("root");
    let set = set([root.bundle("example.org")]);
    let leaf = root.issue(leaf_params(ID));
    let judge = |authorize| judged(&[&leaf.der], &set, &X509VerifyOptions { authorize, ..options() }).map(|_| ());
    assert_eq!(judge(Authorizer::any()), Ok(()));
    assert_eq!(judge(Authorizer::one_of([])), Err("not_authorized"));
    assert_eq!(judge(Authorizer::id(id())), Ok(()));
    assert_eq!(judge(Authorizer::member_of(td("partner.org"))), Err("not_authorized"));
}

#[test]
fn rule_6_12_a_changed_bundle_forgets_what_it_vouched_for() {
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let mut set = set([old.bundle("example.org")]);
    let leaf = old.issue(leaf_params(ID));
    let chain = [&leaf.der[..]];
    assert!(judged(&chain, &set, &options()).is_ok());
    let before = set.clone();

    // An equal bundle is no change.
    let revision = set.revision();
    assert!(!set.insert_x509(old.bundle("example.org")));
    assert_eq!(set.revision(), revision);
    assert!(judged(&chain, &set, &options()).is_ok());

    // A bundle of another trust domain changes the set, and not this verdict.
    set.insert_x509(new.bundle("partner.org"));
    assert_ne!(set.revision(), revision);
    assert!(judged(&chain, &set, &options()).is_ok());

    set.insert_x509(new.bundle("example.org"));
    assert_eq!(judged(&chain, &set, &options()), Err("unknown_issuer"));
    set.remove(&td("example.org"));
    assert_eq!(judged(&chain, &set, &options()), Err("no_bundle"));
    // Whoever holds the state from before still judges by it.
    assert!(judged(&chain, &before, &options()).is_ok());
}
