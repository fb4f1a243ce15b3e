//! The audit log for JavaScript: judged by the core, away from the event loop.

use std::path::PathBuf;

use countersign::control::log::{LogKey, Verified, VerifyOptions, verify};
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;
use serde_json::{Value, json};

/// A log that is being judged.
pub struct Judging {
    path: PathBuf,
    keys: Vec<String>,
    without_head: bool,
}

impl Task for Judging {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<String> {
        Ok(self.judge().to_string())
    }

    fn resolve(&mut self, _: Env, output: String) -> napi::Result<String> {
        Ok(output)
    }
}

impl Judging {
    fn judge(&self) -> Value {
        let keys: Result<Vec<LogKey>, _> = self.keys.iter().map(|text| LogKey::parse(text)).collect();
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => return json!({ "err": { "code": "ERR_INVALID_ARGUMENT", "message": error.to_string() } }),
        };
        let options = VerifyOptions { keys, without_head: self.without_head, anchor: None };
        match verify(&self.path, &options) {
            Ok(verified) => json!({ "ok": value_of(&verified) }),
            Err(error) => {
                json!({ "err": { "code": "ERR_INVALID_LOG", "message": error.to_string(), "path": self.path } })
            }
        }
    }
}

fn value_of(verified: &Verified) -> Value {
    json!({
        "files": verified.files,
        "first": verified.first,
        "firstTime": verified.first_time,
        "last": verified.last.seq,
        "lastTime": verified.last_time,
        "lastHash": verified.last.hash_text(),
        "signed": verified.signed,
        "torn": verified.torn,
        "key": verified.key.to_base64(),
        "synced": verified.head.as_ref().map(|head| head.at.seq),
        "syncedTime": verified.head.as_ref().map(|head| head.time),
        "clockWentBack": verified.clock_went_back,
    })
}

/// Judge an audit log. JSON: `{ok: {...}}` or `{err: {...}}`.
#[napi(ts_return_type = "Promise<string>")]
pub fn verify_log(path: String, keys: Vec<String>, without_head: bool) -> AsyncTask<Judging> {
    AsyncTask::new(Judging { path: path.into(), keys, without_head })
}
