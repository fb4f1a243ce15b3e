//! How an answer crosses the border: as the arguments of one JavaScript call. One call that builds the object in
//! JavaScript costs half of what setting its properties from here does.

use std::ptr;

use countersign::whoami::{Identity, WhoamiError};
use napi::bindgen_prelude::Function;
use napi::{Env, JsValue, Unknown, sys};
use serde_json::json;

use crate::large_integers::{self, MAX_SAFE_INTEGER};

/// How many values an identity is handed over as.
pub const IDENTITY_ARGUMENTS: usize = 13;

/// # Safety
/// `env` is the environment of the calling thread, inside a handle scope.
pub unsafe fn identity_arguments(env: sys::napi_env, me: &Identity) -> [sys::napi_value; IDENTITY_ARGUMENTS] {
    // SAFETY: the caller's promise.
    unsafe {
        let runner = &me.runner;
        let small = |value: Option<u32>| value.map_or_else(|| undefined(env), |value| number(env, f64::from(value)));
        let large = |value: Option<u64>| value.map_or_else(|| undefined(env), |value| integer(env, value));
        [
            string(env, &me.identity),
            string(env, &me.idm_url),
            string(env, &me.config_url),
            string(env, me.token.expose()),
            string(env, &runner.identity),
            string(env, &runner.hostname),
            string(env, &runner.process),
            small(runner.pid),
            small(runner.uid),
            small(runner.gid),
            large(runner.instance_id),
            large(runner.timestamp),
            if runner.extra.is_empty() {
                undefined(env)
            } else {
                let mut large = Vec::new();
                for (name, value) in &runner.extra {
                    large_integers::find(value, &mut vec![name.as_str().into()], &mut large);
                }
                string(env, &json!([runner.extra, large]).to_string())
            },
        ]
    }
}

/// An error as JSON text: `code`, `message` and the details of its kind.
pub fn error_json(error: &WhoamiError) -> String {
    let mut details = json!({ "code": error.code(), "message": error.to_string() });
    if let Some(os) = error.os_error() {
        details["errno"] = json!(os.raw_os_error());
    }
    match error {
        WhoamiError::MissingField { field, .. } => details["field"] = json!(field),
        WhoamiError::Daemon { code, message } => {
            details["daemonCode"] = json!(code);
            details["daemonMessage"] = json!(message);
        }
        WhoamiError::Timeout { after, .. } => details["timeout"] = json!(after.as_millis() as u64),
        WhoamiError::SocketNotFound { path } | WhoamiError::ConnectionFailed { path, .. } => {
            details["path"] = json!(path.to_string_lossy());
        }
        _ => {}
    }
    details.to_string()
}

/// # Safety
/// As for [`identity_arguments`].
pub unsafe fn error_text(env: sys::napi_env, error: &WhoamiError) -> sys::napi_value {
    // SAFETY: the caller's promise.
    unsafe { string(env, &error_json(error)) }
}

/// # Safety
/// As for [`identity_arguments`].
pub unsafe fn string(env: sys::napi_env, text: &str) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the caller's promise; pointer and length are those of a live slice.
    unsafe {
        // ASCII is valid Latin-1, and much the cheaper call.
        if text.is_ascii() {
            sys::napi_create_string_latin1(env, text.as_ptr().cast(), text.len() as isize, &mut value);
        } else {
            sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value);
        }
    }
    value
}

/// # Safety
/// As for [`identity_arguments`].
pub unsafe fn number(env: sys::napi_env, number: f64) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe { sys::napi_create_double(env, number, &mut value) };
    value
}

/// A number where it is exact, a bigint beyond.
unsafe fn integer(env: sys::napi_env, integer: u64) -> sys::napi_value {
    if integer <= MAX_SAFE_INTEGER {
        // SAFETY: the caller's promise.
        return unsafe { number(env, integer as f64) };
    }
    let mut value = ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe { sys::napi_create_bigint_uint64(env, integer, &mut value) };
    value
}

unsafe fn undefined(env: sys::napi_env) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe { sys::napi_get_undefined(env, &mut value) };
    value
}

/// A raw value that came out of a call made in this very native call, so that it is still live.
pub fn live<'a>(env: &'a Env, value: sys::napi_value) -> Unknown<'a> {
    // SAFETY: values live as long as the handle scope of the native call they came up in, which `env` stands for.
    unsafe { Unknown::from_raw_unchecked(env.raw(), value) }
}

/// Make the identity in JavaScript: `build(...values)`. When that throws, the exception stays pending and is thrown
/// on return.
pub fn build<'a>(env: &'a Env, build: &Function<'_, Unknown<'_>, Unknown<'_>>, me: &Identity) -> Unknown<'a> {
    let (mut this, mut result) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: whoever holds an Env and a Function is being called from JavaScript, with its handle scope.
    unsafe {
        let arguments = identity_arguments(env.raw(), me);
        sys::napi_get_undefined(env.raw(), &mut this);
        sys::napi_call_function(env.raw(), this, build.raw(), arguments.len(), arguments.as_ptr(), &mut result);
        if result.is_null() {
            result = this;
        }
    }
    live(env, result)
}

/// Ask a guard about a descriptor, in the middle of a native call. `None`: go on; else what it refused with.
pub fn ask_guard<'a>(env: &'a Env, guard: &super::GuardFunction<'_>, descriptor: i32) -> Option<Unknown<'a>> {
    // SAFETY: whoever holds an Env and a Function is being called from JavaScript, with its handle scope.
    let refused = unsafe { super::script::ask(env.raw(), guard.raw(), descriptor) };
    refused.map(|value| live(env, value))
}
