//! What watches the private set of an environment: a poll handle in the host's libuv, or the notifier's thread.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use napi::sys;

use super::libuv::{self, Handle, Libuv};
use super::notifier::Notifier;
use super::poller::Poller;
use super::{EventLoop, of};
use crate::host::script::Script;

pub(super) enum Watcher {
    Libuv {
        libuv: &'static Libuv,
        event_loop: *mut c_void,
        watcher: Handle,
        alone: Cell<Option<Handle>>,
    },
    Notifier(Notifier),
    /// There is none; the loop never gets as far as a call.
    None,
}

impl Watcher {
    /// Watches the private set of an environment, through libuv when asked to and when the host has a usable one.
    ///
    /// # Safety
    /// JavaScript is calling, and `env` is the environment of the calling thread. `owner` is valid whenever the loop of
    /// that thread runs, until [`Watcher::close`].
    pub(super) unsafe fn start(
        env: sys::napi_env,
        use_libuv: bool,
        script: &mut Script,
        poller: &Poller,
        owner: *const EventLoop,
    ) -> Result<Watcher, String> {
        let libuv = if use_libuv { Libuv::of_host() } else { None };
        // SAFETY: the caller's promise.
        let watcher = libuv.and_then(|libuv| unsafe { Watcher::with_libuv(env, libuv, poller, owner) });
        let Some(watcher) = watcher else {
            // SAFETY: the caller's promise.
            let notifier = unsafe { Notifier::new(env, poller, set_ready_elsewhere, owner.cast_mut().cast()) };
            return notifier.map(Watcher::Notifier).map_err(|error| format!("no notifier: {error}"));
        };
        // SAFETY: JavaScript is calling, so there is a handle scope.
        if unsafe { script.open_context() } {
            return Ok(watcher);
        }
        // SAFETY: this thread's loop; the handle was started just now, and is closed once.
        unsafe { watcher.close() };
        Err("the host refused an async context".into())
    }

    /// # Safety
    /// `env` is the environment of the calling thread; `owner` stays valid until the handle is closed.
    unsafe fn with_libuv(
        env: sys::napi_env,
        libuv: &'static Libuv,
        poller: &Poller,
        owner: *const EventLoop,
    ) -> Option<Watcher> {
        let mut event_loop = ptr::null_mut();
        // SAFETY: the caller's promise. The handle is allocated, then initialised on its own loop's thread, then
        // started; when one step fails the memory is given back in the state it is in.
        unsafe {
            if sys::napi_get_uv_event_loop(env, &mut event_loop) != 0 {
                return None;
            }
            let event_loop: *mut c_void = event_loop.cast();
            let watcher = libuv.allocate_poll();
            if watcher.is_null() {
                return None;
            }
            if !libuv.init(event_loop, watcher, poller.as_fd().as_raw_fd()) {
                libuv.free(watcher);
                return None;
            }
            libuv.set_data(watcher, owner.cast_mut().cast());
            if !libuv.start(watcher, libuv::READABLE, set_ready) {
                libuv.close(watcher, free_handle);
                return None;
            }
            libuv.hold_process(watcher, false);
            Some(Watcher::Libuv { libuv, event_loop, watcher, alone: Cell::new(None) })
        }
    }

    /// Lets calls in flight keep the process alive, or not.
    ///
    /// # Safety
    /// On the environment's thread, before [`Watcher::close`].
    unsafe fn hold_process(&self, env: sys::napi_env, hold: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Watcher::Libuv { libuv, watcher, .. } => libuv.hold_process(*watcher, hold),
                Watcher::Notifier(notifier) => notifier.hold_process(env, hold),
                Watcher::None => {}
            }
        }
    }

    /// Nothing calls in after this.
    ///
    /// # Safety
    /// On the environment's thread, once.
    pub(super) unsafe fn close(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Watcher::Libuv { libuv, watcher, .. } => libuv.close(*watcher, free_handle),
                Watcher::Notifier(notifier) => notifier.close(),
                Watcher::None => {}
            }
        }
    }
}

impl EventLoop {
    /// A call in flight keeps the process alive; an idle addon does not.
    pub(super) fn hold_process(&self) {
        let hold = self.state.borrow().calls.in_flight() > 0;
        if self.holding.replace(hold) != hold {
            // SAFETY: on the environment's thread; the watcher is open until the clean-up hook.
            unsafe { self.watcher.hold_process(self.script.env(), hold) };
        }
    }
}

/// libuv: the private set is ready.
unsafe extern "C" fn set_ready(watcher: Handle, _status: c_int, _events: c_int) {
    let Some(libuv) = Libuv::of_host() else { return };
    // SAFETY: the data is the EventLoop, alive until the clean-up hook has closed this handle.
    unsafe { (*libuv.data(watcher).cast::<EventLoop>()).turn() };
}

/// The notifier: the private set is ready.
unsafe extern "C" fn set_ready_elsewhere(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // Without an environment the environment is being torn down: the loop may be gone.
    if env.is_null() || of(env).is_none() {
        return;
    }
    // SAFETY: the environment still has its loop, which is the context.
    unsafe {
        let it = &*context.cast::<EventLoop>();
        while !it.turn() {}
        if let Watcher::Notifier(notifier) = &it.watcher {
            notifier.rearm(&it.state.borrow().poller);
        }
    }
}

unsafe extern "C" fn free_handle(handle: Handle) {
    if let Some(libuv) = Libuv::of_host() {
        // SAFETY: this is its close callback.
        unsafe { libuv.free(handle) };
    }
}
