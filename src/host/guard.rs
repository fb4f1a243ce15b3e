//! A guard: the JavaScript function that is asked whether the peer of a descriptor may be talked to.

use std::ptr;

use napi::bindgen_prelude::Function;
use napi::{Env, JsValue, Unknown, sys};

use super::value;

/// A guard as it comes from JavaScript: `(fd) => undefined | error`.
pub type GuardFunction<'a> = Function<'a, i32, Unknown<'static>>;

/// Ask a guard about a descriptor, in the middle of a native call. `None`: go on; else what it refused with.
pub fn ask_during_call<'a>(env: &'a Env, guard: &GuardFunction<'_>, descriptor: i32) -> Option<Unknown<'a>> {
    // SAFETY: an Env and a Function exist only during a call from JavaScript, which has a handle scope.
    let refused = unsafe { ask(env.raw(), guard.raw(), descriptor) };
    refused.map(|value| value::live(env, value))
}

/// Ask a guard whether this descriptor's peer may be talked to. `None`: yes; else the value to fail with.
///
/// # Safety
/// Inside a handle scope of the environment's thread; `guard` is a live function.
unsafe fn ask(env: sys::napi_env, guard: sys::napi_value, descriptor: i32) -> Option<sys::napi_value> {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut this, mut verdict) = (ptr::null_mut(), ptr::null_mut());
        sys::napi_get_undefined(env, &mut this);
        let argument = value::number(env, f64::from(descriptor));
        if sys::napi_call_function(env, this, guard, 1, &argument, &mut verdict) != 0 {
            // The guard threw: the server is not accepted, and what was thrown is the reason.
            let mut thrown = ptr::null_mut();
            sys::napi_get_and_clear_last_exception(env, &mut thrown);
            return Some(thrown);
        }
        let mut kind = 0;
        sys::napi_typeof(env, verdict, &mut kind);
        (kind != sys::ValueType::napi_undefined).then_some(verdict)
    }
}

/// A guard, kept alive while its call is in flight.
pub struct Guard {
    env: sys::napi_env,
    function: sys::napi_ref,
}

impl Guard {
    /// # Safety
    /// `env` is the environment of the calling thread, and `function` a live function of it.
    pub unsafe fn new(env: sys::napi_env, function: sys::napi_value) -> Guard {
        let mut reference = ptr::null_mut();
        // SAFETY: the caller's promise.
        unsafe { sys::napi_create_reference(env, function, 1, &mut reference) };
        Guard { env, function: reference }
    }

    /// As [`ask`].
    ///
    /// # Safety
    /// Inside a handle scope of the environment's thread.
    pub unsafe fn ask(&self, descriptor: i32) -> Option<sys::napi_value> {
        let mut function = ptr::null_mut();
        // SAFETY: the caller's promise; a Guard holds its reference.
        unsafe {
            sys::napi_get_reference_value(self.env, self.function, &mut function);
            ask(self.env, function, descriptor)
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: a guard lives in the call table of its environment's thread and is dropped there, before the
        // environment is gone (the clean-up hook empties the table).
        unsafe { sys::napi_delete_reference(self.env, self.function) };
    }
}
