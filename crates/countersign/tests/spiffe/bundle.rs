use std::sync::LazyLock;

use countersign::spiffe::{BundleMap, JwsAlgorithm, JwtBundle, KeyRemark, SpiffeBundle, X509Bundle};
use data_encoding::BASE64;
use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::{
    issuer::{Ca, ID, ca_params, leaf_params, td},
    jwt_signers::Signer,
};

static EC: LazyLock<Signer> = LazyLock::new(|| Signer::ec(JwsAlgorithm::ES256));
static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);
static CA: LazyLock<Ca> = LazyLock::new(|| Ca::root("root"));

fn domain() -> countersign::spiffe::TrustDomain {
    td("example.org")
}

fn jwk(signer: &Signer, key_id: &str) -> Value {
    let mut bundle = JwtBundle::new(domain());
    bundle.add_authority(signer.authority(key_id)).unwrap();
    serde_json::from_str::<Value>(&bundle.to_jwks().unwrap()).unwrap()["keys"][0].clone()
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn jwt_svid(signer: &Signer, key_id: &str) -> Value {
    with(jwk(signer, key_id), "use", json!("jwt-svid"))
}

fn x509_svid(ca: &Ca) -> Value {
    json!({ "kty": "EC", "use": "x509-svid", "x5c": [BASE64.encode(&ca.der)] })
}

fn document(keys: &[Value]) -> Result<SpiffeBundle, &'static str> {
    SpiffeBundle::parse(domain(), json!({ "keys": keys }).to_string().as_bytes()).map_err(code)
}

fn workload_api(keys: &[Value]) -> Result<JwtBundle, &'static str> {
    JwtBundle::from_jwks(domain(), json!({ "keys": keys }).to_string().as_bytes()).map_err(code)
}

fn code(error: countersign::spiffe::BundleError) -> &'static str {
    error.code()
}

fn reasons(skipped: &[KeyRemark]) -> Vec<(usize, &'static str)> {
    skipped.iter().map(|remark| (remark.index, remark.reason.as_str())).collect()
}

/// A good key, the key in question, and a good key again: what is said of the one in the middle. The others stay.
fn in_document(key: Value) -> Vec<(usize, &'static str)> {
    let bundle = document(&[jwt_svid(&EC, "first"), key, jwt_svid(&RSA, "last")]).unwrap();
    assert!(bundle.jwt_bundle().authority("first").is_some());
    assert!(bundle.jwt_bundle().authority("last").is_some());
    reasons(bundle.skipped())
}

fn in_workload_api(key: Value) -> Vec<(usize, &'static str)> {
    let bundle = workload_api(&[jwk(&EC, "first"), key, jwk(&RSA, "last")]).unwrap();
    assert!(bundle.authority("first").is_some() && bundle.authority("last").is_some());
    reasons(bundle.skipped())
}

#[test]
fn rule_5_1_keys_are_there_and_may_be_none() {
    for text in ["{}", "{\"keys\":null}", "{\"spiffe_sequence\":1}"] {
        assert_eq!(SpiffeBundle::parse(domain(), text.as_bytes()).map_err(code).err(), Some("missing_keys"));
        assert_eq!(JwtBundle::from_jwks(domain(), text.as_bytes()).map_err(code).err(), Some("missing_keys"));
    }
    for text in ["", "[]", "[[],null,null]", "{", "{\"keys\":{}}", "{\"keys\":[]}x", "null", "{\"keys\":\"\"}"] {
        assert_eq!(
            SpiffeBundle::parse(domain(), text.as_bytes()).map_err(code).err(),
            Some("malformed_json"),
            "{text}"
        );
        assert_eq!(
            JwtBundle::from_jwks(domain(), text.as_bytes()).map_err(code).err(),
            Some("malformed_json"),
            "{text}"
        );
    }
    assert_eq!(
        SpiffeBundle::parse(domain(), b"{\"keys\":[],\"keys\":[]}").map_err(code).err(),
        Some("duplicate_member")
    );
    assert_eq!(
        SpiffeBundle::parse(domain(), b"{\"keys\":[],\"a\":\"\xff\"}").map_err(code).err(),
        Some("malformed_json")
    );
    let empty = document(&[]).unwrap();
    assert!(empty.x509_bundle().is_empty() && empty.jwt_bundle().is_empty());
}

#[test]
fn rule_5_2_sequence_has_64_bits() {
    let parse = |sequence: &str| {
        let text = format!("{{\"keys\":[],\"spiffe_sequence\":{sequence}}}");
        SpiffeBundle::parse(domain(), text.as_bytes()).map(|bundle| bundle.sequence()).map_err(code)
    };
    assert_eq!(parse("0"), Ok(Some(0)));
    assert_eq!(parse("9007199254740993"), Ok(Some(9_007_199_254_740_993)));
    assert_eq!(parse("18446744073709551615"), Ok(Some(u64::MAX)));
    assert_eq!(parse("null"), Ok(None));
    for sequence in ["-1", "1.5", "\"1\"", "18446744073709551616", "[]", "1e3"] {
        assert_eq!(parse(sequence), Err("malformed_json"), "{sequence}");
    }
}

#[test]
fn rule_5_3_refresh_hint_is_in_whole_seconds() {
    use std::time::Duration;
    let parse = |hint: &str| {
        let text = format!("{{\"keys\":[],\"spiffe_refresh_hint\":{hint}}}");
        SpiffeBundle::parse(domain(), text.as_bytes()).map(|bundle| bundle.refresh_hint()).map_err(code)
    };
    assert_eq!(parse("300"), Ok(Some(Duration::from_secs(300))));
    assert_eq!(parse("0"), Ok(Some(Duration::ZERO)));
    assert_eq!(parse("-1"), Err("malformed_json"));
    let written = SpiffeBundle::new(domain()).with_refresh_hint(Some(Duration::from_millis(1500)));
    assert_eq!(written.to_json().unwrap(), r#"{"keys":[],"spiffe_refresh_hint":2}"#);
}

#[test]
fn rule_5_4_unknown_key_types_are_left_out_one_by_one() {
    let post_quantum = json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA", "use": "jwt-svid" });
    assert_eq!(in_document(post_quantum.clone()), [(1, "unknown_key_type")]);
    assert_eq!(in_workload_api(without(post_quantum, "use")), [(1, "unknown_key_type")]);
    let symmetric = json!({ "kty": "oct", "k": "AAAA", "kid": "k", "use": "jwt-svid" });
    assert_eq!(in_document(symmetric.clone()), [(1, "unknown_key_type")]);
    assert_eq!(in_workload_api(without(symmetric, "use")), [(1, "unknown_key_type")]);
    assert_eq!(in_document(without(jwt_svid(&EC, "k"), "kty")), [(1, "unknown_key_type")]);
    assert_eq!(in_document(with(jwt_svid(&EC, "k"), "crv", json!("secp256k1"))), [(1, "unknown_key_type")]);
    let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43), "kid": "k", "use": "jwt-svid" });
    assert_eq!(in_document(ed25519), [(1, "unknown_key_type")]);
    assert_eq!(in_document(with(x509_svid(&CA), "kty", json!("AKP"))), [(1, "unknown_key_type")]);
}

#[test]
fn rule_5_4_what_is_no_jwk_is_left_out() {
    for key in [json!(7), json!(null), json!([]), json!("x"), json!({ "kty": 7 }), json!({ "kty": "EC", "kid": ["x"] })]
    {
        assert_eq!(in_document(key.clone()), [(1, "malformed_jwk")], "{key}");
        assert_eq!(in_workload_api(key.clone()), [(1, "malformed_jwk")], "{key}");
    }
    let twice = format!("{{\"keys\":[{{\"kty\":\"EC\",\"kty\":\"RSA\"}},{}]}}", jwk(&EC, "k"));
    let bundle = JwtBundle::from_jwks(domain(), twice.as_bytes()).unwrap();
    assert_eq!((bundle.len(), reasons(bundle.skipped())), (1, vec![(0, "malformed_jwk")]));
}

#[test]
fn rule_5_5_use_is_required_in_documents() {
    assert_eq!(in_document(jwk(&EC, "k")), [(1, "missing_use")]);
    for purpose in ["sig", "enc", "JWT-SVID", "x509", ""] {
        assert_eq!(in_document(with(jwk(&EC, "k"), "use", json!(purpose))), [(1, "other_use")], "{purpose}");
    }
}

#[test]
fn rule_5_5_kinds_are_kept_apart() {
    let wit = with(jwk(&RSA, "w"), "use", json!("wit-svid"));
    let bundle = document(&[x509_svid(&CA), jwt_svid(&EC, "j"), wit]).unwrap();
    assert_eq!(bundle.skipped(), []);
    assert_eq!(bundle.x509_bundle().authorities().collect::<Vec<_>>(), [&CA.der[..]]);
    assert!(bundle.jwt_bundle().authority("j").is_some() && bundle.jwt_bundle().authority("w").is_none());
    assert!(bundle.wit_bundle().authority("w").is_some() && bundle.wit_bundle().authority("j").is_none());
}

#[test]
fn rule_5_6_x5c_holds_one_certificate() {
    let x5c = |value: Value| with(x509_svid(&CA), "x5c", value);
    assert_eq!(in_document(without(x509_svid(&CA), "x5c")), [(1, "missing_certificate")]);
    assert_eq!(in_document(x5c(json!([]))), [(1, "missing_certificate")]);
    assert_eq!(in_document(x5c(json!(null))), [(1, "missing_certificate")]);
    for bad in ["", "*", "AAAA", &BASE64.encode(&[&CA.der[..], &[0]].concat())] {
        assert_eq!(in_document(x5c(json!([bad]))), [(1, "invalid_certificate")], "{bad}");
    }
    let leaf = CA.issue(leaf_params(ID));
    assert_eq!(in_document(x5c(json!([BASE64.encode(&leaf.der)]))), [(1, "invalid_certificate")]);

    let other = Ca::root("other");
    let both = document(&[x5c(json!([BASE64.encode(&CA.der), BASE64.encode(&other.der)]))]).unwrap();
    assert_eq!(both.x509_bundle().authorities().collect::<Vec<_>>(), [&CA.der[..]]);
    assert_eq!(both.skipped(), []);
    assert_eq!(reasons(both.warnings()), [(0, "extra_certificates")]);
}

#[test]
fn rule_5_6_x5c_may_be_broken_into_lines() {
    let mut text = BASE64.encode(&CA.der);
    for place in (64..text.len()).step_by(64).rev() {
        text.insert_str(place, "\r\n ");
    }
    let bundle = document(&[with(x509_svid(&CA), "x5c", json!([text]))]).unwrap();
    assert!(bundle.x509_bundle().has_authority(&CA.der));
}

#[test]
fn rule_5_6_a_key_id_does_not_matter_to_certificates() {
    let bundle = document(&[with(x509_svid(&CA), "kid", json!("k"))]).unwrap();
    assert_eq!(bundle.x509_bundle().len(), 1);
}

#[test]
fn rule_5_6_the_certificate_is_about_the_key() {
    let written: Value = {
        let bundle = SpiffeBundle::from_bundles(CA.bundle("example.org"), JwtBundle::new(domain())).unwrap();
        serde_json::from_str(&bundle.to_json().unwrap()).unwrap()
    };
    let good = written["keys"][0].clone();
    assert_eq!(in_document(good.clone()), []);
    let other = Ca::root("other");
    assert_eq!(in_document(with(good, "x5c", json!([BASE64.encode(&other.der)]))), [(1, "certificate_mismatch")]);
}

#[test]
fn rule_5_7_a_certificate_need_not_be_self_signed() {
    let intermediate = CA.intermediate(ca_params("intermediate"));
    let bundle = document(&[x509_svid(&intermediate)]).unwrap();
    assert!(bundle.x509_bundle().has_authority(&intermediate.der));
}

#[test]
fn rule_5_8_keys_for_tokens_have_a_key_id() {
    for key in [without(jwk(&EC, "k"), "kid"), with(jwk(&EC, "k"), "kid", json!(""))] {
        assert_eq!(in_workload_api(key.clone()), [(1, "missing_key_id")]);
        assert_eq!(in_document(with(key.clone(), "use", json!("jwt-svid"))), [(1, "missing_key_id")]);
        assert_eq!(in_document(with(key, "use", json!("wit-svid"))), [(1, "missing_key_id")]);
    }
}

#[test]
fn rule_5_9_of_two_keys_with_one_key_id_the_last_counts() {
    let bundle = document(&[jwt_svid(&EC, "k"), jwt_svid(&RSA, "k")]).unwrap();
    assert_eq!(bundle.jwt_bundle().authority("k").unwrap().public_key(), &RSA.public_key());
    assert_eq!(reasons(bundle.skipped()), [(0, "duplicate_key_id")]);
}

#[test]
fn rule_5_10_use_may_be_missing_from_the_workload_api() {
    assert_eq!(in_workload_api(jwk(&EC, "k")), []);
    for purpose in ["sig", "jwt-svid"] {
        assert_eq!(in_workload_api(with(jwk(&EC, "k"), "use", json!(purpose))), [], "{purpose}");
    }
    for purpose in ["x509-svid", "wit-svid", "enc", "other", ""] {
        assert_eq!(in_workload_api(with(jwk(&EC, "k"), "use", json!(purpose))), [(1, "other_use")], "{purpose}");
    }
}

#[test]
fn rule_3_11_broken_keys_are_left_out() {
    let ec = |name: &str, value: Value| in_document(with(jwt_svid(&EC, "k"), name, value));
    let rsa = |name: &str, value: Value| in_document(with(jwt_svid(&RSA, "k"), name, value));
    let x = jwk(&EC, "k")["x"].as_str().unwrap().to_owned();
    assert_eq!(ec("x", json!("A".repeat(43))), [(1, "invalid_key")], "not on the curve");
    for bad in [json!(null), json!(""), json!("*"), json!(format!("{x}=")), json!(format!("AA{x}")), json!(&x[..42])] {
        assert_eq!(ec("x", bad.clone()), [(1, "invalid_key")], "{bad}");
        assert_eq!(ec("y", bad.clone()), [(1, "invalid_key")], "{bad}");
    }
    assert_eq!(ec("crv", json!(null)), [(1, "invalid_key")]);
    for bad in ["", "AQ", "Ag", "AAE"] {
        assert_eq!(rsa("e", json!(bad)), [(1, "invalid_key")], "exponent {bad}");
    }
    assert_eq!(rsa("n", json!("")), [(1, "invalid_key")]);
    assert_eq!(rsa("alg", json!("ES256")), [(1, "unsupported_algorithm")]);
    assert_eq!(rsa("alg", json!("RSA-OAEP")), [(1, "unsupported_algorithm")]);
    assert_eq!(rsa("alg", json!("RS512")), []);
    assert_eq!(rsa("key_ops", json!(["sign"])), [(1, "unsupported_algorithm")]);
    assert_eq!(rsa("key_ops", json!(["verify"])), []);
}

#[test]
fn rule_3_11_weak_rsa_is_refused() {
    let modulus = |bytes: usize, first: u8| {
        let mut n = vec![0xff; bytes];
        n[0] = first;
        with(jwt_svid(&RSA, "k"), "n", json!(data_encoding::BASE64URL_NOPAD.encode(&n)))
    };
    assert_eq!(in_document(modulus(128, 0xff)), [(1, "rsa_size")]);
    assert_eq!(in_document(modulus(256, 0x7f)), [(1, "rsa_size")], "2047 bits");
    assert_eq!(in_document(modulus(1025, 0x01)), [(1, "rsa_size")], "8193 bits");
    assert_eq!(in_document(modulus(256, 0x80)), []);
    assert_eq!(in_document(modulus(257, 0x00)), [], "a leading zero is no bit");
}

#[test]
fn rule_5_1_limits() {
    let keys = |count: usize| format!("{{\"keys\":[{}]}}", vec!["{}"; count].join(","));
    assert_eq!(JwtBundle::from_jwks(domain(), keys(1024).as_bytes()).unwrap().skipped().len(), 1024);
    assert_eq!(JwtBundle::from_jwks(domain(), keys(1025).as_bytes()).map_err(code).err(), Some("bundle_too_large"));
    let long = format!("{{\"keys\":[]{}}}", " ".repeat(1024 * 1024));
    assert_eq!(JwtBundle::from_jwks(domain(), long.as_bytes()).map_err(code).err(), Some("bundle_too_large"));
    let deep = format!("{{\"keys\":[],\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
    let _ = SpiffeBundle::parse(domain(), deep.as_bytes());
    assert!(BundleMap::parse(deep.as_bytes()).is_err());
    let sequences = [0x30, 0].repeat(1025);
    assert_eq!(X509Bundle::from_der_lazy(domain(), &sequences).map_err(code).err(), Some("bundle_too_large"));
}

#[test]
fn spiffe_documents_are_written_as_they_are_read() {
    let mut keys = Vec::new();
    for algorithm in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_ED25519] {
        keys.push(x509_svid(&Ca::self_signed_for(ca_params("root"), algorithm)));
    }
    keys.push(x509_svid(&CA));
    for (index, algorithm) in [JwsAlgorithm::ES512, JwsAlgorithm::ES384].into_iter().enumerate() {
        keys.push(jwt_svid(&Signer::ec(algorithm), &format!("k{index}")));
    }
    keys.push(with(jwt_svid(&RSA, "rsa"), "alg", json!("PS384")));
    keys.push(with(jwk(&EC, "w"), "use", json!("wit-svid")));
    let text = json!({ "keys": keys, "spiffe_sequence": u64::MAX, "spiffe_refresh_hint": 60 });
    let bundle = SpiffeBundle::parse(domain(), text.to_string().as_bytes()).unwrap();
    assert_eq!(bundle.skipped(), []);
    let written = bundle.to_json().unwrap();
    let again = SpiffeBundle::parse(domain(), written.as_bytes()).unwrap();
    assert_eq!(again, bundle);
    assert_eq!((again.skipped(), again.warnings()), (&[][..], &[][..]));
    assert_eq!(again.to_json().unwrap(), written);
    for key in serde_json::from_str::<Value>(&written).unwrap()["keys"].as_array().unwrap() {
        assert_eq!(key.get("kid").is_none(), key["use"] == "x509-svid", "{key}");
        assert!(key.get("d").is_none());
    }
}

#[test]
fn private_parts_of_a_jwk_are_not_kept() {
    let leaked = with(jwt_svid(&EC, "k"), "d", json!("c2VjcmV0"));
    assert!(!document(&[leaked]).unwrap().to_json().unwrap().contains("c2VjcmV0"));
}

#[test]
fn x509_bundles_as_der_and_pem() {
    let other = Ca::root("other");
    let der = [&CA.der[..], &other.der].concat();
    let bundle = X509Bundle::from_der(domain(), &der).unwrap();
    assert_eq!(bundle.to_der(), der);
    let pem = bundle.to_pem();
    assert_eq!(X509Bundle::from_pem(domain(), pem.as_bytes()).unwrap(), bundle);
    assert_eq!(bundle, X509Bundle::from_der(domain(), &[&other.der[..], &CA.der].concat()).unwrap());
    assert_ne!(bundle, X509Bundle::from_der(td("partner.org"), &der).unwrap());
    assert!(X509Bundle::from_der(domain(), &[]).unwrap().is_empty());
    let failed = |der: &[u8]| X509Bundle::from_der(domain(), der).map_err(code).err();
    assert_eq!(failed(b"x"), Some("malformed_der"));
    assert_eq!(failed(&der[..der.len() - 1]), Some("malformed_der"));
    assert_eq!(failed(&[0x30, 0]), Some("malformed_certificate"));
    assert_eq!(failed(&[&der[..], &CA.issue(leaf_params(ID)).der].concat()), Some("signing_not_ca"));
    assert_eq!(X509Bundle::from_pem(domain(), b"").map_err(code).err(), Some("malformed_pem"));
}

#[test]
fn authorities_are_added_and_removed() {
    let other = Ca::root("other");
    let mut bundle = CA.bundle("example.org");
    let before = (bundle.clone(), bundle.revision());
    assert!(!bundle.add_authority(&CA.der).unwrap());
    assert_eq!(bundle.revision(), before.1);
    assert!(bundle.add_authority(&other.der).unwrap());
    assert!(bundle.has_authority(&other.der) && bundle.revision() != before.1);
    assert_eq!(before.0.len(), 1);
    assert!(bundle.remove_authority(&CA.der) && !bundle.remove_authority(&CA.der));
    assert_eq!(bundle.authorities().collect::<Vec<_>>(), [&other.der[..]]);
    assert_eq!(bundle.add_authority(b"x").map_err(code), Err("malformed_certificate"));

    let mut bundle = JwtBundle::new(domain());
    assert!(bundle.add_authority(EC.authority("k")).unwrap());
    assert!(!bundle.add_authority(EC.authority("k")).unwrap());
    assert!(bundle.add_authority(RSA.authority("k")).unwrap());
    assert_eq!(bundle.len(), 1);
    assert!(bundle.remove_authority("k").unwrap() && !bundle.remove_authority("k").unwrap());
    assert!(bundle.is_empty());
}

#[test]
fn rule_5_11_bundle_maps() {
    let text = json!({ "trust_domains": {
        "example.org": { "keys": [x509_svid(&CA), jwt_svid(&EC, "k")], "spiffe_refresh_hint": 5, "spiffe_sequence": 7 },
        "partner.org": { "keys": [] },
    } });
    let map = BundleMap::parse(text.to_string().as_bytes()).unwrap();
    assert_eq!(map.len(), 2);
    let bundle = map.get(&domain()).unwrap();
    assert_eq!((bundle.refresh_hint(), bundle.sequence()), (None, Some(7)));
    let written = map.to_json().unwrap();
    assert_eq!(BundleMap::parse(written.as_bytes()).unwrap(), map);
    assert_eq!(BundleMap::parse(written.as_bytes()).unwrap().to_json().unwrap(), written);
    let set = map.to_bundle_set();
    assert_eq!(set.len(), 2);
    assert_eq!(set.x509_bundle(&domain()), Some(bundle.x509_bundle()));
    assert!(set.x509_bundle(&td("partner.org")).unwrap().is_empty());
}

#[test]
fn rule_5_11_a_bundle_map_is_taken_whole_or_not_at_all() {
    let failed = |text: &str| BundleMap::parse(text.as_bytes()).map_err(code).err();
    assert_eq!(failed(r#"{"trust_domains":{}}"#), None);
    assert_eq!(failed("{}"), Some("missing_trust_domains"));
    assert_eq!(failed("["), Some("malformed_json"));
    assert_eq!(failed(r#"{"trust_domains":{"a":{"keys":[]},"a":{"keys":[]}}}"#), Some("duplicate_member"));
    assert_eq!(failed(r#"{"trust_domains":{},"trust_domains":{}}"#), Some("duplicate_member"));
    assert_eq!(failed(r#"{"trust_domains":{"a":{"keys":[{"kty":"EC","kty":"EC"}]}}}"#), Some("duplicate_member"));
    assert_eq!(failed(r#"{"trust_domains":{},"x":{"y":[{"z":1,"\u007a":2}]}}"#), Some("duplicate_member"));
    assert_eq!(failed(r#"{"trust_domains":{"a":{"keys":[]},"A":{"keys":[]}}}"#), Some("duplicate_trust_domain"));
    assert_eq!(failed(r#"[{"a":{"keys":[]}}]"#), Some("malformed_json"));
    assert_eq!(failed(r#"{"trust_domains":{"a b":{"keys":[]}}}"#), Some("invalid_trust_domain"));
    assert_eq!(failed(r#"{"trust_domains":{"a":{"keys":[]},"b":{}}}"#), Some("missing_keys"));
}

#[test]
fn rule_5_4_members_of_other_key_types_do_not_matter() {
    assert_eq!(in_document(with(jwt_svid(&EC, "k"), "e", json!(7))), []);
    assert_eq!(in_document(with(jwt_svid(&RSA, "k"), "crv", json!(["x"]))), []);
    assert_eq!(in_document(with(jwt_svid(&RSA, "k"), "x5c", json!("x"))), []);
    assert_eq!(in_document(with(jwt_svid(&EC, "k"), "x", json!(7))), [(1, "invalid_key")]);
    assert_eq!(in_document(with(x509_svid(&CA), "x5c", json!("x"))), [(1, "missing_certificate")]);
    assert_eq!(in_document(with(x509_svid(&CA), "x5c", json!([7]))), [(1, "invalid_certificate")]);
    assert_eq!(in_document(with(jwt_svid(&EC, "k"), "key_ops", json!("verify"))), [(1, "unsupported_algorithm")]);
}
