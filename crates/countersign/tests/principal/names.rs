use countersign::{
    principal::{IdentityError, IdentityReason, Issuer, Rules, TrustDomain, WorkloadId},
    spiffe::SpiffeId,
};
use proptest::prelude::*;

fn told(error: IdentityError) -> (&'static str, &'static str) {
    let kind = match error {
        IdentityError::InvalidSpiffeId(_) => "spiffe_id",
        IdentityError::InvalidTrustDomain(_) => "trust_domain",
        IdentityError::InvalidComponent { component, .. } => component,
        _ => "nobody",
    };
    (kind, error.reason().map_or("", IdentityReason::as_str))
}

#[track_caller]
fn refused(text: &str) -> (&'static str, &'static str) {
    told(WorkloadId::parse(text).map(|id| panic!("{id} was taken")).unwrap_err())
}

#[test]
fn trust_domains() {
    for text in ["a", "0", "example.org", "a..b", "a--b", "a.", "a-", "10.0.0.1", "xn--bcher-kva", &"a".repeat(255)] {
        assert_eq!(TrustDomain::parse(text).unwrap().as_str(), text);
    }
    for (text, reason) in [
        ("", "empty"),
        (&"a".repeat(256)[..], "trust_domain_too_long"),
        (&"é".repeat(128), "trust_domain_too_long"),
        (".a", "bad_first_char"),
        ("-a", "bad_first_char"),
        ("_a", "bad_first_char"),
        (" a", "bad_first_char"),
        ("ä", "bad_first_char"),
        ("A", "bad_trust_domain_char"),
        ("a_b", "bad_trust_domain_char"),
        ("aB", "bad_trust_domain_char"),
        ("a/b", "bad_trust_domain_char"),
        ("a:1", "bad_trust_domain_char"),
        ("a ", "bad_trust_domain_char"),
        ("a\0", "bad_trust_domain_char"),
    ] {
        assert_eq!(told(TrustDomain::parse(text).unwrap_err()), ("trust_domain", reason), "{text:?}");
    }
}

#[test]
fn workload_ids_in_the_order_of_the_rules() {
    for (text, kind, reason) in [
        ("x".repeat(2049).as_str(), "spiffe_id", "too_long"),
        ("", "spiffe_id", "wrong_scheme"),
        ("SPIFFE://td/a", "spiffe_id", "wrong_scheme"),
        ("spiffe:/td", "spiffe_id", "wrong_scheme"),
        ("https://td/a", "spiffe_id", "wrong_scheme"),
        ("spiffe://u@td/a?b", "spiffe_id", "query_or_fragment"),
        ("spiffe://td/a#b", "spiffe_id", "query_or_fragment"),
        ("spiffe://u:p@td/a", "spiffe_id", "user_info"),
        ("spiffe://td:80/a", "spiffe_id", "port"),
        ("spiffe://[::1]/a", "spiffe_id", "port"),
        ("spiffe://", "spiffe_id", "missing_trust_domain"),
        ("spiffe:///a", "spiffe_id", "missing_trust_domain"),
        ("spiffe://TD/a", "spiffe_id", "bad_trust_domain_char"),
        ("spiffe://-td/a", "spiffe_id", "bad_first_char"),
        ("spiffe://t_d/a", "spiffe_id", "bad_trust_domain_char"),
        ("spiffe://td/", "path segment", "empty_segment"),
        ("spiffe://td/a//b", "path segment", "empty_segment"),
        ("spiffe://td/a/", "path segment", "empty_segment"),
        ("spiffe://td/a/../b", "path segment", "dot_segment"),
        ("spiffe://td/.", "path segment", "dot_segment"),
        ("spiffe://td/a%2fb", "path segment", "bad_path_segment_char"),
        ("spiffe://td/a b", "path segment", "bad_path_segment_char"),
        ("spiffe://td/ä", "path segment", "bad_path_segment_char"),
    ] {
        assert_eq!(refused(text), (kind, reason), "{text}");
    }
    let long = format!("spiffe://{}/a", "a".repeat(256));
    assert_eq!(refused(&long), ("spiffe_id", "trust_domain_too_long"));
    for text in ["spiffe://td", "spiffe://td/...", "spiffe://td/..b/.a/a.", "spiffe://td/A-z_0.~", "spiffe://a-/a"] {
        assert_eq!(WorkloadId::parse(text).unwrap().as_str(), text);
    }
    let longest = format!("spiffe://td/{}", "a".repeat(2048 - 12));
    assert!(WorkloadId::parse(&longest).is_ok());
}

#[test]
fn built_ids_name_the_part_that_is_wrong() {
    let td = TrustDomain::parse("gnomes.local").unwrap();
    let id = WorkloadId::build(&td, "market-worker", "world_cup").unwrap();
    assert_eq!(id.as_str(), "spiffe://gnomes.local/market-worker/world_cup");
    assert_eq!(id.trust_domain_name(), "gnomes.local");
    assert_eq!(WorkloadId::parse("spiffe://gnomes.local").unwrap().trust_domain_name(), "gnomes.local");
    let refused = |service: &str, slug: &str| told(WorkloadId::build(&td, service, slug).unwrap_err());
    assert_eq!(refused("", ""), ("service", "empty_segment"));
    assert_eq!(refused("a/b", "x"), ("service", "bad_path_segment_char"));
    assert_eq!(refused("a", ".."), ("tenant_slug", "dot_segment"));
    assert_eq!(refused("a", &"b".repeat(2048)), ("spiffe_id", "too_long"));
    let error = WorkloadId::build(&td, "", "x").unwrap_err().to_string();
    assert!(error.starts_with("invalid workload identifier component: service: "), "{error}");
}

#[test]
fn strict_ids_are_those_that_spiffe_takes_too() {
    assert_eq!(
        told(WorkloadId::parse_by("spiffe://td/~a", Rules::Strict).unwrap_err()),
        ("path segment", "bad_path_segment_char")
    );
    assert!(WorkloadId::parse_by("spiffe://td/a/b", Rules::Strict).is_ok());
}

#[test]
fn issuers() {
    for (issuer, name) in
        [(Issuer::Cli, "cli"), (Issuer::JwtSvid, "jwt_svid"), (Issuer::Mtls, "mtls"), (Issuer::OAuth, "oauth")]
    {
        assert_eq!(issuer.as_str(), name);
        assert_eq!(told(Issuer::custom(name).unwrap_err()), ("label", "reserved_label"));
        assert_eq!(serde_json::to_string(&issuer).unwrap(), format!(r#"{{"kind":"{name}"}}"#));
        assert_eq!(serde_json::from_str::<Issuer>(&format!(r#"{{"x":1,"kind":"{name}"}}"#)).unwrap(), issuer);
    }
    for label in ["o_auth", "custom", "spire", "_", "0", "whoami", "peer_cred", &"a".repeat(32)] {
        let issuer = Issuer::custom(label).unwrap();
        assert_eq!(issuer.to_string(), label);
        let text = serde_json::to_string(&issuer).unwrap();
        assert_eq!(text, format!(r#"{{"kind":"custom","label":"{label}"}}"#));
        assert_eq!(serde_json::from_str::<Issuer>(&text).unwrap(), issuer);
    }
    for (label, reason) in [
        ("", "label_length"),
        (&"a".repeat(33)[..], "label_length"),
        ("A", "bad_label_char"),
        ("a-b", "bad_label_char"),
        ("ä", "bad_label_char"),
    ] {
        assert_eq!(told(Issuer::custom(label).unwrap_err()), ("label", reason), "{label}");
    }
    assert_eq!(serde_json::from_str::<Issuer>(r#"{"kind":"o_auth"}"#).unwrap(), Issuer::OAuth);
    for text in [
        r#""cli""#,
        r#"{"kind":"CLI"}"#,
        r#"{"kind":"custom"}"#,
        r#"{"kind":"custom","label":"cli"}"#,
        r#"{"kind":"custom","label":5}"#,
        r#"{"kind":"spire"}"#,
        r#"{"label":"x"}"#,
        "{}",
        "null",
        r#"["cli"]"#,
    ] {
        assert!(serde_json::from_str::<Issuer>(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn strict_is_what_both_sets_of_rules_take(text in "spiffe://[a-zA-Z0-9._-]{0,6}(/[a-zA-Z0-9._~%?-]{0,4}){0,3}") {
        let both = WorkloadId::parse(&text).is_ok() && SpiffeId::parse(&text).is_ok();
        let strict = WorkloadId::parse_by(&text, Rules::Strict);
        prop_assert_eq!(strict.is_ok(), both);
        if let Ok(id) = strict {
            prop_assert_eq!(id.as_str(), text);
        }
    }

    #[test]
    fn what_build_makes_is_read(td in "[a-z0-9][a-z0-9.-]{0,20}", service in "[A-Za-z0-9._~-]{1,9}", slug in "[A-Za-z0-9._~-]{1,9}") {
        let td = TrustDomain::parse(&td).unwrap();
        if let Ok(id) = WorkloadId::build(&td, &service, &slug) {
            prop_assert_eq!(WorkloadId::parse(id.as_str()).unwrap(), id.clone());
            prop_assert_eq!(id.trust_domain_name(), td.as_str());
        }
    }
}
