//! How an error crosses the border: as the value `{ failure: { code, message, ...details } }`. JavaScript makes the
//! error from it, on the caller's stack. Rooms say what their errors are; the encoding is here, and nowhere else.

use std::fmt::Display;

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use serde_json::{Map, Value};

/// An error of the core.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// What JavaScript makes the error from.
    #[napi(ts_type = "{ code: string, message: string, [detail: string]: unknown }")]
    pub failure: Map<String, Value>,
}

impl Failure {
    pub fn new(code: &str, message: &dyn Display) -> Failure {
        let mut failure = Map::new();
        failure.insert("code".into(), code.into());
        failure.insert("message".into(), message.to_string().into());
        Failure { failure }
    }

    /// An argument or an option that the core does not accept.
    pub fn invalid_argument(message: &dyn Display) -> Failure {
        Failure::new("ERR_INVALID_ARGUMENT", message)
    }

    /// The same failure with one more detail.
    pub fn with(mut self, detail: &str, value: impl Into<Value>) -> Failure {
        self.failure.insert(detail.into(), value.into());
        self
    }

    /// `{ code, message, ...details }`, for JSON with more in it than the failure.
    pub fn value(self) -> Value {
        Value::Object(self.failure)
    }
}

/// What a native function returns: the result, or the failure.
pub fn answer<T, E: Into<Failure>>(result: Result<T, E>) -> Either<T, Failure> {
    match result {
        Ok(value) => Either::A(value),
        Err(error) => Either::B(error.into()),
    }
}

/// The same for a result that crosses the border as JSON text.
pub fn json_answer<E: Into<Failure>>(result: Result<Value, E>) -> Either<String, Failure> {
    answer(result.map(|value| value.to_string()))
}
