//! JavaScript values, made and handed on without the checks of the bindings.

use std::ptr;

use napi::{Env, Unknown, sys};

use super::large_integers::MAX_SAFE_INTEGER;

/// # Safety
/// `env` is the environment of the calling thread, inside a handle scope.
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
/// As for [`string`].
pub unsafe fn number(env: sys::napi_env, number: f64) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe { sys::napi_create_double(env, number, &mut value) };
    value
}

/// A number where it is exact, a bigint beyond.
///
/// # Safety
/// As for [`string`].
pub unsafe fn integer(env: sys::napi_env, integer: u64) -> sys::napi_value {
    if integer <= MAX_SAFE_INTEGER {
        // SAFETY: the caller's promise.
        return unsafe { number(env, integer as f64) };
    }
    let mut value = ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe { sys::napi_create_bigint_uint64(env, integer, &mut value) };
    value
}

/// # Safety
/// As for [`string`].
pub unsafe fn undefined(env: sys::napi_env) -> sys::napi_value {
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
