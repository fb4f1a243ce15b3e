use countersign::principal::{
    DeviceId, EventId, IdError, SessionId, TenantId, UserId, Uuid, ensure_user_id_not_reserved,
};

countersign::define_id! {
    /// One of our own.
    pub AccountId
}

const TEXT: &str = "9a36b1fe-3cf2-4ba5-8846-e1476509c712";

#[test]
fn every_form_of_a_uuid_reads_as_the_same_id() {
    let id = TenantId::parse(TEXT).unwrap();
    for form in [
        "9A36B1FE-3CF2-4BA5-8846-E1476509C712",
        "9a36b1fe3cf24ba58846e1476509c712",
        "{9a36b1fe-3cf2-4ba5-8846-e1476509c712}",
        "urn:uuid:9a36b1fe-3cf2-4ba5-8846-e1476509c712",
    ] {
        assert_eq!(TenantId::parse(form), Ok(id), "{form}");
        assert_eq!(form.parse::<TenantId>(), Ok(id));
    }
    assert_eq!(id.to_string(), TEXT);
    assert_eq!(format!("{id:?}"), format!("TenantId({TEXT})"));
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{TEXT}\""));
    assert_eq!(TenantId::from_bytes(*id.as_bytes()), id);
    assert_eq!(UserId::from_uuid(id.as_uuid()).to_string(), TEXT);
}

#[test]
fn no_version_is_asked_for() {
    for text in [
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000-0000-0000-0000-000000000000",
        "018f3c1e-0000-7000-8000-000000000000",
    ] {
        assert_eq!(EventId::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_uuid_is_refused_under_the_name_of_the_type() {
    for text in [
        " 9a36b1fe-3cf2-4ba5-8846-e1476509c712",
        "9a36b1fe-3cf2-4ba5-8846-e1476509c712\n",
        "{9a36b1fe3cf24ba58846e1476509c712}",
        "urn:uuid:9a36b1fe3cf24ba58846e1476509c712",
        "9a36b1fe3cf2-4ba5-8846-e1476509c712",
        "9a36b1fe-3cf24ba5-8846-e1476509-c712",
        "9a36b1fe-3cf2-4ba5-8846-e1476509c71",
        "9a36b1fe-3cf2-4ba5-8846-e1476509c71g",
        "9a36b1fe-3cf2-4ba5-8846-e1476509c71\u{ff12}",
        "{9a36b1fe-3cf2-4ba5-8846-e1476509c712",
        "0",
    ] {
        let error = DeviceId::parse(text).unwrap_err();
        assert_eq!(error, IdError::NotAUuid("DeviceId"), "{text:?}");
        assert_eq!(error.code(), "not_a_uuid");
    }
    assert_eq!(AccountId::parse("").unwrap_err().to_string(), "AccountId must be non-empty");
    assert!(serde_json::from_str::<SessionId>("\"\"").is_err());
    assert!(serde_json::from_str::<SessionId>("5").is_err());
}

#[test]
fn random_ids_are_of_version_4() {
    let (one, other) = (SessionId::random(), SessionId::random());
    assert_ne!(one, other);
    assert_eq!(one.as_uuid().get_version_num(), 4);
    let id = AccountId::from_random_bytes([0xff; 16]);
    assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(AccountId::from_bytes([0xff; 16]).to_string(), "ffffffff-ffff-ffff-ffff-ffffffffffff");
}

#[test]
fn a_name_in_a_namespace_is_version_5() {
    // RFC 9562 A.4.
    let dns = Uuid::parse_str("6ba7b810-9dad-11d1-80b4-00c04fd430c8").unwrap();
    let id = TenantId::from_namespaced_str(dns, "www.example.com");
    assert_eq!(id.to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

#[test]
fn reserved_ids() {
    assert_eq!(TenantId::SYSTEM, TenantId::NIL);
    assert!(TenantId::NIL.is_system() && TenantId::NIL.is_nil());
    assert_eq!(UserId::SYSTEM.to_string(), "00000000-0000-0000-0000-000000000001");
    assert!(!UserId::NIL.is_system() && UserId::SYSTEM.is_system());
    let (user, tenant) = (UserId::random(), TenantId::random());
    assert_eq!(ensure_user_id_not_reserved(&UserId::NIL, &tenant), Ok(()));
    assert_eq!(ensure_user_id_not_reserved(&UserId::SYSTEM, &TenantId::SYSTEM), Err(IdError::Reserved("UserId")));
    let error = ensure_user_id_not_reserved(&user, &TenantId::SYSTEM).unwrap_err();
    assert_eq!(error.to_string(), "TenantId matches a reserved system identifier");
    assert_eq!((error.code(), error.kind()), ("reserved", "TenantId"));
}
