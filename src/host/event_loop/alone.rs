//! A call that is the only one in flight has a poll handle of its own: this saves two system calls.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

use countersign::whoami::Exchange;

use super::EventLoop;
use super::calls::Key;
use super::libuv::{self, Handle, Libuv};
use super::watcher::Watcher;

/// What the handle of such a call points to.
struct Alone {
    owner: *const EventLoop,
    key: Key,
}

impl EventLoop {
    /// Give the only call in flight a handle of its own. False when this host has none, or it is taken.
    pub(super) fn watch_alone(&self, key: Key, exchange: &Exchange, writing: bool) -> bool {
        let Watcher::Libuv { libuv, event_loop, alone, .. } = &self.watcher else { return false };
        if alone.get().is_some() {
            return false;
        }
        // SAFETY: on the loop's thread. The handle is allocated, initialised on an open socket, given its data, and
        // only then started; its owner outlives it, because the clean-up hook closes it.
        unsafe {
            let handle = libuv.allocate_poll();
            if handle.is_null() {
                return false;
            }
            if !libuv.init(*event_loop, handle, exchange.as_fd().as_raw_fd()) {
                libuv.free(handle);
                return false;
            }
            let data = Box::new(Alone { owner: self, key });
            libuv.set_data(handle, Box::into_raw(data).cast());
            alone.set(Some(handle));
        }
        self.start_alone(writing);
        true
    }

    pub(super) fn start_alone(&self, writing: bool) {
        let Watcher::Libuv { libuv, alone, .. } = &self.watcher else { return };
        let Some(handle) = alone.get() else { return };
        let events = libuv::READABLE | libuv::DISCONNECT | if writing { libuv::WRITABLE } else { 0 };
        // SAFETY: a handle in `alone` is initialised and not closing. Starting fails only for such a handle or for
        // events libuv does not know.
        unsafe { libuv.start(handle, events, alone_ready) };
    }

    pub(super) fn close_alone(&self) {
        let Watcher::Libuv { libuv, alone, .. } = &self.watcher else { return };
        if let Some(handle) = alone.take() {
            // SAFETY: a handle in `alone` is initialised and not closing; taken out, it is closed once.
            unsafe { libuv.close(handle, free_alone) };
        }
    }
}

/// libuv: the socket of the call that is alone is ready.
unsafe extern "C" fn alone_ready(handle: Handle, status: c_int, _events: c_int) {
    let Some(libuv) = Libuv::of_host() else { return };
    // SAFETY: the data lives until the close callback of this handle, and its owner until the clean-up hook has
    // closed this handle. Both are copied out before anything can close it.
    let (it, key) = unsafe {
        let data = &*libuv.data(handle).cast::<Alone>();
        (&*data.owner, data.key)
    };
    let outcome = {
        let mut state = it.state.borrow_mut();
        let outcome = it.advance(&mut state, key);
        if outcome.is_some() {
            it.end(&mut state, key);
        }
        outcome
    };
    match outcome {
        Some(outcome) => {
            // SAFETY: called by the host's loop on the environment's thread; no borrow is held.
            unsafe { it.script.scoped(|| it.script.settle(key, Some(outcome))) };
            it.hold_process();
        }
        // libuv stops a handle it reports an error for. The socket still has something to say.
        None if status < 0 => it.start_alone(false),
        None => {}
    }
}

unsafe extern "C" fn free_alone(handle: Handle) {
    if let Some(libuv) = Libuv::of_host() {
        // SAFETY: this is its close callback: no other code reaches the data or the memory any more.
        unsafe {
            drop(Box::from_raw(libuv.data(handle).cast::<Alone>()));
            libuv.free(handle);
        }
    }
}
