use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use countersign::spiffe::{
    BundleSet, JwsAlgorithm, JwtBundle, JwtSvid, JwtVerifyOptions, SpiffeBundle, verify_jwt_svid,
};
use serde_json::{Value, json};

use crate::{
    issuer::{ID, NOW, at, td},
    jwt_signers::{Signer, encode, signed_by_node},
};

const AUDIENCE: &str = "spiffe://example.org/reports";

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::ec(JwsAlgorithm::ES256));
static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);

fn bundle(keys: &[(&str, &Signer)]) -> JwtBundle {
    let mut bundle = JwtBundle::new(td("example.org"));
    for (key_id, signer) in keys {
        bundle.add_authority(signer.authority(key_id)).unwrap();
    }
    bundle
}

fn set() -> BundleSet {
    [bundle(&[("a", &SIGNER)])].into_iter().collect()
}

fn options() -> JwtVerifyOptions {
    JwtVerifyOptions { now: at(NOW), ..JwtVerifyOptions::new(AUDIENCE) }
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "a", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "sub": ID, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn token(header: &Value, claims: &Value) -> String {
    SIGNER.sign(JwsAlgorithm::ES256, &header.to_string(), &claims.to_string())
}

fn verdict(token: &str, options: &JwtVerifyOptions) -> &'static str {
    match verify_jwt_svid(token, &set(), options) {
        Ok(_) => "accepted",
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(token.len() < 9 || !shown.contains(token), "an error repeats the token");
            error.code()
        }
    }
}

/// A token whose claims were bent, well signed.
fn of_claims(claims: &Value) -> &'static str {
    verdict(&token(&header(), claims), &options())
}

fn of_header(header: &Value) -> &'static str {
    verdict(&token(header, &claims()), &options())
}

#[test]
fn a_conformant_token() {
    let text = token(&header(), &claims());
    let svid = verify_jwt_svid(&text, &set(), &options()).unwrap();
    assert_eq!(svid.spiffe_id().as_str(), ID);
    assert_eq!(svid.audience(), [AUDIENCE]);
    assert_eq!(svid.expires_at(), at(NOW + 300).unwrap());
    assert_eq!(svid.issued_at(), Some(NOW as i64));
    assert_eq!((svid.key_id(), svid.algorithm()), (Some("a"), JwsAlgorithm::ES256));
    assert_eq!(svid.token(), text);
    assert_eq!(serde_json::from_str::<Value>(svid.claims_json()).unwrap(), claims());
    assert!(!svid.is_expired(at(NOW)) && svid.is_expired(at(NOW + 300)));
    assert_eq!(JwtSvid::parse_insecure(&text).unwrap(), svid);
    let delivered = JwtSvid::from_workload_api(&text, Some("internal")).unwrap();
    assert_eq!(delivered.hint(), Some("internal"));
    let shown = format!("{svid:?}");
    assert!(!shown.contains(text.split('.').nth(2).unwrap()), "{shown}");
}

#[test]
fn rule_3_1_compact_serialization_only() {
    let text = token(&header(), &claims());
    let parts: Vec<&str> = text.split('.').collect();
    let flattened = json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] });
    for (text, code) in [
        (String::new(), "not_compact"),
        ("..".to_owned(), "not_compact"),
        (parts[..2].join("."), "not_compact"),
        (format!("{text}."), "not_compact"),
        (format!("{text}.a.b"), "not_compact"),
        (flattened.to_string(), "not_compact"),
        (format!("{text}="), "malformed_base64"),
        (format!(" {text}"), "malformed_base64"),
        (format!("{text}\n"), "malformed_base64"),
        (text.replace('.', ".\u{e9}"), "malformed_base64"),
        (format!("{}.{}.{}", parts[0], parts[1], "_-+/"), "malformed_base64"),
        (format!("{}.{}.", parts[0], parts[1]), "invalid_signature"),
    ] {
        assert_eq!(verdict(&text, &options()), code, "{text}");
    }
    // Bits behind the last byte are a second spelling of the same signature.
    let mut other = text.clone().into_bytes();
    let last = other.last_mut().unwrap();
    *last = if *last == b'A' { b'B' } else { *last + 1 };
    let other = String::from_utf8(other).unwrap();
    assert_ne!(verdict(&other, &options()), "accepted");
}

#[test]
fn rule_3_1_header_and_payload_are_objects() {
    for text in
        ["", "[]", "1", "null", "{", "{}x", "\"a\"", "{\"alg\":1}", "{\"alg\":\"ES256\",\"kid\":null}", "\u{feff}{}"]
    {
        let text = SIGNER.sign(JwsAlgorithm::ES256, text, &claims().to_string());
        let code = verdict(&text, &options());
        assert!(["malformed_header", "not_compact"].contains(&code), "{text} {code}");
    }
    // An array that names the claims by their place is no set of claims.
    let by_place = json!(["spiffe://example.org/a", "audience", NOW + 60, null, null]).to_string();
    for text in ["", "1", "null", "{", "{}x", "\"a\"", &by_place] {
        let text = SIGNER.sign(JwsAlgorithm::ES256, &header().to_string(), text);
        assert_eq!(verdict(&text, &options()), "malformed_claims", "{text}");
    }
}

#[test]
fn rule_3_2_none_symmetric_and_others_are_refused() {
    for alg in ["none", "None", "", "HS256", "HS384", "HS512", "EdDSA", "ES256K", "es256", "RSA-OAEP", "RS1"] {
        assert_eq!(of_header(&with(header(), "alg", json!(alg))), "unsupported_algorithm", "{alg}");
    }
    assert_eq!(of_header(&without(header(), "alg")), "unsupported_algorithm");
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims().to_string()));
    assert_eq!(verdict(&unsigned, &options()), "unsupported_algorithm");
}

#[test]
fn rule_3_2_all_nine_signed_by_the_same_library() {
    for algorithm in JwsAlgorithm::ALL {
        let signer = Signer::suiting(algorithm);
        let text =
            signer.sign(algorithm, &json!({ "alg": algorithm.name(), "kid": "k" }).to_string(), &claims().to_string());
        let bundle = bundle(&[("k", &signer)]);
        let judge = |text: &str| verify_jwt_svid(text, &bundle, &options()).map_err(|error| error.code());
        judge(&text).unwrap_or_else(|code| panic!("{algorithm}: {code}"));
        let (head, signature) = text.rsplit_once('.').unwrap();
        let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
        assert!(judge(&forged).is_err(), "{algorithm}");
        assert!(judge(&format!("{head}.")).is_err(), "{algorithm}");
    }
}

#[test]
fn rule_3_2_all_nine_signed_by_node() {
    let signed = signed_by_node(&claims().to_string());
    let bundle = JwtBundle::from_jwks(td("example.org"), signed.jwks.as_bytes()).unwrap();
    assert_eq!((bundle.len(), bundle.skipped()), (4, &[][..]));
    let names: BTreeSet<&str> = signed.tokens.keys().map(String::as_str).collect();
    assert_eq!(names, JwsAlgorithm::ALL.iter().map(|algorithm| algorithm.name()).collect());
    for (algorithm, token) in &signed.tokens {
        verify_jwt_svid(token, &bundle, &options()).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        let (head, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = head.split_once('.').unwrap();
        let other = with(claims(), "sub", json!("spiffe://example.org/other")).to_string();
        let forged = format!("{header}.{}.{signature}", encode(&other));
        let error = verify_jwt_svid(&forged, &bundle, &options()).unwrap_err();
        assert_eq!(error.code(), "invalid_signature", "{algorithm}");
    }
}

#[test]
fn rule_3_3_key_id_is_optional_when_one_key_suits() {
    let text = token(&without(header(), "kid"), &claims());
    let judge = |bundle: &JwtBundle, options: &JwtVerifyOptions| {
        verify_jwt_svid(&text, bundle, options).map_or_else(|error| error.code(), |_| "accepted")
    };
    let other = Signer::ec(JwsAlgorithm::ES256);
    assert_eq!(judge(&bundle(&[("a", &SIGNER)]), &options()), "accepted");
    assert_eq!(judge(&bundle(&[("a", &SIGNER), ("r", &RSA)]), &options()), "accepted");
    assert_eq!(judge(&bundle(&[("a", &SIGNER), ("b", &other)]), &options()), "ambiguous_key");
    assert_eq!(judge(&bundle(&[("r", &RSA)]), &options()), "ambiguous_key");
    assert_eq!(judge(&bundle(&[]), &options()), "ambiguous_key");
    assert_eq!(judge(&bundle(&[("b", &other)]), &options()), "invalid_signature");
    let strict = JwtVerifyOptions { require_kid: true, ..options() };
    assert_eq!(judge(&bundle(&[("a", &SIGNER)]), &strict), "missing_key_id");
    assert_eq!(of_header(&with(header(), "kid", json!(""))), "unknown_key_id");
}

#[test]
fn rule_3_4_typ_is_absent_jwt_or_jose() {
    assert_eq!(of_header(&without(header(), "typ")), "accepted");
    assert_eq!(of_header(&with(header(), "typ", json!("JOSE"))), "accepted");
    for typ in ["jwt", "wit+jwt", "at+jwt", ""] {
        assert_eq!(of_header(&with(header(), "typ", json!(typ))), "invalid_type", "{typ}");
    }
}

#[test]
fn rule_3_5_no_other_headers() {
    let relaxed = JwtVerifyOptions { allow_extra_headers: true, ..options() };
    for name in ["cty", "jku", "jwk", "x5c", "x5u", "nonce", "Alg"] {
        let text = token(&with(header(), name, json!("x")), &claims());
        assert_eq!(verdict(&text, &options()), "unexpected_header", "{name}");
        assert_eq!(verdict(&text, &relaxed), "accepted", "{name}");
        assert!(JwtSvid::parse_insecure(&text).is_err());
        assert!(JwtSvid::from_workload_api(&text, None).is_ok());
    }
    for crit in [json!(["exp"]), json!([]), json!(null)] {
        let text = token(&with(header(), "crit", crit), &claims());
        assert_eq!(verdict(&text, &options()), "critical_header");
        assert_eq!(verdict(&text, &relaxed), "critical_header");
    }
}

#[test]
fn rule_3_5_headers_are_named_once() {
    for twice in [
        r#"{"alg":"none","alg":"ES256","kid":"a"}"#,
        r#"{"alg":"ES256","kid":"a","kid":"a"}"#,
        r#"{"alg":"ES256","kid":"a","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"ES256","kid":"a","\u0061lg":"ES256"}"#,
    ] {
        let text = SIGNER.sign(JwsAlgorithm::ES256, twice, &claims().to_string());
        assert_eq!(verdict(&text, &options()), "malformed_header", "{twice}");
    }
}

#[test]
fn rule_3_6_subject_is_a_spiffe_id() {
    assert_eq!(of_claims(&without(claims(), "sub")), "missing_subject");
    assert_eq!(of_claims(&with(claims(), "sub", json!(null))), "missing_subject");
    assert_eq!(of_claims(&with(claims(), "sub", json!(""))), "missing_subject");
    for sub in
        [json!("alice"), json!("https://example.org/a"), json!("spiffe://example.org/a/../b"), json!(7), json!([ID])]
    {
        assert_eq!(of_claims(&with(claims(), "sub", sub.clone())), "invalid_subject", "{sub}");
    }
}

#[test]
fn rule_3_6_subject_without_a_path_is_a_spiffe_id() {
    assert_eq!(of_claims(&with(claims(), "sub", json!("spiffe://example.org"))), "accepted");
}

#[test]
fn rule_3_6_claims_are_named_once() {
    for name in ["sub", "aud", "exp", "nbf", "iat"] {
        let twice = claims().to_string().replacen('{', &format!("{{\"{name}\":{NOW},\"{name}\":{NOW},"), 1);
        let text = SIGNER.sign(JwsAlgorithm::ES256, &header().to_string(), &twice);
        assert_eq!(verdict(&text, &options()), "malformed_claims", "{name}");
    }
}

#[test]
fn rule_3_7_audience() {
    assert_eq!(of_claims(&without(claims(), "aud")), "missing_audience");
    for aud in [json!(null), json!([]), json!(""), json!([""])] {
        assert_eq!(of_claims(&with(claims(), "aud", aud.clone())), "missing_audience", "{aud}");
    }
    for aud in [json!(7), json!({}), json!([AUDIENCE, 7]), json!([[AUDIENCE]])] {
        assert_eq!(of_claims(&with(claims(), "aud", aud.clone())), "invalid_audience", "{aud}");
    }
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["x", AUDIENCE])] {
        assert_eq!(of_claims(&with(claims(), "aud", aud.clone())), "accepted", "{aud}");
    }
    for aud in [json!("x"), json!(["x", "y"]), json!(AUDIENCE.to_uppercase()), json!(format!("{AUDIENCE}/"))] {
        assert_eq!(of_claims(&with(claims(), "aud", aud.clone())), "audience_mismatch", "{aud}");
    }
    let many = |count: usize| json!(std::iter::repeat_n(AUDIENCE, count).collect::<Vec<_>>());
    assert_eq!(of_claims(&with(claims(), "aud", many(32))), "accepted");
    assert_eq!(of_claims(&with(claims(), "aud", many(33))), "too_many_audiences");
}

#[test]
fn rule_3_7_the_verifier_says_whom_it_is() {
    let text = token(&header(), &claims());
    let judge = |audience: Vec<String>| verdict(&text, &JwtVerifyOptions { audience, ..options() });
    assert_eq!(judge(vec![]), "no_expected_audience");
    assert_eq!(judge(vec![String::new()]), "no_expected_audience");
    assert_eq!(judge(vec!["x".to_owned(), AUDIENCE.to_owned()]), "accepted");
    assert_eq!(judge(vec!["x".to_owned(), "y".to_owned()]), "audience_mismatch");
    assert_eq!(judge(vec![AUDIENCE.to_owned(); 33]), "too_many_expected_audiences");
    // An empty name on both sides is no match.
    let empty = token(&header(), &with(claims(), "aud", json!(["", "y"])));
    let audience = vec![String::new(), "x".to_owned()];
    assert_eq!(verdict(&empty, &JwtVerifyOptions { audience, ..options() }), "audience_mismatch");
}

#[test]
fn rule_3_8_expiry_and_leeway() {
    assert_eq!(of_claims(&without(claims(), "exp")), "missing_expiry");
    assert_eq!(of_claims(&with(claims(), "exp", json!(null))), "missing_expiry");
    for exp in
        [json!("1800000300"), json!(1e300), json!(u64::MAX), json!(i64::MAX), json!(253_402_300_800_u64), json!([])]
    {
        assert_eq!(of_claims(&with(claims(), "exp", exp.clone())), "invalid_expiry", "{exp}");
    }
    let judge = |exp: Value, leeway| {
        let options = JwtVerifyOptions { leeway: Duration::from_secs(leeway), ..options() };
        verdict(&token(&header(), &with(claims(), "exp", exp)), &options)
    };
    assert_eq!(judge(json!(-1), 0), "expired");
    assert_eq!(judge(json!(NOW + 1), 0), "accepted");
    assert_eq!(judge(json!(NOW), 0), "expired");
    assert_eq!(judge(json!(NOW as f64 + 1.5), 0), "accepted");
    assert_eq!(judge(json!(NOW as f64 + 0.5), 0), "expired");
    assert_eq!(judge(json!(NOW - 4), 5), "accepted");
    assert_eq!(judge(json!(NOW - 5), 5), "expired");
    assert_eq!(judge(json!(NOW - 119), 120), "accepted");
    assert_eq!(judge(json!(NOW + 300), 121), "leeway_too_long");
    assert_eq!(of_claims(&with(claims(), "exp", json!(NOW - 4))), "accepted");
    assert_eq!(of_claims(&with(claims(), "exp", json!(NOW - 5))), "expired");
    assert_eq!(of_claims(&with(claims(), "exp", json!(253_402_300_799_u64))), "accepted");
}

#[test]
fn rule_3_9_not_before_is_honoured_and_issued_at_is_not_judged() {
    let judge = |nbf: Value| of_claims(&with(claims(), "nbf", nbf));
    assert_eq!(judge(json!(NOW)), "accepted");
    assert_eq!(judge(json!(NOW + 5)), "accepted");
    assert_eq!(judge(json!(NOW + 6)), "not_yet_valid");
    assert_eq!(judge(json!(NOW as f64 + 5.5)), "not_yet_valid");
    assert_eq!(judge(json!(null)), "accepted");
    assert_eq!(judge(json!(-1)), "accepted");
    for nbf in [json!("x"), json!({})] {
        assert_eq!(judge(nbf.clone()), "invalid_not_before", "{nbf}");
    }
    for iat in [json!(NOW + 5000), json!("yesterday"), json!(null)] {
        assert_eq!(of_claims(&with(claims(), "iat", iat.clone())), "accepted", "{iat}");
    }
    for (name, value) in [("iss", json!("https://x")), ("jti", json!(7)), ("extra", json!({ "a": [1] }))] {
        assert_eq!(of_claims(&with(claims(), name, value)), "accepted");
    }
}

#[test]
fn rule_3_10_only_the_subjects_own_trust_domain_vouches() {
    let text = token(&header(), &claims());
    let judge = |set: &BundleSet| verify_jwt_svid(&text, set, &options()).map_err(|error| error.code());
    let mut other = JwtBundle::new(td("partner.org"));
    other.add_authority(SIGNER.authority("a")).unwrap();
    assert_eq!(judge(&BundleSet::new()), Err("no_bundle"));
    assert_eq!(judge(&[other.clone()].into_iter().collect()), Err("no_bundle"));
    let stranger = Signer::ec(JwsAlgorithm::ES256);
    let set = [bundle(&[("a", &stranger)]), other.clone()].into_iter().collect();
    assert_eq!(judge(&set), Err("invalid_signature"));
    let set = [bundle(&[("b", &SIGNER)]), other].into_iter().collect();
    assert_eq!(judge(&set), Err("unknown_key_id"));
    assert_eq!(judge(&[bundle(&[])].into_iter().collect()), Err("unknown_key_id"));
}

#[test]
fn rule_3_10_a_lazy_bundle_that_is_broken_says_so() {
    let text = token(&header(), &claims());
    let lazy = JwtBundle::from_jwks_lazy(td("example.org"), b"{");
    assert_eq!(verify_jwt_svid(&text, &lazy, &options()).unwrap_err().code(), "malformed_bundle");
}

#[test]
fn rule_3_11_the_algorithm_suits_the_key() {
    let judge = |alg: &str, bundle: &JwtBundle| {
        let header = json!({ "alg": alg, "kid": "k" });
        let text = SIGNER.sign(JwsAlgorithm::ES256, &header.to_string(), &claims().to_string());
        verify_jwt_svid(&text, bundle, &options()).unwrap_err().code()
    };
    let p384 = Signer::ec(JwsAlgorithm::ES384);
    assert_eq!(judge("ES256", &bundle(&[("k", &RSA)])), "algorithm_mismatch");
    assert_eq!(judge("RS256", &bundle(&[("k", &SIGNER)])), "algorithm_mismatch");
    assert_eq!(judge("ES256", &bundle(&[("k", &p384)])), "algorithm_mismatch");
    assert_eq!(judge("ES384", &bundle(&[("k", &SIGNER)])), "algorithm_mismatch");
    assert_eq!(judge("PS512", &bundle(&[("k", &p384)])), "algorithm_mismatch");
}

#[test]
fn rule_3_11_a_key_that_names_its_algorithm_takes_no_other() {
    let mut jwk: Value = {
        let document = bundle(&[("k", &RSA)]).to_jwks().unwrap();
        serde_json::from_str::<Value>(&document).unwrap()["keys"][0].clone()
    };
    jwk["alg"] = json!("PS256");
    let document = json!({ "keys": [jwk] }).to_string();
    let bundle = JwtBundle::from_jwks(td("example.org"), document.as_bytes()).unwrap();
    let judge = |algorithm: JwsAlgorithm, kid: Option<&str>| {
        let header = match kid {
            Some(kid) => json!({ "alg": algorithm.name(), "kid": kid }),
            None => json!({ "alg": algorithm.name() }),
        };
        let text = RSA.sign(algorithm, &header.to_string(), &claims().to_string());
        verify_jwt_svid(&text, &bundle, &options()).map_or_else(|error| error.code(), |_| "accepted")
    };
    assert_eq!(judge(JwsAlgorithm::PS256, Some("k")), "accepted");
    assert_eq!(judge(JwsAlgorithm::RS256, Some("k")), "algorithm_mismatch");
    assert_eq!(judge(JwsAlgorithm::PS512, Some("k")), "algorithm_mismatch");
    assert_eq!(judge(JwsAlgorithm::PS256, None), "accepted");
    assert_eq!(judge(JwsAlgorithm::RS256, None), "ambiguous_key");
}

#[test]
fn rule_4_keys_for_wit_svids_vouch_for_no_token() {
    let document = bundle(&[("a", &SIGNER)]).to_jwks().unwrap();
    let document = document.replace("{\"kty\"", "{\"use\":\"wit-svid\",\"kty\"");
    let bundle = SpiffeBundle::parse(td("example.org"), document.as_bytes()).unwrap();
    assert_eq!(bundle.wit_bundle().len(), 1);
    let text = token(&header(), &claims());
    assert_eq!(verify_jwt_svid(&text, &bundle, &options()).unwrap_err().code(), "unknown_key_id");
}

#[test]
fn tokens_of_16_kib_and_no_more() {
    let sized = |padding: usize| token(&header(), &with(claims(), "pad", json!("x".repeat(padding))));
    let short = sized(11_000);
    assert!(short.len() < 16 * 1024);
    assert_eq!(verdict(&short, &options()), "accepted");
    assert_eq!(verdict(&sized(13_000), &options()), "token_too_long");
}

#[test]
fn half_of_the_lifetime_is_when_to_rotate() {
    let svid = JwtSvid::parse_insecure(&token(&header(), &claims())).unwrap();
    assert_eq!(svid.rotation_due(), NOW as i64 + 150);
    assert!(!svid.needs_rotation(at(NOW + 149)));
    assert!(svid.needs_rotation(at(NOW + 150)));
    // Issued after it expires: due at once, and no overflow at the edges of what a claim may say.
    let late = with(claims(), "iat", json!(253_402_300_799_i64));
    assert_eq!(JwtSvid::parse_insecure(&token(&header(), &late)).unwrap().rotation_due(), NOW as i64 + 300);
    let wide = with(with(claims(), "iat", json!(-253_402_300_799_i64)), "exp", json!(253_402_300_799_i64));
    assert_eq!(JwtSvid::parse_insecure(&token(&header(), &wide)).unwrap().rotation_due(), 0);
    // Without iat it is as old as the value.
    let undated = with(without(claims(), "iat"), "exp", json!(253_402_300_799_i64));
    let svid = JwtSvid::parse_insecure(&token(&header(), &undated)).unwrap();
    assert!(!svid.needs_rotation(None) && svid.rotation_due() > NOW as i64);
}
