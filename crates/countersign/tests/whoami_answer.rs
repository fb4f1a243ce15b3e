//! How an answer is told apart, and which JSON is one.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use countersign::whoami::{DaemonRefusal, Identity, WhoamiError, parse_answer};
use serde_json::{Value, json};

fn success() -> Value {
    json!({
        "status": "ok", "identity": "BILLING_PROD", "idm_url": "https://auth", "config_url": "https://config",
        "token": "tok_1",
        "runner": { "identity": "BILLING_PROD", "hostname": "h", "process": "p", "pid": 1234, "uid": 1001, "gid": 7,
                    "instance_id": 18446744073709551615u64, "timestamp": 5, "extra": [1], "zone": "b" },
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut answer = success();
    answer[key] = value;
    answer
}

fn with_runner(key: &str, value: Value) -> Value {
    let mut answer = success();
    answer["runner"][key] = value;
    answer
}

fn parse(answer: &Value) -> Result<Identity, WhoamiError> {
    parse_answer(answer.to_string().as_bytes())
}

fn code(result: Result<Identity, WhoamiError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(WhoamiError::MissingField { field, .. }) => format!("missing {field}"),
        Err(WhoamiError::Daemon { code, .. }) => format!("daemon {code}"),
        Err(error) => error.code().into(),
    }
}

#[test]
fn a_full_answer_is_read_field_by_field() {
    let me = parse(&success()).unwrap();
    assert_eq!(
        (me.identity.as_str(), me.idm_url.as_str(), me.config_url.as_str()),
        ("BILLING_PROD", "https://auth", "https://config")
    );
    assert_eq!(me.token.expose(), "tok_1");
    assert_eq!((me.runner.pid, me.runner.uid, me.runner.gid), (Some(1234), Some(1001), Some(7)));
    assert_eq!((me.runner.instance_id, me.runner.timestamp), (Some(u64::MAX), Some(5)));
    assert_eq!(Value::Object(me.runner.extra), json!({ "extra": [1], "zone": "b" }));
    assert!(!format!("{:?}", parse(&success()).unwrap()).contains("tok_1"));
}

#[test]
fn what_is_absent_stays_absent() {
    let me = parse(&with("runner", json!({}))).unwrap();
    assert_eq!((me.runner.pid, me.runner.uid, me.runner.gid), (None, None, None));
    assert_eq!(me.runner.hostname, "");
    let me = parse(&with_runner("instance_id", Value::Null)).unwrap();
    assert_eq!(me.runner.instance_id, None);
}

#[test]
fn the_two_bodies_are_told_apart() {
    let error = json!({ "status": "error", "error_code": "E_NO_MATCH", "message": "m" });
    assert_eq!(code(parse(&error)), "daemon E_NO_MATCH");
    let mut both = success();
    both["error_code"] = "E_X".into();
    both["message"] = "m".into();
    assert_eq!(code(parse(&both)), "daemon E_X", "the error wins over status ok");
    both["status"] = "error".into();
    assert_eq!(code(parse(&both)), "daemon E_X");
    both["message"] = json!(5);
    both["status"] = "ok".into();
    assert_eq!(code(parse(&both)), "ok", "half an error body is no error body");
    both["status"] = "error".into();
    assert_eq!(code(parse(&both)), "ERR_INVALID_JSON");
    assert_eq!(code(parse(&json!({ "status": "ok", "error_code": "E", "message": "m" }))), "missing identity");
    assert_eq!(code(parse(&with("status", "OK".into()))), "missing error_code");
    assert_eq!(code(parse(&json!({ "status": "error" }))), "missing error_code");
    assert_eq!(code(parse(&json!({ "status": "error", "error_code": "E" }))), "missing message");
    let odd = json!({ "status": "zzz", "error_code": "E", "message": "", "identity": null });
    assert_eq!(code(parse(&odd)), "daemon E");
}

#[test]
fn every_field_is_needed_and_of_its_type() {
    for field in ["status", "identity", "idm_url", "config_url", "token", "runner"] {
        let mut answer = success();
        answer.as_object_mut().unwrap().remove(field);
        assert_eq!(code(parse(&answer)), format!("missing {field}"));
        for wrong in [Value::Null, json!(1), json!([]), json!(true), json!(1.5), json!(-1)] {
            assert_eq!(code(parse(&with(field, wrong.clone()))), "ERR_INVALID_JSON", "{field} = {wrong}");
        }
    }
    for field in ["identity", "hostname", "process", "pid", "uid", "gid"] {
        assert_eq!(code(parse(&with_runner(field, Value::Null))), "ERR_INVALID_JSON", "{field}");
    }
    for wrong in [json!(-1), json!(1.5), json!("1"), json!(4294967296u64), json!([]), json!(true)] {
        for field in ["pid", "uid", "gid"] {
            assert_eq!(code(parse(&with_runner(field, wrong.clone()))), "ERR_INVALID_JSON", "{field} = {wrong}");
        }
    }
    for wrong in [json!(-1), json!(1.5), json!("1"), json!(1e20)] {
        for field in ["instance_id", "timestamp"] {
            assert_eq!(code(parse(&with_runner(field, wrong.clone()))), "ERR_INVALID_JSON", "{field} = {wrong}");
        }
    }
    let Err(WhoamiError::InvalidJson(why)) = parse(&with_runner("uid", json!("0"))) else { panic!() };
    assert!(why.contains("`runner.uid` must be an integer"), "{why}");
}

#[test]
fn older_generations_are_named() {
    let old = json!({ "status": "ok", "identity": "I", "idm_url": "", "config_url": "", "token": "",
                      "pid": 1, "uid": 1, "gid": 1, "process": "p" });
    let error = parse(&old).unwrap_err();
    assert!(error.to_string().contains("older generation"), "{error}");
}

#[test]
fn only_one_json_document_is_an_answer() {
    let good = success().to_string();
    for (text, what) in [
        (format!(" \r\n\t{good}\n"), "ok"),
        (format!("\u{feff}{good}"), "ERR_INVALID_JSON"),
        (format!("{good}\0"), "ERR_INVALID_JSON"),
        (format!("{good}x"), "ERR_INVALID_JSON"),
        (format!("{good}{good}"), "ERR_INVALID_JSON"),
        (good[..good.len() - 1].to_owned(), "ERR_INVALID_JSON"),
        (String::new(), "ERR_INVALID_JSON"),
        ("  ".to_owned(), "ERR_INVALID_JSON"),
        ("[]".to_owned(), "ERR_INVALID_JSON"),
        (good.replacen("{\"", "{\"token\":\"a\",\"", 1), "ERR_INVALID_JSON"),
        (good.replace("\"pid\":1234", "\"pid\":1234,\"pid\":1234"), "ERR_INVALID_JSON"),
        (good.replace("\"zone\":\"b\"", "\"zone\":\"b\",\"zone\":\"c\""), "ok"),
        (good.replace("\"zone\":\"b\"", "\"zone\":\"\\ud800\""), "ERR_INVALID_JSON"),
        (good.replace("\"zone\":\"b\"", "\"zone\":1e400"), "ERR_INVALID_JSON"),
    ] {
        assert_eq!(code(parse_answer(text.as_bytes())), what, "{text}");
    }
    let mut bytes = good.replace("\"zone\":\"b\"", "\"zone\":\"?\"").into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xff;
    assert_eq!(code(parse_answer(&bytes)), "ERR_INVALID_JSON");
}

#[test]
fn a_secret_is_not_quoted_by_an_error() {
    let text = r#"{"status":"ok","token":"tok_secret","token":"tok_secret2"}"#;
    for bad in [text.to_owned(), format!("{}tok_secret", success()), r#"{"token":"tok_secret"#.to_owned()] {
        let error = parse_answer(bad.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("tok_secret"), "{error:?}");
    }
}

#[test]
fn what_the_daemon_writes_reads_back() {
    let me = parse(&success()).unwrap();
    let again = parse_answer(&me.to_json()).unwrap();
    assert_eq!(me, again);
    let mut forged = me.clone();
    forged.runner.uid = None;
    forged.runner.extra.insert("uid".into(), json!(0));
    assert_eq!(parse_answer(&forged.to_json()).unwrap().runner.uid, None, "an extra never becomes a field");
    let refusal = DaemonRefusal { error_code: "E_BUSY".into(), message: "later".into() };
    assert_eq!(code(parse_answer(&refusal.to_json())), "daemon E_BUSY");
}
