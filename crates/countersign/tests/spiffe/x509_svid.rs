use countersign::spiffe::{LeafError, X509Svid, claimed_uris, limits};
use rcgen::{
    CertificateParams, DistinguishedName, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SanType,
};

use crate::issuer::{Ca, ID, Leaf, NOW, at, ca_params, key_usage, leaf_params, uri_san};

fn svid(leaf: &Leaf) -> Result<X509Svid, countersign::spiffe::X509SvidError> {
    X509Svid::from_der(&leaf.der, &leaf.key)
}

/// Bends a conformant leaf, and tells what is said of it.
fn judged(bend: impl FnOnce(&mut CertificateParams)) -> &'static str {
    let mut params = leaf_params(ID);
    bend(&mut params);
    match svid(&Ca::root("root").issue(params)) {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn a_conformant_svid() {
    let root = Ca::root("root");
    let intermediate = root.intermediate(ca_params("intermediate"));
    let leaf = intermediate.issue(leaf_params(ID));
    let chain = [&leaf.der[..], &intermediate.der].concat();
    let svid = X509Svid::from_der(&chain, &leaf.key).unwrap().with_hint(Some("internal"));
    assert_eq!(svid.spiffe_id().as_str(), ID);
    assert_eq!(svid.hint(), Some("internal"));
    assert_eq!(svid.certificates().collect::<Vec<_>>(), [&leaf.der[..], &intermediate.der]);
    assert_eq!(svid.chain_der(), chain);
    assert_eq!(svid.private_key().pkcs8_der(), leaf.key);
    assert_eq!(svid.expires_at(), at(NOW + 1000).unwrap());
    assert!(svid.serial_number().len() >= 2);
    assert_eq!(svid.clone(), svid);
    assert_ne!(svid.clone().with_hint(None), svid);
}

#[test]
fn the_serial_number_is_written_as_others_write_it() {
    // In DER a byte in front keeps a number from being negative. It is no part of the number.
    for (bytes, text) in [(&[0x9a, 0xbc][..], "9abc"), (&[0x1a, 0x00], "1a00"), (&[0x00], "00")] {
        let mut params = leaf_params(ID);
        params.serial_number = Some(rcgen::SerialNumber::from_slice(bytes));
        assert_eq!(svid(&Ca::root("root").issue(params)).unwrap().serial_number(), text);
    }
}

#[test]
fn rotation_is_due_at_half_of_the_lifetime() {
    let svid = svid(&Ca::root("root").issue(leaf_params(ID))).unwrap();
    assert!(!svid.needs_rotation(at(NOW - 1)));
    assert!(svid.needs_rotation(at(NOW)));
    assert!(svid.needs_rotation(at(NOW + 5000)));
}

#[test]
fn rule_2_1_exactly_one_uri_san() {
    assert_eq!(judged(|leaf| leaf.subject_alt_names.clear()), "missing_spiffe_id");
    assert_eq!(
        judged(|leaf| leaf.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())]),
        "missing_spiffe_id"
    );
    assert_eq!(judged(|leaf| leaf.subject_alt_names.push(uri_san("spiffe://example.org/other"))), "multiple_uri_sans");
    assert_eq!(judged(|leaf| leaf.subject_alt_names.push(uri_san("https://a.example/"))), "multiple_uri_sans");
    assert_eq!(judged(|leaf| leaf.subject_alt_names.push(uri_san(ID))), "multiple_uri_sans");
}

#[test]
fn rule_2_1_the_uri_san_is_a_spiffe_id() {
    for uri in ["https://example.org/billing", "spiffe://example.org/a/../b", "spiffe://example.org/a?b", ""] {
        assert_eq!(judged(|leaf| leaf.subject_alt_names = vec![uri_san(uri)]), "invalid_spiffe_id", "{uri}");
    }
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    assert_eq!(judged(|leaf| leaf.subject_alt_names = vec![uri_san(&long)]), "invalid_spiffe_id");
}

#[test]
fn rule_2_1_other_sans_are_welcome() {
    let mut params = leaf_params(ID);
    params.subject_alt_names.push(SanType::DnsName("a.example".try_into().unwrap()));
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    params.subject_alt_names.push(SanType::Rfc822Name("a@b.example".try_into().unwrap()));
    let svid = svid(&Ca::root("root").issue(params)).unwrap();
    assert_eq!(&*svid.leaf().dns_names, ["a.example".into()]);
}

#[test]
fn rule_2_2_leaf_id_has_a_path() {
    assert_eq!(judged(|leaf| leaf.subject_alt_names = vec![uri_san("spiffe://example.org")]), "leaf_id_without_path");
}

#[test]
fn rule_2_3_leaf_is_no_ca() {
    assert_eq!(judged(|leaf| leaf.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), "leaf_is_ca");
}

#[test]
fn rule_2_3_missing_basic_constraints_mean_no_ca() {
    assert_eq!(judged(|leaf| leaf.is_ca = IsCa::NoCa), "accepted");
}

#[test]
fn rule_2_4_key_usage_must_be_present() {
    assert_eq!(judged(|leaf| leaf.key_usages.clear()), "leaf_missing_key_usage");
}

#[test]
fn rule_2_4_key_usage_must_be_critical() {
    let with = |critical| {
        judged(|leaf| {
            leaf.key_usages.clear();
            leaf.custom_extensions = vec![key_usage(0x80, critical)];
        })
    };
    assert_eq!(with(false), "leaf_key_usage_not_critical");
    assert_eq!(with(true), "accepted");
}

#[test]
fn rule_2_4_digital_signature_must_be_set() {
    assert_eq!(
        judged(|leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        "leaf_missing_digital_signature"
    );
}

#[test]
fn rule_2_5_no_key_cert_sign_and_no_crl_sign() {
    assert_eq!(judged(|leaf| leaf.key_usages.push(KeyUsagePurpose::KeyCertSign)), "leaf_has_key_cert_sign");
    assert_eq!(judged(|leaf| leaf.key_usages.push(KeyUsagePurpose::CrlSign)), "leaf_has_crl_sign");
}

#[test]
fn rule_2_6_key_encipherment_and_agreement_may_be_set() {
    assert_eq!(
        judged(|leaf| {
            leaf.key_usages = vec![
                KeyUsagePurpose::DigitalSignature,
                KeyUsagePurpose::KeyEncipherment,
                KeyUsagePurpose::KeyAgreement,
            ];
        }),
        "accepted"
    );
}

#[test]
fn rule_2_7_extended_key_usage_is_told() {
    let svid = svid(&Ca::root("root").issue(leaf_params(ID))).unwrap();
    let usage = svid.leaf().extended_key_usage.unwrap();
    assert!(usage.server_auth && usage.client_auth);
    assert_eq!(judged(|leaf| leaf.extended_key_usages.clear()), "accepted");
}

#[test]
fn rule_2_8_an_empty_subject_is_welcome() {
    let mut params = leaf_params(ID);
    params.distinguished_name = DistinguishedName::new();
    let svid = svid(&Ca::root("root").issue(params)).unwrap();
    assert!(svid.leaf().subject_is_empty);
    assert!(svid.leaf().san_is_critical);
}

/// Bends a conformant intermediate below a conformant leaf.
fn judged_intermediate(bend: impl FnOnce(&mut CertificateParams)) -> &'static str {
    let mut params = ca_params("intermediate");
    bend(&mut params);
    let intermediate = Ca::root("root").intermediate(params);
    let leaf = intermediate.issue(leaf_params(ID));
    match X509Svid::from_der(&[&leaf.der[..], &intermediate.der].concat(), &leaf.key) {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn rule_2_9_signing_certificates() {
    assert_eq!(judged_intermediate(|_| {}), "accepted");
    assert_eq!(judged_intermediate(|ca| ca.is_ca = IsCa::ExplicitNoCa), "signing_not_ca");
    assert_eq!(
        judged_intermediate(|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]),
        "signing_missing_key_cert_sign"
    );
    assert_eq!(judged_intermediate(|ca| ca.key_usages.clear()), "signing_missing_key_cert_sign");
    assert_eq!(judged_intermediate(|ca| ca.subject_alt_names = vec![uri_san("spiffe://example.org")]), "accepted");
    assert_eq!(judged_intermediate(|ca| ca.subject_alt_names = vec![uri_san(ID)]), "signing_id_with_path");
}

#[test]
fn rule_2_11_every_kind_of_key_matches_its_leaf_and_no_other() {
    let root = Ca::root("root");
    for algorithm in
        [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_ED25519, &PKCS_RSA_SHA256]
    {
        let leaf = root.issue_for(leaf_params(ID), algorithm);
        let other = root.issue_for(leaf_params(ID), algorithm);
        svid(&leaf).unwrap();
        let error = X509Svid::from_der(&leaf.der, &other.key).unwrap_err();
        assert_eq!(error.code(), "private_key_mismatch", "{algorithm:?}");
    }
    let (ec, ed) = (root.issue(leaf_params(ID)), root.issue_for(leaf_params(ID), &PKCS_ED25519));
    let p384 = root.issue_for(leaf_params(ID), &PKCS_ECDSA_P384_SHA384);
    for key in [&ed.key, &p384.key, &vec![0x30, 0], &vec![]] {
        let error = X509Svid::from_der(&ec.der, key).unwrap_err();
        assert_eq!(error.code(), "malformed_private_key");
    }
    assert_eq!(X509Svid::from_der(&ec.der, &vec![0; 20_000]).unwrap_err().code(), "private_key_too_long");
}

#[test]
fn rule_2_12_empty_chain() {
    assert_eq!(X509Svid::from_der(&[], &[]).unwrap_err().code(), "empty_chain");
}

#[test]
fn rule_2_12_what_is_no_chain() {
    let leaf = Ca::root("root").issue(leaf_params(ID));
    let judged = |der: &[u8]| X509Svid::from_der(der, &leaf.key).unwrap_err().code();
    assert_eq!(judged(&leaf.der[..leaf.der.len() - 1]), "malformed_chain");
    assert_eq!(judged(&[&leaf.der[..], &[0]].concat()), "malformed_chain");
    assert_eq!(judged(b"-----BEGIN CERTIFICATE-----"), "malformed_chain");
    assert_eq!(judged(&[0x30, 0]), "malformed_certificate");
}

#[test]
fn rule_2_13_sixteen_certificates_and_no_more() {
    let intermediate = Ca::root("root").intermediate(ca_params("intermediate"));
    let leaf = intermediate.issue(leaf_params(ID));
    let chain = |further: usize| [leaf.der.clone(), intermediate.der.repeat(further)].concat();
    assert!(X509Svid::from_der(&chain(15), &leaf.key).is_ok());
    assert_eq!(X509Svid::from_der(&chain(16), &leaf.key).unwrap_err().code(), "chain_too_long");
    assert_eq!(X509Svid::from_der(&chain(500), &leaf.key).unwrap_err().code(), "chain_too_long");
}

#[test]
fn pem_in_one_text_or_two() {
    let intermediate = Ca::root("root").intermediate(ca_params("intermediate"));
    let leaf = intermediate.issue(leaf_params(ID));
    let svid = X509Svid::from_der(&[&leaf.der[..], &intermediate.der].concat(), &leaf.key).unwrap();
    let (chain, key) = (svid.chain_pem(), svid.key_pem());
    let read = |chain: &str, key: Option<&str>| {
        X509Svid::from_pem(chain.as_bytes(), key.map(str::as_bytes)).map_err(|error| error.code())
    };
    assert_eq!(read(&chain, Some(&key)).as_ref(), Ok(&svid));
    assert_eq!(read(&format!("{chain}{}", *key), None).as_ref(), Ok(&svid));
    assert_eq!(read(&format!("{}{chain}", *key), None).as_ref(), Ok(&svid));
    assert_eq!(read(&chain, None), Err("missing_private_key"));
    assert_eq!(read(&key, Some(&key)), Err("empty_chain"));
    assert_eq!(read(&chain, Some(&format!("{}{}", *key, *key))), Err("multiple_private_keys"));
    for label in ["EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY"] {
        let foreign = key.replace("PRIVATE KEY", label);
        assert_eq!(read(&chain, Some(&foreign)), Err("private_key_form"));
    }
    assert_eq!(read(&chain.replace("END", "ENDE"), Some(&key)), Err("malformed_pem"));
}

#[test]
fn claims_are_told_and_bounded() {
    let root = Ca::root("root");
    let claims = |uris: &[&str]| {
        let mut params = leaf_params(ID);
        params.subject_alt_names = uris.iter().map(|uri| uri_san(uri)).collect();
        claimed_uris(&root.issue(params).der)
    };
    assert_eq!(claims(&[ID]), [ID]);
    assert_eq!(claims(&["https://evil", ID]), ["https://evil", ID]);
    assert_eq!(claims(&[]), Vec::<String>::new());
    assert_eq!(claims(&[ID; 9]).len(), limits::CLAIMED_URIS);
    let long = format!("spiffe://{}/x", "a".repeat(limits::SPIFFE_ID_BYTES));
    assert_eq!(claims(&[&long, ID]), [ID]);
    for junk in [&b""[..], b"junk", &root.der[..20]] {
        assert_eq!(claimed_uris(junk), Vec::<String>::new());
    }
}

#[test]
fn secrets_are_not_shown() {
    let leaf = Ca::root("root").issue(leaf_params(ID));
    let svid = svid(&leaf).unwrap();
    let shown = format!("{svid:?} {:?}", svid.private_key());
    assert!(shown.contains("redacted") && !shown.contains("48, 129"), "{shown}");
    let error = X509Svid::from_der(&leaf.der, b"secret").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret"));
    assert_eq!(LeafError::IsCa.code(), "leaf_is_ca");
}
