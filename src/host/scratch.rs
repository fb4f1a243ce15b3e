//! A few words of memory that both sides see: the cheapest way over the border for results that are plain numbers.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::{Env, Unknown, sys};

use super::value;

/// How many words there are.
pub const WORDS: usize = 69;

struct Scratch {
    env: sys::napi_env,
    reference: sys::napi_ref,
    words: *mut u32,
}

thread_local! {
    /// One for each environment of this thread.
    static SCRATCHES: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
}

/// Writes the words.
pub trait Fill {
    /// Writes the result for a number. False: there is none, or it does not fit.
    fn fill(number: i32, words: &mut [u32; WORDS]) -> bool;
}

/// The words as an ArrayBuffer, and the function that has them filled, in a list. JavaScript must not transfer or
/// detach the buffer.
pub fn with<F: Fill>(env: &Env) -> Option<Unknown<'_>> {
    let raw = env.raw();
    let known =
        SCRATCHES.with_borrow(|all| all.iter().find(|one| one.env == raw).map(|one| (one.reference, one.words)));
    let (mut buffer, mut function, mut list) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: an Env exists only during a call from JavaScript on this thread; every out-pointer outlives its call.
    // The reference is one of this environment and keeps the buffer, and with it the memory the engine never moves,
    // until the clean-up hook; after that no function of this environment is called any more.
    unsafe {
        let words = match known {
            Some((reference, words)) => {
                sys::napi_get_reference_value(raw, reference, &mut buffer);
                words
            }
            None => {
                let (mut words, mut reference) = (ptr::null_mut::<c_void>(), ptr::null_mut());
                if sys::napi_create_arraybuffer(raw, WORDS * size_of::<u32>(), &mut words, &mut buffer) != 0
                    || words.is_null()
                    || sys::napi_create_reference(raw, buffer, 1, &mut reference) != 0
                {
                    return None;
                }
                SCRATCHES.with_borrow_mut(|all| all.push(Scratch { env: raw, reference, words: words.cast() }));
                sys::napi_add_env_cleanup_hook(raw, Some(forget), raw.cast());
                words.cast()
            }
        };
        let made = !buffer.is_null()
            && sys::napi_create_function(raw, ptr::null(), 0, Some(called::<F>), words.cast(), &mut function) == 0
            && sys::napi_create_array_with_length(raw, 2, &mut list) == 0
            && sys::napi_set_element(raw, list, 0, buffer) == 0
            && sys::napi_set_element(raw, list, 1, function) == 0;
        made.then(|| value::live(env, list))
    }
}

/// The function itself, without the bookkeeping of a generated one: it takes a number and gives a boolean.
unsafe extern "C" fn called<F: Fill>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (mut count, mut argument, mut number) = (1, ptr::null_mut(), 0);
    let (mut data, mut answer) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: JavaScript is calling; there is room for the one argument, and a missing one reads as undefined. The data
    // is the words of this environment (see `with`); only our own script has them, and none of it runs meanwhile.
    unsafe {
        let filled = sys::napi_get_cb_info(env, info, &mut count, &mut argument, ptr::null_mut(), &mut data) == 0
            && sys::napi_get_value_int32(env, argument, &mut number) == 0
            && {
                let words = &mut *data.cast::<[u32; WORDS]>();
                // A panic must not get into the engine; the slow path meets its cause again and reports it.
                catch_unwind(AssertUnwindSafe(|| F::fill(number, words))).unwrap_or(false)
            };
        sys::napi_get_boolean(env, filled, &mut answer);
    }
    answer
}

unsafe extern "C" fn forget(env: *mut c_void) {
    let env: sys::napi_env = env.cast();
    SCRATCHES.with_borrow_mut(|all| {
        all.retain(|one| {
            if one.env == env {
                // SAFETY: the environment is still there while its clean-up hooks run.
                unsafe { sys::napi_delete_reference(env, one.reference) };
            }
            one.env != env
        });
    });
}
