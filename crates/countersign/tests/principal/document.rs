use countersign::principal::{
    HumanPrincipal, Issuer, Principal, Rules, SessionId, TenantId, TrustDomain, UserId, WorkloadId, WorkloadPrincipal,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const T: &str = "9a36b1fe-3cf2-4ba5-8846-e1476509c712";
const U: &str = "3f2c1a64-9c41-4d5e-8b57-0f6a3b1c2d3e";

fn human() -> Value {
    json!({ "kind": "human", "user_id": U, "tenant_id": T, "session_id": null, "attributes": {} })
}

fn workload() -> Value {
    json!({
        "kind": "workload",
        "workload_id": "spiffe://gnomes.local/market-worker/world_cup",
        "trust_domain": "gnomes.local",
        "issuer": { "kind": "cli" },
        "tenant_id": T,
        "tenant_slug": "world_cup",
        "service_name": "market-worker",
        "attributes": {},
    })
}

fn verdict(text: &str) -> &'static str {
    match Principal::from_json(text) {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn what_is_written_is_the_form_of_the_contract() {
    let workload = WorkloadPrincipal {
        workload_id: WorkloadId::parse("spiffe://gnomes.local/market-worker/world_cup").unwrap(),
        trust_domain: TrustDomain::parse("gnomes.local").unwrap(),
        issuer: Issuer::Cli,
        tenant_id: T.parse().unwrap(),
        tenant_slug: "world_cup".into(),
        service_name: "market-worker".into(),
        attributes: Default::default(),
    };
    let bare = format!(
        r#""workload_id":"spiffe://gnomes.local/market-worker/world_cup","trust_domain":"gnomes.local","issuer":{{"kind":"cli"}},"tenant_id":"{T}","tenant_slug":"world_cup","service_name":"market-worker","attributes":{{}}}}"#
    );
    assert_eq!(serde_json::to_string(&workload).unwrap(), format!("{{{bare}"));
    assert_eq!(serde_json::from_str::<WorkloadPrincipal>(&format!("{{{bare}")).unwrap(), workload);
    let principal = Principal::Workload(workload);
    assert_eq!(principal.to_json(), format!(r#"{{"kind":"workload",{bare}"#));
    assert_eq!(Principal::from_json(&principal.to_json()).unwrap(), principal);

    let session = SessionId::random();
    let human = HumanPrincipal {
        user_id: U.parse().unwrap(),
        tenant_id: T.parse().unwrap(),
        session_id: Some(session),
        attributes: [
            ("z".to_owned(), json!({ "b": 1, "a": [null, 1.5, u64::MAX, "\u{7f}\n"] })),
            ("a".to_owned(), json!(true)),
        ]
        .into(),
    };
    let bare = format!(
        r#""user_id":"{U}","tenant_id":"{T}","session_id":"{session}","attributes":{{"a":true,"z":{{"a":[null,1.5,18446744073709551615,"{}\n"],"b":1}}}}}}"#,
        '\u{7f}'
    );
    assert_eq!(serde_json::to_string(&human).unwrap(), format!("{{{bare}"));
    assert_eq!(serde_json::from_str::<HumanPrincipal>(&format!("{{{bare}")).unwrap(), human);
    assert!(!format!("{human:?}").contains(&session.to_string()), "a session is shown");
    let principal = Principal::Human(human);
    assert_eq!(principal.to_json(), format!(r#"{{"kind":"human",{bare}"#));
    assert_eq!(serde_json::from_str::<Principal>(&principal.to_json()).unwrap(), principal);
    assert_eq!(principal.attributes().len(), 2);
    assert_eq!(*principal.tenant_id(), T.parse::<TenantId>().unwrap());
}

#[test]
fn a_session_may_be_absent_and_is_always_written() {
    let mut value = human();
    value.as_object_mut().unwrap().remove("session_id");
    let principal = Principal::from_json(&value.to_string()).unwrap();
    assert!(principal.to_json().contains(r#""session_id":null"#));
}

#[test]
fn no_other_member_may_be_absent_or_of_another_type() {
    for whole in [human(), workload()] {
        for name in whole.as_object().unwrap().keys().filter(|name| *name != "session_id") {
            let mut value = whole.clone();
            value.as_object_mut().unwrap().remove(name);
            assert_eq!(verdict(&value.to_string()), "missing_member", "{name}");
            for wrong in [json!(null), json!(5), json!(["x"]), json!(true)] {
                value[name] = wrong;
                assert_eq!(verdict(&value.to_string()), "wrong_type", "{value}");
            }
        }
    }
    let mut value = human();
    value["session_id"] = json!(5);
    assert_eq!(verdict(&value.to_string()), "wrong_type");
    value["session_id"] = json!("");
    assert_eq!(verdict(&value.to_string()), "empty");
    assert!(Principal::from_json(&value.to_string()).unwrap_err().to_string().contains("SessionId"));
}

#[test]
fn names_and_ids_in_it_are_judged() {
    for (name, wrong, code) in [
        ("workload_id", json!("https://evil/x"), "wrong_scheme"),
        ("workload_id", json!(""), "wrong_scheme"),
        ("workload_id", json!("spiffe://td/.."), "dot_segment"),
        ("trust_domain", json!("UPPER Case"), "bad_trust_domain_char"),
        ("tenant_id", json!("acme"), "not_a_uuid"),
        ("issuer", json!({ "kind": "custom", "label": "mtls" }), "reserved_label"),
        ("issuer", json!({ "kind": "custom" }), "missing_member"),
        ("issuer", json!({ "kind": "custom", "label": null }), "wrong_type"),
        ("issuer", json!({ "kind": "SPIRE" }), "unknown_issuer"),
        ("issuer", json!({}), "missing_member"),
        ("kind", json!("Human"), "unknown_kind"),
        ("kind", json!("robot"), "unknown_kind"),
        ("kind", json!(""), "unknown_kind"),
        // The bare kind decides, whatever else is there.
        ("kind", json!("human"), "missing_member"),
    ] {
        let mut value = workload();
        value[name] = wrong;
        assert_eq!(verdict(&value.to_string()), code, "{value}");
    }
}

#[test]
fn fields_need_not_agree_unless_the_reader_is_strict() {
    let mut value = workload();
    value["trust_domain"] = json!("other.org");
    value["tenant_slug"] = json!("");
    assert_eq!(verdict(&value.to_string()), "accepted");
    let strict = |value: &Value| match Principal::from_json_by(&value.to_string(), Rules::Strict) {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    };
    assert_eq!(strict(&value), "trust_domain_mismatch");
    assert_eq!(strict(&workload()), "accepted");
    assert_eq!(strict(&human()), "accepted");
    value["trust_domain"] = json!("gnomes.local");
    value["workload_id"] = json!("spiffe://gnomes.local/~");
    assert_eq!(strict(&value), "bad_path_segment_char");
}

#[test]
fn what_an_older_release_wrote_is_read_and_written_anew() {
    let mut value = workload();
    value["issuer"] = json!({ "kind": "o_auth" });
    let principal = Principal::from_json(&value.to_string()).unwrap();
    assert!(principal.to_json().contains(r#""issuer":{"kind":"oauth"}"#));
}

#[test]
fn a_member_that_is_there_twice_is_refused_at_every_depth() {
    let text = human().to_string();
    assert_eq!(verdict(&text.replacen('{', r#"{"user_id":"x","#, 1)), "duplicate_member");
    assert_eq!(verdict(&text.replacen('{', r#"{"kind":"human","#, 1)), "duplicate_member");
    assert_eq!(verdict(&text.replace(r#""attributes":{}"#, r#""attributes":{"a":1,"a":2}"#)), "duplicate_member");
    assert_eq!(
        verdict(&text.replace(r#""attributes":{}"#, r#""attributes":{"a":[{"b":1,"\u0062":2}]}"#)),
        "duplicate_member"
    );
    assert_eq!(verdict(&text.replacen('{', r#"{"x":{"y":1,"y":1},"#, 1)), "duplicate_member");
}

#[test]
fn what_is_no_document_is_refused() {
    for text in ["", " ", "null", "5", "\"human\"", "[]", "[{}]", "{", "{}x", "{\"kind\":\"human\"", "\u{feff}{}"] {
        assert_eq!(verdict(text), "malformed_json", "{text}");
    }
    assert_eq!(verdict("{}"), "missing_member");
    let deep = human().to_string().replace("{}", &format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(verdict(&deep), "malformed_json");
    let huge = human().to_string().replace("{}", &format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)));
    assert_eq!(verdict(&huge), "too_large");
    assert_eq!(verdict(&human().to_string().replace("{}", "{\"a\":\"\\ud800\"}")), "malformed_json");
    assert_eq!(verdict(&human().to_string().replace("{}", "{\"a\":1e999}")), "malformed_json");
    // An error does not repeat what the document says.
    let error = Principal::from_json(r#"{"kind":"human","user_id":"hunter2"}"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// Any JSON that Rust can hold.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Value::from)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_what_it_was(
        attributes in prop::collection::btree_map(any::<String>(), value(), 0..6),
        slug in any::<String>(),
        service in any::<String>(),
        bytes in any::<[u8; 16]>(),
        session in any::<Option<[u8; 16]>>(),
    ) {
        let human = Principal::Human(HumanPrincipal {
            user_id: UserId::from_bytes(bytes),
            tenant_id: TenantId::from_bytes(bytes),
            session_id: session.map(SessionId::from_bytes),
            attributes: attributes.clone(),
        });
        let workload = Principal::Workload(WorkloadPrincipal {
            workload_id: WorkloadId::parse("spiffe://td").unwrap(),
            trust_domain: TrustDomain::parse("td").unwrap(),
            issuer: Issuer::custom("k8s").unwrap(),
            tenant_id: TenantId::from_bytes(bytes),
            tenant_slug: slug,
            service_name: service,
            attributes,
        });
        for principal in [human, workload] {
            let text = principal.to_json();
            prop_assert_eq!(Principal::from_json(&text).unwrap(), principal.clone());
            prop_assert_eq!(serde_json::from_str::<Principal>(&text).unwrap(), principal);
        }
    }
}
