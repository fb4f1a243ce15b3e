//! Calling back into JavaScript from the event loop: scopes, strings, and one call per result.

use std::ptr;

use countersign::whoami::{Identity, WhoamiError};
use napi::bindgen_prelude::ToNapiValue;
use napi::sys;

use super::failure::Failure;
use super::{identity, value};

/// The function of the JavaScript side, and the async context it is called in.
pub struct Script {
    env: sys::napi_env,
    settle: sys::napi_ref,
    /// Null where the host calls us inside a callback scope of its own.
    context: sys::napi_async_context,
    resource: sys::napi_ref,
}

impl Script {
    /// # Safety
    /// `env` is the environment of the calling thread, and `settle` a live function of it.
    pub unsafe fn new(env: sys::napi_env, settle: sys::napi_value) -> Option<Script> {
        let mut script = Script { env, settle: ptr::null_mut(), context: ptr::null_mut(), resource: ptr::null_mut() };
        // SAFETY: the caller's promise; the out-pointer outlives the call.
        let status = unsafe { sys::napi_create_reference(env, settle, 1, &mut script.settle) };
        (status == 0).then_some(script)
    }

    /// Be called by the host's loop itself, which opens no callback scope for us.
    ///
    /// # Safety
    /// Inside a handle scope of the environment's thread.
    pub unsafe fn open_context(&mut self) -> bool {
        let (mut name, mut object) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the caller's promise; every out-pointer outlives its call.
        unsafe {
            sys::napi_create_string_utf8(self.env, c"countersign".as_ptr(), 11, &mut name) == 0
                && sys::napi_create_object(self.env, &mut object) == 0
                && sys::napi_create_reference(self.env, object, 1, &mut self.resource) == 0
                && sys::napi_async_init(self.env, object, name, &mut self.context) == 0
        }
    }

    /// Run `f` inside a handle scope and a callback scope: when it closes, the promise reactions run.
    ///
    /// # Safety
    /// The calling thread is the environment's, no exception is pending, and the environment is not being torn down.
    pub unsafe fn scoped(&self, f: impl FnOnce()) {
        // SAFETY: the caller's promise; scopes are closed in the reverse order of their opening.
        unsafe {
            let (mut handles, mut callback, mut resource) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            if sys::napi_open_handle_scope(self.env, &mut handles) != 0 {
                return;
            }
            let opened = !self.context.is_null() && {
                sys::napi_get_reference_value(self.env, self.resource, &mut resource);
                sys::napi_open_callback_scope(self.env, resource, self.context, &mut callback) == 0
            };
            f();
            if opened {
                sys::napi_close_callback_scope(self.env, callback);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }

    /// Hand the outcome of one call to JavaScript: `settle(key, ...)`.
    ///
    /// # Safety
    /// As for [`Script::scoped`], inside a handle scope.
    pub unsafe fn settle(&self, key: u64, outcome: Option<Result<Identity, WhoamiError>>) {
        // SAFETY: the caller's promise.
        unsafe {
            let key = value::number(self.env, key as f64);
            match outcome {
                Some(Ok(me)) => {
                    let values = identity::identity_arguments(self.env, &me);
                    let mut all = [key; 1 + identity::IDENTITY_ARGUMENTS];
                    all[1..].copy_from_slice(&values);
                    self.call(&all);
                }
                Some(Err(error)) => {
                    let failure = Failure::to_napi_value(self.env, Failure::from(&error));
                    self.call(&[key, failure.unwrap_or(ptr::null_mut())]);
                }
                None => self.call(&[key]),
            }
        }
    }

    /// Hand over an error that JavaScript itself made (a guard's refusal).
    ///
    /// # Safety
    /// As for [`Script::settle`]; `error` is a live value.
    pub unsafe fn settle_with(&self, key: u64, error: sys::napi_value) {
        // SAFETY: the caller's promise.
        unsafe { self.call(&[value::number(self.env, key as f64), error]) }
    }

    unsafe fn call(&self, arguments: &[sys::napi_value]) {
        // SAFETY: the caller's promise.
        unsafe {
            let (mut function, mut this, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            sys::napi_get_reference_value(self.env, self.settle, &mut function);
            sys::napi_get_undefined(self.env, &mut this);
            let status =
                sys::napi_call_function(self.env, this, function, arguments.len(), arguments.as_ptr(), &mut result);
            if status != 0 {
                // `settle` does not throw: this is a worker being terminated. Left pending, the termination would
                // surface in a clean-up hook, where there is no handle scope, and abort the process.
                sys::napi_get_and_clear_last_exception(self.env, &mut result);
            }
        }
    }

    /// # Safety
    /// The calling thread is the environment's.
    pub unsafe fn release(&self) {
        // SAFETY: the caller's promise; nothing uses the references afterwards.
        unsafe {
            if !self.context.is_null() {
                sys::napi_async_destroy(self.env, self.context);
                sys::napi_delete_reference(self.env, self.resource);
            }
            sys::napi_delete_reference(self.env, self.settle);
        }
    }

    pub fn env(&self) -> sys::napi_env {
        self.env
    }
}
