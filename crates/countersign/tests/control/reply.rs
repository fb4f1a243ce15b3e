use countersign::control::{
    Alert, ControlCode, Reply, RequestId, Severity, Timestamp, alert_frame, error_frame, ok_frame,
};
use serde_json::json;

fn parse(frame: &str) -> Reply {
    assert_eq!(frame.matches('\n').count(), 1, "{frame}");
    Reply::parse(frame.trim_ascii().as_bytes()).unwrap_or_else(|error| panic!("{frame}: {error}"))
}

#[test]
fn success_is_a_flat_object() {
    assert_eq!(ok_frame(None, r#"{"a":1}"#), "{\"type\":\"ok\",\"a\":1}\n");
    assert_eq!(ok_frame(None, "{}"), "{\"type\":\"ok\"}\n");
    let id = RequestId::from(3);
    let frame = ok_frame(Some(&id), r#"{"a":[1,2]}"#);
    let Reply::Ok { id: echoed, payload } = parse(&frame) else { panic!("{frame}") };
    assert_eq!(echoed, Some(id));
    assert_eq!(serde_json::Value::Object(payload), json!({ "a": [1, 2] }));
}

#[test]
fn an_error_says_so_for_programs_and_for_people() {
    let frame = error_frame(None, ControlCode::Denied, "no \"entry\"\n");
    assert_eq!(frame, "{\"type\":\"err\",\"code\":\"E_DENIED\",\"message\":\"no \\\"entry\\\"\\n\"}\n");
    let expected = Reply::Err { id: None, code: "E_DENIED".into(), message: "no \"entry\"\n".into() };
    assert_eq!(parse(&frame), expected);
}

#[test]
fn an_alert_is_that_of_the_crate() {
    let mut alert = Alert {
        timestamp: Timestamp::parse("2026-02-03T04:05:06.000000007Z").unwrap(),
        severity: Severity::High,
        monitor: "whoami".into(),
        message: "somebody was refused".into(),
        details: None,
        seq: None,
        missed: None,
    };
    let plain = r#"{"type":"alert","timestamp":"2026-02-03T04:05:06.000000007Z","severity":"HIGH","monitor":"whoami","message":"somebody was refused"}"#;
    assert_eq!(alert_frame(&alert), format!("{plain}\n"));
    assert_eq!(Reply::parse(plain.as_bytes()), Ok(Reply::Alert(alert.clone())));
    alert = Alert { details: Some("pid 7".into()), seq: Some(u64::MAX), missed: Some(3), ..alert };
    assert_eq!(parse(&alert_frame(&alert)), Reply::Alert(alert));
}

#[test]
fn an_alert_of_an_older_agent_has_the_name_of_today() {
    for monitor in ["posture", "self_audit"] {
        let line = format!(
            r#"{{"type":"alert","timestamp":"2026-02-03T04:05:06Z","severity":"LOW","monitor":"{monitor}","message":"x"}}"#
        );
        let Ok(Reply::Alert(alert)) = Reply::parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!(alert.monitor, "self_audit");
    }
}

#[test]
fn an_empty_line_is_a_reply_and_anything_else_is_none() {
    assert_eq!(Reply::parse(b""), Ok(Reply::Blank));
    for line in [
        "null",
        "\"pong\"",
        "{}",
        r#"{"type":"pong"}"#,
        r#"{"type":"ok","a":1,"type":"x"}"#,
        r#"{"type":"err"}"#,
        r#"{"type":"err","code":"E"}"#,
        r#"{"type":"err","code":"E","message":7}"#,
        r#"{"type":"ok","id":[]}"#,
        r#"{"type":"ok","id":1,"id":2}"#,
        r#"{"type":"alert","severity":"HIGH"}"#,
        r#"{"type":"alert","timestamp":"today","severity":"HIGH","monitor":"m","message":"x"}"#,
        r#"["err","x"]"#,
    ] {
        assert!(Reply::parse(line.as_bytes()).is_err(), "{line}");
    }
    assert!(Reply::parse(b"{\"type\":\"ok\",\"a\":\"\xff\"}").is_err());
}
