use std::{
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use countersign::{
    principal::oidc::{OidcKeys, OidcVerifyOptions, verify_oidc_token},
    spiffe::{JwsAlgorithm, JwtBundle, TrustDomain},
};
use serde_json::{Value, json};

use crate::jwt_signers::{Signer, encode, signed_by_node};

const ISSUER: &str = "https://issuer.example.com";
const AUDIENCE: &str = "reports";
const NOW: i64 = 1_800_000_000;

static EC: LazyLock<Signer> = LazyLock::new(|| Signer::ec(JwsAlgorithm::ES256));
static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);
static KEYS: LazyLock<OidcKeys> = LazyLock::new(|| OidcKeys::parse(jwks(json!({})).as_bytes()).unwrap());

/// The keys of the provider, with members put into each.
fn jwks(more: Value) -> String {
    let mut bundle = JwtBundle::new(TrustDomain::parse("example.org").unwrap());
    bundle.add_authority(EC.authority("ec")).unwrap();
    bundle.add_authority(RSA.authority("rsa")).unwrap();
    let mut set: Value = serde_json::from_str(&bundle.to_jwks().unwrap()).unwrap();
    for key in set["keys"].as_array_mut().unwrap() {
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    set.to_string()
}

fn options() -> OidcVerifyOptions {
    let now = Some(UNIX_EPOCH + Duration::from_secs(NOW as u64));
    OidcVerifyOptions { now, ..OidcVerifyOptions::new(ISSUER, AUDIENCE) }
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "ec", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "sub": "somebody" })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
    object
}

fn verdict(token: &str, options: &OidcVerifyOptions) -> &'static str {
    match verify_oidc_token(token, &KEYS, options) {
        Ok(_) => "accepted",
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(token.len() < 9 || !shown.contains(token), "an error repeats the token");
            error.code()
        }
    }
}

fn signed(header: &str, claims: &str) -> String {
    EC.sign(JwsAlgorithm::ES256, header, claims)
}

fn of_header(header: Value) -> &'static str {
    verdict(&signed(&header.to_string(), &claims().to_string()), &options())
}

fn of_claims(claims: Value) -> &'static str {
    verdict(&signed(&header().to_string(), &claims.to_string()), &options())
}

#[test]
fn a_good_token_gives_its_claims() {
    let text = claims().to_string();
    let token = verify_oidc_token(&signed(&header().to_string(), &text), &KEYS, &options()).unwrap();
    assert_eq!(token.claims, text);
    assert_eq!(token.expiry, NOW + 300);
    assert!(!format!("{token:?}").contains("somebody"));
}

#[test]
fn tokens_that_node_signed() {
    let signed = signed_by_node(&claims().to_string());
    let keys = OidcKeys::parse(signed.jwks.as_bytes()).unwrap();
    assert_eq!(signed.tokens.len(), 9);
    for (name, token) in &signed.tokens {
        let algorithm = JwsAlgorithm::from_name(name).unwrap();
        let default = ["RS256", "RS384", "RS512", "ES256", "ES384"].contains(&name.as_str());
        let verdict = verify_oidc_token(token, &keys, &options()).map(|_| ()).map_err(|error| error.code());
        assert_eq!(verdict, if default { Ok(()) } else { Err("algorithm_not_allowed") }, "{name}");
        let only = OidcVerifyOptions { algorithms: vec![algorithm], ..options() };
        assert!(verify_oidc_token(token, &keys, &only).is_ok(), "{name}");
    }
}

#[test]
fn the_header() {
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(of_header(with(header(), "typ", json!(typ))), "accepted", "{typ}");
    }
    for typ in ["logout+jwt", "dpop+jwt", "JOSE", "", "JWE"] {
        assert_eq!(of_header(with(header(), "typ", json!(typ))), "invalid_type", "{typ}");
    }
    assert_eq!(of_header(with(header(), "typ", Value::Null)), "accepted");
    assert_eq!(of_header(with(header(), "x5t", json!("abc"))), "accepted");
    for alg in ["none", "None", "HS256", "HS384", "HS512", "EdDSA", "es256", "ES256K", ""] {
        assert_eq!(of_header(with(header(), "alg", json!(alg))), "unsupported_algorithm", "{alg}");
    }
    assert_eq!(of_header(with(header(), "alg", Value::Null)), "unsupported_algorithm");
    assert_eq!(of_header(with(header(), "alg", json!("ES512"))), "algorithm_not_allowed");
    assert_eq!(of_header(with(header(), "alg", json!("RS256"))), "algorithm_mismatch");
    assert_eq!(of_header(with(header(), "alg", json!("ES384"))), "algorithm_mismatch");
    assert_eq!(of_header(with(header(), "crit", json!(["b64"]))), "critical_header");
    assert_eq!(of_header(with(header(), "crit", json!([]))), "critical_header");
    assert_eq!(of_header(with(header(), "kid", Value::Null)), "missing_key_id");
    assert_eq!(of_header(with(header(), "kid", json!(""))), "missing_key_id");
    assert_eq!(of_header(with(header(), "kid", json!("other"))), "unknown_key_id");
    assert_eq!(of_header(with(header(), "kid", json!(["ec"]))), "malformed_header");
    assert_eq!(of_header(with(header(), "kid", json!("rsa"))), "algorithm_mismatch");
    let twice = signed(r#"{"alg":"ES256","kid":"x","kid":"ec"}"#, &claims().to_string());
    assert_eq!(verdict(&twice, &options()), "malformed_header");
}

#[test]
fn the_signature_comes_before_every_claim() {
    let wrong = Signer::ec(JwsAlgorithm::ES256);
    for claims in [claims(), json!({}), with(claims(), "iss", json!("x")), with(claims(), "exp", json!(1))] {
        let token = wrong.sign(JwsAlgorithm::ES256, &header().to_string(), &claims.to_string());
        assert_eq!(verdict(&token, &options()), "invalid_signature");
    }
    let good = signed(&header().to_string(), &claims().to_string());
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = rest.split_once('.').unwrap();
    let forged = format!("{head}.{}.{signature}", encode(&with(claims(), "sub", json!("root")).to_string()));
    assert_eq!(verdict(&forged, &options()), "invalid_signature");
    assert_eq!(verdict(&format!("{rest}."), &options()), "invalid_signature");
    for text in ["", ".", "..", "a.b", rest, &format!("{good}.x")] {
        assert_eq!(verdict(text, &options()), "not_compact", "{text}");
    }
    assert_eq!(verdict(&format!("{good}="), &options()), "malformed_base64");
    assert_eq!(verdict(&format!(" {good}"), &options()), "malformed_base64");
}

#[test]
fn issuer_and_audience() {
    assert_eq!(of_claims(with(claims(), "iss", Value::Null)), "missing_issuer");
    assert_eq!(of_claims(with(claims(), "iss", json!([ISSUER]))), "missing_issuer");
    for other in ["https://issuer.example.com/", "https://ISSUER.example.com", "https://issuer.example.com.evil", ""] {
        assert_eq!(of_claims(with(claims(), "iss", json!(other))), "issuer_mismatch", "{other}");
    }
    assert_eq!(of_claims(with(claims(), "aud", json!(["x", AUDIENCE]))), "accepted");
    assert_eq!(of_claims(with(claims(), "aud", Value::Null)), "missing_audience");
    assert_eq!(of_claims(with(claims(), "aud", json!([]))), "missing_audience");
    assert_eq!(of_claims(with(claims(), "aud", json!(["", ""]))), "missing_audience");
    assert_eq!(of_claims(with(claims(), "aud", json!(["x"]))), "audience_mismatch");
    assert_eq!(of_claims(with(claims(), "aud", json!("Reports"))), "audience_mismatch");
    assert_eq!(of_claims(with(claims(), "aud", json!([AUDIENCE, 5]))), "invalid_audience");
    assert_eq!(of_claims(with(claims(), "aud", json!({ AUDIENCE: 1 }))), "invalid_audience");
    assert_eq!(of_claims(with(claims(), "aud", json!(vec!["x"; 33]))), "too_many_audiences");
}

#[test]
fn time() {
    for (exp, verdict) in [
        (json!(NOW - 60), "accepted"),
        (json!(NOW - 61), "expired"),
        (json!(0), "expired"),
        (json!(i64::MIN), "invalid_expiry"),
        (json!(i64::MAX), "invalid_expiry"),
        (json!(u64::MAX), "invalid_expiry"),
        (json!(NOW as f64 + 0.5), "invalid_expiry"),
        (json!((NOW + 300).to_string()), "invalid_expiry"),
        (json!([NOW + 300]), "invalid_expiry"),
        (Value::Null, "missing_expiry"),
    ] {
        assert_eq!(of_claims(with(claims(), "exp", exp.clone())), verdict, "exp {exp}");
    }
    for (nbf, verdict) in [
        (json!(NOW + 60), "accepted"),
        (json!(NOW + 61), "not_yet_valid"),
        (json!("now"), "invalid_not_before"),
        (json!(i64::MAX), "invalid_not_before"),
    ] {
        assert_eq!(of_claims(with(claims(), "nbf", nbf.clone())), verdict, "nbf {nbf}");
    }
    let mut null = claims();
    null["exp"] = Value::Null;
    assert_eq!(of_claims(null), "invalid_expiry");
}

#[test]
fn claims_are_one_object_and_name_each_member_once() {
    let head = header().to_string();
    let of = |claims: &str| verdict(&signed(&head, claims), &options());
    assert_eq!(
        of(&claims().to_string().replacen('{', r#"{"iss":"https://issuer.example.com","#, 1)),
        "malformed_claims"
    );
    assert_eq!(of(&claims().to_string().replacen('{', r#"{"repository":{"a":1,"a":2},"#, 1)), "malformed_claims");
    for text in ["", "[]", "null", "\"x\"", "{", "5"] {
        assert_eq!(of(text), "malformed_claims", "{text}");
    }
    assert_eq!(
        of(&claims().to_string().replacen('{', &format!("{{\"x\":{}{},", "[".repeat(300), "]".repeat(300)), 1)),
        "malformed_claims"
    );
}

#[test]
fn a_token_is_looked_at_up_to_8192_bytes() {
    // Base64url knows no text of 4n + 1 characters: one of two headers makes the length come out.
    let token = |pad: &str, padding: usize| {
        let claims = with(claims(), "pad", json!("x".repeat(padding)));
        signed(&with(header(), "pad", json!(pad)).to_string(), &claims.to_string())
    };
    let of = |length: usize| {
        let all = ["", "x"].into_iter().flat_map(|pad| (5500..6000).map(move |padding| (pad, padding)));
        all.map(|(pad, padding)| token(pad, padding)).find(|token| token.len() == length).unwrap()
    };
    assert_eq!(verdict(&of(8192), &options()), "accepted");
    assert_eq!(verdict(&of(8193), &options()), "token_too_long");
    assert_eq!(verdict(&"a".repeat(8193), &options()), "token_too_long");
    assert_eq!(verdict(&"a".repeat(8192), &options()), "not_compact");
}

#[test]
fn a_verifier_says_whom_it_believes_and_who_it_is() {
    let good = signed(&header().to_string(), &claims().to_string());
    let of = |change: fn(&mut OidcVerifyOptions)| {
        let mut options = options();
        change(&mut options);
        verdict(&good, &options)
    };
    assert_eq!(of(|options| options.issuer.clear()), "no_expected_issuer");
    assert_eq!(of(|options| options.audience.clear()), "no_expected_audience");
    assert_eq!(of(|options| options.audience = vec![String::new()]), "no_expected_audience");
    assert_eq!(of(|options| options.audience = vec!["x".into(); 33]), "too_many_expected_audiences");
    assert_eq!(of(|options| options.audience = vec!["x".into(), AUDIENCE.into()]), "accepted");
    assert_eq!(of(|options| options.leeway = Duration::from_secs(121)), "leeway_too_long");
    assert_eq!(of(|options| options.algorithms.clear()), "algorithm_not_allowed");
}

#[test]
fn keys_are_taken_one_by_one() {
    let taken = |more: Value| {
        let keys = OidcKeys::parse(jwks(more).as_bytes()).unwrap();
        let ids: Vec<_> = keys.key_ids().map(str::to_owned).collect();
        let skipped: Vec<_> = keys.skipped().iter().map(|remark| remark.reason.as_str()).collect();
        (ids.join(" "), skipped.join(" "))
    };
    let all = ("ec rsa".to_owned(), String::new());
    assert_eq!(taken(json!({})), all);
    assert_eq!(taken(json!({ "use": "sig" })), all);
    assert_eq!(taken(json!({ "key_ops": ["verify"], "x5c": ["zzz"], "x5t": "a" })), all);
    for (more, reason) in [
        (json!({ "use": "enc" }), "other_use"),
        (json!({ "use": "jwt-svid" }), "other_use"),
        (json!({ "d": "AA" }), "private_key"),
        (json!({ "p": "AA" }), "private_key"),
        (json!({ "q": 5 }), "private_key"),
        (json!({ "kid": "" }), "missing_key_id"),
        (json!({ "kid": null }), "missing_key_id"),
        (json!({ "kty": "oct", "k": "AA" }), "unknown_key_type"),
        (json!({ "kty": "OKP", "crv": "Ed25519" }), "unknown_key_type"),
        (json!({ "alg": "HS256" }), "unsupported_algorithm"),
        (json!({ "alg": "none" }), "unsupported_algorithm"),
        (json!({ "key_ops": ["sign"] }), "unsupported_algorithm"),
        (json!({ "n": "AA", "x": "AA" }), "invalid_key"),
    ] {
        let (ids, skipped) = taken(more.clone());
        assert_eq!(ids, "", "{more}");
        assert!(skipped.split(' ').all(|one| one == reason), "{more}: {skipped}");
    }
    for text in ["", "[]", "{}", "{\"keys\":5}", "{\"keys\":[],\"keys\":[]}"] {
        assert!(OidcKeys::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(OidcKeys::parse(&vec![b' '; (1 << 20) + 1]).is_err());
    assert_eq!(format!("{:?}", *KEYS), r#"OidcKeys(["ec", "rsa"])"#);
}

#[test]
fn a_key_that_names_its_algorithm_is_used_with_no_other() {
    let mut set: Value = serde_json::from_str(&jwks(json!({}))).unwrap();
    for key in set["keys"].as_array_mut().unwrap() {
        key["alg"] = json!(if key["kty"] == "EC" { "ES256" } else { "RS512" });
    }
    let keys = OidcKeys::parse(set.to_string().as_bytes()).unwrap();
    let of = |algorithm: JwsAlgorithm| {
        let head = json!({ "alg": algorithm.name(), "kid": "rsa" }).to_string();
        verify_oidc_token(&RSA.sign(algorithm, &head, &claims().to_string()), &keys, &options())
            .map(|_| ())
            .map_err(|error| error.code())
    };
    assert_eq!(of(JwsAlgorithm::RS512), Ok(()));
    assert_eq!(of(JwsAlgorithm::RS256), Err("algorithm_mismatch"));
}
