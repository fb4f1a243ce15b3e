//! The audit log for JavaScript: verified by the core, away from the event loop.

use std::path::PathBuf;

use countersign::control::log::{LogKey, Verified, VerifyOptions, verify};
use napi::bindgen_prelude::{AsyncTask, Either};
use napi::{Env, Task};
use napi_derive::napi;
use serde_json::{Value, json};

use crate::host::failure::{Failure, json_answer};

/// The verification of one log.
pub struct LogVerification {
    path: PathBuf,
    keys: Vec<String>,
    without_head: bool,
}

impl Task for LogVerification {
    type Output = Result<Value, Failure>;
    type JsValue = Either<String, Failure>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(self.verify())
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(json_answer(output))
    }
}

impl LogVerification {
    fn verify(&self) -> Result<Value, Failure> {
        let keys: Result<Vec<LogKey>, _> = self.keys.iter().map(|text| LogKey::parse(text)).collect();
        let keys = keys.map_err(|error| Failure::invalid_argument(&error))?;
        let options = VerifyOptions { keys, without_head: self.without_head, anchor: None };
        let failed = |error| Failure::new("ERR_INVALID_LOG", &error).with("path", json!(self.path));
        verify(&self.path, &options).map(|verified| value_of(&verified)).map_err(failed)
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

/// Verify an audit log. What it says of itself, as JSON, or a failure.
#[napi(ts_return_type = "Promise<string | Failure>")]
pub fn verify_log(path: String, keys: Vec<String>, without_head: bool) -> AsyncTask<LogVerification> {
    AsyncTask::new(LogVerification { path: path.into(), keys, without_head })
}
