use countersign::control::{Request, RequestId, Verb};

fn verb(line: &str) -> Verb {
    Request::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}")).verb
}

#[test]
fn the_lines_are_those_of_the_crate() {
    let audit = |deep, fix, json| Verb::Audit { deep, fix, json };
    for (verb, line) in [
        (Verb::Ping, r#"{"type":"ping"}"#),
        (Verb::Status, r#"{"type":"status"}"#),
        (Verb::Alerts { limit: None }, r#"{"type":"alerts","limit":null}"#),
        (Verb::Alerts { limit: Some(10) }, r#"{"type":"alerts","limit":10}"#),
        (Verb::Subscribe { after: None }, r#"{"type":"subscribe"}"#),
        (audit(false, false, false), r#"{"type":"audit","deep":false,"fix":false,"json":false}"#),
        (audit(true, false, true), r#"{"type":"audit","deep":true,"fix":false,"json":true}"#),
        (Verb::ReloadPolicy, r#"{"type":"reloadPolicy"}"#),
        (Verb::Kill { reason: None }, r#"{"type":"kill","reason":null}"#),
        (Verb::Kill { reason: Some("manual \"trip\"\n".into()) }, r#"{"type":"kill","reason":"manual \"trip\"\n"}"#),
    ] {
        let request = Request { id: None, verb };
        assert_eq!(request.to_line(), line);
        assert_eq!(Request::parse(line.as_bytes()), Ok(request));
    }
}

#[test]
fn forms_that_are_taken_as_well() {
    assert_eq!(verb(r#"{"type":"alerts"}"#), Verb::Alerts { limit: None });
    assert_eq!(verb(r#"{"limit":4294967295,"type":"alerts"}"#), Verb::Alerts { limit: Some(u32::MAX) });
    assert_eq!(verb(r#"{"type":"audit"}"#), Verb::Audit { deep: false, fix: false, json: false });
    assert_eq!(verb(r#"{"type":"audit","fix":true}"#), Verb::Audit { deep: false, fix: true, json: false });
    assert_eq!(verb(r#"{"type":"kill"}"#), Verb::Kill { reason: None });
    assert_eq!(verb(r#"{"type":"ping","reason":7,"reason":8,"x":{"type":"kill"}}"#), Verb::Ping);
    assert_eq!(verb(r#"{"type":"subscribe","after":7}"#), Verb::Subscribe { after: Some(7) });
    assert_eq!(verb(r#"{"type":"resume"}"#), Verb::Resume);
    assert_eq!(verb(r#"{"type":"metrics"}"#), Verb::Metrics);
}

#[test]
fn what_is_no_request_is_said_to_be_none() {
    let deep = |levels: usize| format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    for line in [
        "",
        "null",
        "\"ping\"",
        "7",
        "[]",
        r#"["ping"]"#,
        "{}",
        "{",
        r#"{"type":"ping"} {}"#,
        r#"{"type":"Ping"}"#,
        r#"{"type":"reload_policy"}"#,
        r#"{"type":"ReloadPolicy"}"#,
        r#"{"type":null}"#,
        r#"{"type":"ping","type":"ping"}"#,
        r#"{"type":"ping","id":1,"id":1}"#,
        r#"{"type":"ping","id":1.5}"#,
        r#"{"type":"ping","id":{}}"#,
        r#"{"type":"audit","fix":null}"#,
        r#"{"type":"audit","fix":1}"#,
        r#"{"type":"audit","fix":"true"}"#,
        r#"{"type":"audit","fix":true,"fix":true}"#,
        r#"{"type":"alerts","limit":-1}"#,
        r#"{"type":"alerts","limit":1.0}"#,
        r#"{"type":"alerts","limit":"1"}"#,
        r#"{"type":"alerts","limit":4294967296}"#,
        r#"{"type":"kill","reason":7}"#,
        r#"{"type":"kill","reason":"a","reason":"b"}"#,
        &deep(127),
    ] {
        assert!(Request::parse(line.as_bytes()).is_err(), "{line}");
    }
    assert!(Request::parse(deep(126).as_bytes()).is_ok());
    assert!(Request::parse(b"{\"type\":\"kill\",\"reason\":\"\xff\"}").is_err());
    assert!(Request::parse(&[b'['; 60_000]).is_err());
}

#[test]
fn an_id_is_echoed_as_it_came_even_by_an_error() {
    for id in ["1", "-1", "18446744073709551615", "\"abc\""] {
        let request = Request::parse(format!(r#"{{"type":"ping","id":{id}}}"#).as_bytes()).unwrap();
        assert_eq!(request.id.map(|id| id.to_json()).as_deref(), Some(id));
        let error = Request::parse(format!(r#"{{"id":{id},"type":"pong"}}"#).as_bytes()).unwrap_err();
        assert_eq!(error.id.map(|id| id.to_json()).as_deref(), Some(id));
    }
    assert_eq!(Request::parse(br#"{"type":"ping","id":null}"#).unwrap().id, None);
    let line = Request { id: Some(RequestId::from(7)), verb: Verb::Kill { reason: None } }.to_line();
    assert_eq!(line, r#"{"type":"kill","reason":null,"id":7}"#);
    assert!(Request::parse(format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(129)).as_bytes()).is_err());
}

#[test]
fn verbs_that_change_something() {
    let writes = |line: &str| verb(line).writes();
    for line in
        [r#"{"type":"kill"}"#, r#"{"type":"resume"}"#, r#"{"type":"reloadPolicy"}"#, r#"{"type":"audit","fix":true}"#]
    {
        assert!(writes(line), "{line}");
    }
    for name in ["ping", "status", "alerts", "subscribe", "audit", "metrics"] {
        assert!(!writes(&format!(r#"{{"type":"{name}"}}"#)), "{name}");
    }
}
