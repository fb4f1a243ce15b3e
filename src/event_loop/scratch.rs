//! A few words of memory that both sides see: for results of plain numbers, the cheapest way over the border there is.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;

use napi::{Env, Unknown, sys};

use super::answer;

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

/// The ArrayBuffer JavaScript is to keep to itself: nobody may transfer or detach it.
pub fn buffer(env: &Env) -> Option<Unknown<'_>> {
    let raw = env.raw();
    let known = SCRATCHES.with_borrow(|all| all.iter().find(|one| one.env == raw).map(|one| one.reference));
    let mut value = ptr::null_mut();
    // SAFETY: whoever holds an Env is being called from JavaScript on this thread; the reference is one of this
    // environment and keeps the buffer, and with it the memory the engine never moves, until the clean-up hook.
    unsafe {
        if let Some(reference) = known {
            sys::napi_get_reference_value(raw, reference, &mut value);
            return (!value.is_null()).then(|| answer::live(env, value));
        }
        let (mut words, mut reference) = (ptr::null_mut::<c_void>(), ptr::null_mut());
        if sys::napi_create_arraybuffer(raw, WORDS * size_of::<u32>(), &mut words, &mut value) != 0
            || words.is_null()
            || sys::napi_create_reference(raw, value, 1, &mut reference) != 0
        {
            return None;
        }
        SCRATCHES.with_borrow_mut(|all| all.push(Scratch { env: raw, reference, words: words.cast() }));
        sys::napi_add_env_cleanup_hook(raw, Some(forget), raw.cast());
    }
    Some(answer::live(env, value))
}

/// Write into the scratch of this environment. False when it has none.
pub fn write(env: &Env, fill: impl FnOnce(&mut [u32; WORDS])) -> bool {
    SCRATCHES.with_borrow_mut(|all| {
        let Some(scratch) = all.iter_mut().find(|one| one.env == env.raw()) else { return false };
        // SAFETY: the engine aligns and never moves the memory of an ArrayBuffer, the reference keeps it alive, only
        // our own script has it, and no JavaScript runs while we hold it.
        fill(unsafe { &mut *scratch.words.cast::<[u32; WORDS]>() });
        true
    })
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
