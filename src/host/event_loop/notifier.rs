//! For hosts without a usable libuv: one thread for the whole process that watches the private sets of all
//! environments and notifies the right one. All reading and settling stays on the JavaScript thread.

use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use napi::sys;
use rustix::event::epoll;
use rustix::io::Errno;

pub type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_value, *mut c_void, *mut c_void);

/// One environment's place with the notifier.
pub struct Notifier {
    id: u64,
    function: sys::napi_threadsafe_function,
}

struct Function(sys::napi_threadsafe_function);
// SAFETY: N-API lets a threadsafe function be called from any thread; the registry's lock makes sure that it is not
// released meanwhile.
unsafe impl Send for Function {}

struct Hub {
    sets: OwnedFd,
    registry: Mutex<(u64, HashMap<u64, Function>)>,
}

impl Hub {
    fn get() -> io::Result<&'static Hub> {
        static HUB: OnceLock<Hub> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = HUB.get() {
            return Ok(hub);
        }
        let sets = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let hub = HUB.get_or_init(|| Hub { sets, registry: Mutex::default() });
        std::thread::Builder::new().name("countersign".into()).stack_size(128 * 1024).spawn(|| hub.watch())?;
        Ok(hub)
    }

    fn registry(&self) -> MutexGuard<'_, (u64, HashMap<u64, Function>)> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(&self.sets, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            let registry = self.registry();
            for event in &events {
                if let Some(function) = registry.1.get(&event.data.u64()) {
                    let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
                    // SAFETY: the function is in the registry, so it was not released, and cannot be while the lock
                    // is held.
                    unsafe { sys::napi_call_threadsafe_function(function.0, ptr::null_mut(), mode) };
                }
            }
        }
    }
}

impl Notifier {
    /// Watch `set` for this environment; `callback` runs on its thread with `context` whenever the set is ready,
    /// once for each [`Notifier::rearm`].
    ///
    /// # Safety
    /// `env` is the environment of the calling thread. `context` outlives the notifier.
    pub unsafe fn new(
        env: sys::napi_env,
        set: impl AsFd,
        callback: Callback,
        context: *mut c_void,
    ) -> io::Result<Notifier> {
        let hub = Hub::get()?;
        let (mut name, mut function) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the caller's promise; a threadsafe function without a JavaScript function needs a callback, given.
        let status = unsafe {
            sys::napi_create_string_utf8(env, c"countersign".as_ptr(), 11, &mut name);
            sys::napi_create_threadsafe_function(
                env,
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                1,
                ptr::null_mut(),
                None,
                context,
                Some(callback),
                &mut function,
            )
        };
        if status != 0 {
            return Err(io::Error::other("the host gives no threadsafe function"));
        }
        // SAFETY: just created, on this thread: it must not keep an idle process alive.
        unsafe { sys::napi_unref_threadsafe_function(env, function) };
        let id = {
            let mut registry = hub.registry();
            registry.0 += 1;
            let id = registry.0;
            registry.1.insert(id, Function(function));
            id
        };
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&hub.sets, set, epoll::EventData::new_u64(id), flags)?;
        Ok(Notifier { id, function })
    }

    /// Ask for the next notification.
    pub fn rearm(&self, set: impl AsFd) {
        if let Ok(hub) = Hub::get() {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
            // The set was added and is open; should it fail all the same, the next call's wake-up is lost with it
            // and its deadline with that, and nothing here could recover it.
            let _ = epoll::modify(&hub.sets, set, epoll::EventData::new_u64(self.id), flags);
        }
    }

    /// # Safety
    /// The calling thread is the environment's.
    pub unsafe fn hold_process(&self, env: sys::napi_env, hold: bool) {
        // SAFETY: the caller's promise; the function lives until `close`.
        unsafe {
            if hold {
                sys::napi_ref_threadsafe_function(env, self.function);
            } else {
                sys::napi_unref_threadsafe_function(env, self.function);
            }
        }
    }

    /// No notification comes after this.
    ///
    /// # Safety
    /// The calling thread is the environment's; called once.
    pub unsafe fn close(&self) {
        let Ok(hub) = Hub::get() else { return };
        hub.registry().1.remove(&self.id);
        // SAFETY: the notifier thread can no longer find the function, and we held its only other reference.
        unsafe {
            sys::napi_release_threadsafe_function(self.function, sys::ThreadsafeFunctionReleaseMode::abort);
        }
    }
}
