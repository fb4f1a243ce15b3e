use countersign::spiffe::{SpiffeId, TrustDomain};

fn reason(text: &str) -> &'static str {
    match SpiffeId::parse(text) {
        Ok(id) => panic!("{text:?} was taken as {id}"),
        Err(error) => error.code(),
    }
}

fn domain_reason(text: &str) -> &'static str {
    match TrustDomain::parse(text) {
        Ok(domain) => panic!("{text:?} was taken as {domain}"),
        Err(error) => error.code(),
    }
}

#[track_caller]
fn accepted(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn rule_1_1_scheme_in_any_case_and_path_with_its_case() {
    for text in ["spiffe://example.org/Path", "SPIFFE://example.org/Path", "sPiFfE://EXAMPLE.org/Path"] {
        assert_eq!(accepted(text).as_str(), "spiffe://example.org/Path");
    }
    assert_ne!(accepted("spiffe://example.org/a"), accepted("spiffe://example.org/A"));
}

#[test]
fn rule_1_1_wrong_scheme() {
    for text in [
        "http://example.org/a",
        "spiffe:/example.org",
        "spiffe:example.org",
        "example.org",
        " spiffe://td/a",
        "spiff",
        "spiffé://td",
        "//td/a",
        "spiffes://td",
    ] {
        assert_eq!(reason(text), "wrong_scheme", "{text}");
    }
}

#[test]
fn rule_1_2_trust_domain_is_there_and_of_its_characters() {
    for text in ["spiffe://", "spiffe:///path", "SPIFFE:///"] {
        assert_eq!(reason(text), "missing_trust_domain", "{text}");
    }
    accepted("spiffe://abcdefghijklmnopqrstuvwxyz0123456789.-_/a");
    for byte in 0u8..=0x7f {
        let char = char::from(byte);
        let text = format!("spiffe://t{char}d/a");
        let legal = char.is_ascii_alphanumeric() || ".-_/".contains(char);
        assert_eq!(SpiffeId::parse(&text).is_ok(), legal, "{text:?}");
    }
    assert_eq!(accepted("spiffe://EXAMPLE.org").trust_domain().name(), "example.org");
}

#[test]
fn rule_1_3_no_userinfo_port_percent_encoding_or_ipv6() {
    for text in [
        "spiffe://user@td/a",
        "spiffe://user:pass@td/a",
        "spiffe://td:80/a",
        "spiffe://td:/a",
        "spiffe://t%64/a",
        "spiffe://[::1]/a",
        "spiffe://tdé/a",
        "spiffe://t d/a",
        "spiffe://td\0/a",
    ] {
        assert_eq!(reason(text), "bad_trust_domain_char", "{text}");
    }
    accepted("spiffe://192.168.1.1/a");
}

#[test]
fn rule_1_4_names_dns_would_refuse() {
    for text in ["example..org", ".example.org", "example.org.", "-example.org", "...", "_", "-"] {
        assert_eq!(accepted(&format!("spiffe://{text}/a")).trust_domain().name(), text);
        assert_eq!(TrustDomain::parse(text).unwrap().name(), text);
    }
}

#[test]
fn rule_1_5_path_is_optional() {
    assert_eq!(accepted("spiffe://td").path(), "");
    assert_eq!(accepted("spiffe://td/a/b").path(), "/a/b");
    assert_eq!(accepted("spiffe://td/a/b").segments().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(accepted("spiffe://td").segments().count(), 0);
}

#[test]
fn rule_1_5_dot_segment() {
    for text in ["spiffe://td/.", "spiffe://td/..", "spiffe://td/./a", "spiffe://td/a/../b", "spiffe://td/a/.."] {
        assert_eq!(reason(text), "dot_segment", "{text}");
    }
}

#[test]
fn rule_1_5_empty_segment() {
    for text in ["spiffe://td//", "spiffe://td//a", "spiffe://td/a//b", "spiffe://td/a//"] {
        assert_eq!(reason(text), "empty_segment", "{text}");
    }
}

#[test]
fn rule_1_5_trailing_slash() {
    for text in ["spiffe://td/", "spiffe://td/a/", "SPIFFE://TD/a/b/"] {
        assert_eq!(reason(text), "trailing_slash", "{text}");
    }
}

#[test]
fn rule_1_5_path_characters() {
    for byte in 0u8..=0x7f {
        let char = char::from(byte);
        let text = format!("spiffe://td/a{char}b");
        let legal = char.is_ascii_alphanumeric() || ".-_/".contains(char);
        assert_eq!(SpiffeId::parse(&text).is_ok(), legal, "{text:?}");
    }
    for text in [
        "spiffe://td/%61",
        "spiffe://td/a%2fb",
        "spiffe://td/é",
        "spiffe://td/a b",
        "spiffe://td/a:b",
        "spiffe://td/a\\b",
    ] {
        assert_eq!(reason(text), "bad_path_segment_char", "{text}");
    }
}

#[test]
fn rule_1_6_dots_in_names() {
    for path in ["/...", "/.path", "/..path", "/path..", "/a.b", "/a/.../b"] {
        assert_eq!(accepted(&format!("spiffe://td{path}")).path(), path);
    }
}

#[test]
fn rule_1_7_no_query_no_fragment() {
    for text in ["spiffe://td/a?b", "spiffe://td/a#b", "spiffe://td/a?", "spiffe://td/a#"] {
        assert_eq!(reason(text), "bad_path_segment_char", "{text}");
    }
    for text in ["spiffe://td?a", "spiffe://td#a"] {
        assert_eq!(reason(text), "bad_trust_domain_char", "{text}");
    }
}

#[test]
fn rule_1_8_empty_is_no_id() {
    assert_eq!(reason(""), "empty");
    assert_eq!(domain_reason(""), "empty");
}

#[test]
fn rule_1_9_2048_bytes_and_no_more() {
    let head = "spiffe://td/";
    let longest = format!("{head}{}", "a".repeat(2048 - head.len()));
    let id = accepted(&longest);
    assert_eq!(id.as_str().len(), 2048);
    assert_eq!(reason(&format!("{longest}a")), "too_long");
    assert_eq!(id.append_path("/b").unwrap_err().code(), "too_long");
    assert_eq!(id.append_segments(["b"]).unwrap_err().code(), "too_long");
    assert_eq!(id.replace_path(&format!("/{}", "a".repeat(2048))).unwrap_err().code(), "too_long");
}

#[test]
fn rule_1_10_255_bytes_of_trust_domain_and_no_more() {
    let longest = "a".repeat(255);
    assert_eq!(accepted(&format!("spiffe://{longest}/a")).trust_domain().name(), longest);
    assert_eq!(TrustDomain::parse(&longest).unwrap().name(), longest);
    assert_eq!(reason(&format!("spiffe://{longest}a/a")), "trust_domain_too_long");
    assert_eq!(domain_reason(&format!("{longest}a")), "trust_domain_too_long");
}

#[test]
fn rule_1_11_trust_domain_from_name_own_id_or_any_id() {
    for text in ["td", "spiffe://td", "spiffe://td/a/b", "TD", "SPIFFE://Td/a"] {
        let domain = TrustDomain::parse(text).unwrap();
        assert_eq!(domain.name(), "td", "{text}");
        assert_eq!(domain, TrustDomain::parse("td").unwrap());
        assert_eq!(domain.to_string(), "td");
    }
    assert_eq!(domain_reason("td/a"), "bad_trust_domain_char");
    assert_eq!(domain_reason("td:80"), "bad_trust_domain_char");
    assert_eq!(domain_reason("http://td"), "wrong_scheme");
    assert_eq!(domain_reason("spiffe://td/"), "trailing_slash");
    assert_eq!(domain_reason("spiffe://"), "missing_trust_domain");
}

#[test]
fn rule_1_12_a_trust_domains_own_id_has_no_path() {
    for text in ["td", "spiffe://td/a"] {
        let id = TrustDomain::parse(text).unwrap().id();
        assert_eq!((id.as_str(), id.path()), ("spiffe://td", ""));
        assert_eq!(id.trust_domain().name(), "td");
    }
}

#[test]
fn rule_1_5_built_ids_keep_the_rules_of_read_ones() {
    let domain = TrustDomain::parse("td").unwrap();
    let id = SpiffeId::from_segments(&domain, ["a", "b"]).unwrap();
    assert_eq!(id.as_str(), "spiffe://td/a/b");
    assert_eq!(SpiffeId::from_segments(&domain, [""; 0]).unwrap(), domain.id());
    assert_eq!(id.append_path("/c").unwrap().as_str(), "spiffe://td/a/b/c");
    assert_eq!(id.append_path("").unwrap(), id);
    assert_eq!(id.append_segments(["c", "d"]).unwrap().path(), "/a/b/c/d");
    assert_eq!(id.replace_path("/x").unwrap().as_str(), "spiffe://td/x");
    assert_eq!(id.replace_path("").unwrap(), domain.id());

    let path = |path: &str| id.append_path(path).unwrap_err().code();
    assert_eq!(path("c"), "missing_leading_slash");
    assert_eq!(path("/"), "trailing_slash");
    assert_eq!(path("/c/"), "trailing_slash");
    assert_eq!(path("//c"), "empty_segment");
    assert_eq!(path("/.."), "dot_segment");
    assert_eq!(path("/?"), "bad_path_segment_char");
    assert_eq!(id.replace_path("x").unwrap_err().code(), "missing_leading_slash");

    let segment = |segment: &str| SpiffeId::from_segments(&domain, [segment]).unwrap_err().code();
    assert_eq!(segment(""), "empty_segment");
    assert_eq!(segment("."), "dot_segment");
    assert_eq!(segment("/a"), "bad_path_segment_char");
    assert_eq!(segment("a/b"), "bad_path_segment_char");
}

#[test]
fn rule_1_1_membership_is_by_whole_name() {
    let id = accepted("spiffe://example.org/a");
    assert!(id.member_of(&TrustDomain::parse("Example.org").unwrap()));
    for other in ["example.or", "example.orga", "sub.example.org", "org"] {
        assert!(!id.member_of(&TrustDomain::parse(other).unwrap()), "{other}");
    }
}

#[test]
fn json_is_the_text() {
    let id = accepted("spiffe://td/a");
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"spiffe://td/a\"");
    assert_eq!(serde_json::from_str::<SpiffeId>("\"SPIFFE://td/a\"").unwrap(), id);
    assert!(serde_json::from_str::<SpiffeId>("\"spiffe://td/a/\"").is_err());
    assert_eq!(serde_json::to_string(&id.trust_domain()).unwrap(), "\"td\"");
}

#[test]
fn errors_do_not_repeat_the_text() {
    let error = SpiffeId::parse("spiffe://td/secret?x").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}
