//! How an identity crosses the border: as the arguments of one JavaScript call. One call that builds the object in
//! JavaScript costs half of what setting its properties from here does.

use std::ptr;

use countersign::whoami::Identity;
use napi::bindgen_prelude::Function;
use napi::{Env, JsValue, Unknown, sys};
use serde_json::json;

use super::large_integers;
use super::value::{integer, live, number, string, undefined};

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

/// Make the identity in JavaScript: `build(...values)`. When that throws, the exception stays pending and is thrown
/// on return.
pub fn build<'a>(env: &'a Env, build: &Function<'_, Unknown<'_>, Unknown<'_>>, me: &Identity) -> Unknown<'a> {
    let (mut this, mut result) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: an Env and a Function exist only during a call from JavaScript, which has a handle scope.
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
