//! Calls in flight on the host's own event loop: no thread, no hop.
//!
//! Connecting and writing happen in the call itself (a Unix socket connects at once). The sockets then wait in one
//! private epoll set per environment, watched by one handle in the host's libuv; a call that is alone gets a handle
//! of its own, which saves it two system calls. Whatever became ready is read, and all results are settled in one
//! callback scope. Hosts without a usable libuv get a [`notifier`] thread instead.
//!
//! The rules that keep this sound:
//! * everything here belongs to one thread, the environment's; only the notifier's registry is shared, under a lock;
//! * no borrow of [`State`] is held while JavaScript runs: it may call back in;
//! * the clean-up hook closes every handle and socket before the environment goes, and frees nothing that a
//!   pending libuv close callback still needs.

pub mod answer;
mod calls;
mod libuv;
mod notifier;
mod poller;
pub mod scratch;
mod script;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::ptr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use countersign::whoami::{Exchange, Identity, Opened, Progress, WhoamiError};
use napi::bindgen_prelude::Function;
use napi::{Env, JsValue, Unknown, sys};

use calls::{Calls, Key, Stage, Watch};
use libuv::{Handle, Libuv};
use notifier::Notifier;
use poller::{Poller, Ready};
use script::{Guard, Script};

/// How many calls are settled in one turn, before everybody else in the host's loop has theirs.
const MOST_SETTLED: usize = 256;

/// A guard as it comes from JavaScript: `(fd) => undefined | error`.
pub type GuardFunction<'a> = Function<'a, i32, Unknown<'static>>;

/// Why a call did not get as far as the wire.
pub enum Refusal {
    Error(WhoamiError),
    /// What the guard said, a JavaScript value.
    Guard(sys::napi_value),
    Cancelled,
}

struct State {
    poller: Poller,
    calls: Calls,
    /// Guards of calls that wait for a busy daemon.
    guards: HashMap<Key, Guard>,
    ready: Ready,
    /// Calls that were begun in this turn and are not watched yet.
    fresh: Vec<Key>,
}

impl State {
    /// Close every socket, drop every guard.
    fn clear(&mut self) {
        self.calls = Calls::default();
        self.guards.clear();
        self.fresh.clear();
    }
}

enum Host {
    Libuv {
        libuv: &'static Libuv,
        event_loop: *mut c_void,
        watcher: Handle,
        alone: Cell<Option<Handle>>,
    },
    Notifier(Notifier),
    /// None was to be had; the loop never gets as far as a call.
    None,
}

pub struct EventLoop {
    script: Script,
    state: RefCell<State>,
    host: Host,
    holding: Cell<bool>,
    /// Results are being handed to JavaScript, and who calls meanwhile is looked at before the turn is over.
    settling: Cell<bool>,
}

/// A handle of a call that is alone finds its way back by this.
struct Alone {
    owner: *const EventLoop,
    key: Key,
}

thread_local! {
    /// The loops of this thread's environments (a thread has one environment, rarely more).
    static LOOPS: RefCell<Vec<(sys::napi_env, Rc<EventLoop>)>> = const { RefCell::new(Vec::new()) };
}

/// The event loop of this environment.
pub fn of(env: sys::napi_env) -> Option<Rc<EventLoop>> {
    LOOPS.with_borrow(|loops| loops.iter().find(|(of, _)| *of == env).map(|(_, it)| it.clone()))
}

/// Set this environment up: `settle` is called with the outcome of every call.
pub fn attach(env: &Env, settle: &Function<'_, Unknown<'_>, ()>, use_libuv: bool) -> Result<(), String> {
    let env = env.raw();
    if of(env).is_some() {
        return Ok(());
    }
    // SAFETY: whoever holds an Env and a Function is being called from JavaScript: the environment is this thread's,
    // and the function is live.
    let mut script = unsafe { Script::new(env, settle.raw()) }.ok_or("the host refused a reference")?;
    let poller = Poller::new().map_err(|error| format!("no epoll set: {error}"))?;
    let state =
        State { poller, calls: Calls::default(), guards: HashMap::new(), ready: Ready::default(), fresh: Vec::new() };
    let libuv = if use_libuv { Libuv::of_host() } else { None };
    let mut failure = None;
    let it = Rc::new_cyclic(|weak: &std::rc::Weak<EventLoop>| {
        let owner = weak.as_ptr();
        // SAFETY: this thread's environment; the Rc keeps the address until the clean-up hook, which closes the host.
        let host = match libuv.and_then(|libuv| unsafe { watch_with_libuv(env, libuv, &state.poller, owner) }) {
            Some(host) => {
                // SAFETY: JavaScript is calling, so there is a handle scope.
                if !unsafe { script.open_context() } {
                    failure = Some("the host refused an async context".to_owned());
                }
                Some(host)
            }
            None => {
                // SAFETY: as above.
                let notifier = unsafe { Notifier::new(env, &state.poller, tapped, owner.cast_mut().cast()) };
                notifier.map_err(|error| failure = Some(format!("no notifier: {error}"))).ok().map(Host::Notifier)
            }
        };
        EventLoop {
            script,
            state: RefCell::new(state),
            host: host.unwrap_or(Host::None),
            holding: Cell::new(false),
            settling: Cell::new(false),
        }
    });
    if let Some(failure) = failure {
        if let Host::Libuv { libuv, watcher, .. } = &it.host {
            // SAFETY: this thread's loop; the handle was started just now, and is closed once.
            unsafe { libuv.close(*watcher, free_handle) };
        }
        return Err(failure);
    }
    LOOPS.with_borrow_mut(|loops| loops.push((env, it)));
    // SAFETY: the environment is alive; the hook finds the loop by the environment, so nothing dangles.
    unsafe { sys::napi_add_env_cleanup_hook(env, Some(clean_up), env.cast()) };
    Ok(())
}

/// # Safety
/// `env` is the environment of the calling thread; `owner` stays valid until the handle is closed.
unsafe fn watch_with_libuv(
    env: sys::napi_env,
    libuv: &'static Libuv,
    poller: &Poller,
    owner: *const EventLoop,
) -> Option<Host> {
    let mut event_loop = ptr::null_mut();
    // SAFETY: the caller's promise. The handle is allocated, then initialised on its own loop's thread, then started;
    // when one step fails the memory is given back in the state it is in.
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
        Some(Host::Libuv { libuv, event_loop, watcher, alone: Cell::new(None) })
    }
}

impl EventLoop {
    /// Start a call. Its outcome comes through `settle`, unless it ends right here. Between connecting and sending,
    /// `guard` is asked about the descriptor; anything but `undefined` ends the call with that.
    pub fn start(
        &self,
        path: PathBuf,
        request: Vec<u8>,
        timeout: Option<Duration>,
        guard: Option<&GuardFunction<'_>>,
    ) -> Result<Key, Refusal> {
        let begun = self.state.borrow_mut().calls.begin(timeout);
        let Some(key) = begun else {
            return Err(Refusal::Error(WhoamiError::InvalidArgument("too many calls in flight".into())));
        };
        // SAFETY: a Function is live, and only there while JavaScript is calling on the environment's thread.
        let guard = guard.map(|guard| unsafe { Guard::new(self.script.env(), guard.raw()) });
        // SAFETY: JavaScript is calling, so there is a handle scope.
        let outcome = unsafe { self.connect(key, path, request, guard, Duration::from_millis(1)) };
        if outcome.is_err() {
            self.state.borrow_mut().calls.end(key);
        }
        self.hold_process();
        outcome.map(|()| key)
    }

    /// Take a call back. False when there is no such call any more.
    pub fn cancel(&self, key: Key) -> bool {
        let mut state = self.state.borrow_mut();
        if let Some(call) = state.calls.get(key)
            && let Stage::Away { cancelled } = &mut call.stage
        {
            *cancelled = true;
            return true;
        }
        let ended = self.end(&mut state, key);
        drop(state);
        self.hold_process();
        ended
    }

    /// # Safety
    /// Inside a handle scope of the environment's thread.
    unsafe fn connect(
        &self,
        key: Key,
        path: PathBuf,
        request: Vec<u8>,
        guard: Option<Guard>,
        pause: Duration,
    ) -> Result<(), Refusal> {
        let mut exchange = match Exchange::open(&path, request).map_err(Refusal::Error)? {
            Opened::Connected(exchange) => exchange,
            Opened::Busy(request) => {
                let again = Instant::now() + pause;
                let pause = (pause * 2).min(Duration::from_millis(20));
                let mut state = self.state.borrow_mut();
                if let Some(guard) = guard {
                    state.guards.insert(key, guard);
                }
                return self.wait(&mut state, key, Stage::Busy { path, request, again, pause });
            }
        };
        if let Some(guard) = guard {
            // SAFETY: the caller's promise; no borrow is held.
            let refused = unsafe { self.script.ask_guard(&guard, exchange.as_fd().as_raw_fd()) };
            let mut state = self.state.borrow_mut();
            if let Some(Stage::Away { cancelled: true }) = state.calls.get(key).map(|call| &call.stage) {
                return Err(Refusal::Cancelled);
            }
            if let Some(refused) = refused {
                return Err(Refusal::Guard(refused));
            }
            if let Some(error) = state.calls.out_of_time(key) {
                return Err(Refusal::Error(error));
            }
        }
        let writing = matches!(exchange.begin(), Progress::Writable);
        let mut state = self.state.borrow_mut();
        let watch = match state.calls.in_flight() {
            1 if self.watch_alone(key, &exchange, writing) => Watch::Alone,
            _ if self.settling.get() && !writing => {
                state.fresh.push(key);
                Watch::Fresh
            }
            _ => {
                let failed = |error| Refusal::Error(WhoamiError::Read(error));
                state.poller.add(&exchange, key, writing).map_err(failed)?;
                Watch::Shared
            }
        };
        self.wait(&mut state, key, Stage::OnWire { exchange: Box::new(exchange), watch, writing })
    }

    fn wait(&self, state: &mut State, key: Key, stage: Stage) -> Result<(), Refusal> {
        if let Some(alarm) = state.calls.put_back(key, stage) {
            let failed = |error| Refusal::Error(WhoamiError::Read(error));
            if let Err(refusal) = state.poller.wake_by(alarm).map_err(failed) {
                self.end(state, key);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Forget a call, and close what watches it before its socket closes.
    fn end(&self, state: &mut State, key: Key) -> bool {
        let Some(call) = state.calls.end(key) else { return false };
        state.guards.remove(&key);
        if let Stage::OnWire { watch: Watch::Alone, .. } = call.stage {
            self.close_alone();
        }
        true
    }

    /// Read and write what a socket is ready for. `Some`: the call is over.
    fn advance(&self, state: &mut State, key: Key) -> Option<Result<Identity, WhoamiError>> {
        let State { calls, poller, .. } = state;
        let call = calls.get(key)?;
        let Stage::OnWire { exchange, watch, writing } = &mut call.stage else { return None };
        let still_writing = match exchange.advance() {
            Progress::Done(outcome) => return Some(outcome),
            Progress::Readable => false,
            Progress::Writable => true,
        };
        if *writing != still_writing {
            *writing = still_writing;
            match watch {
                Watch::Shared => {
                    if let Err(error) = poller.modify(&**exchange, key, still_writing) {
                        return Some(Err(WhoamiError::Write(error)));
                    }
                }
                Watch::Alone => self.start_alone(still_writing),
                Watch::Fresh => {}
            }
        }
        None
    }

    /// One turn: settle what became ready and what ran out of time. False when more may be waiting.
    ///
    /// # Safety
    /// On the environment's thread, called by the host's loop and not by JavaScript.
    unsafe fn turn(&self) -> bool {
        let (mut done, mut again) = (Vec::new(), Vec::new());
        let drained = {
            let state = &mut *self.state.borrow_mut();
            let mut ready = std::mem::take(&mut state.ready);
            // The set is ours and open; with nothing taken from it, alarms are still looked after.
            let _ = state.poller.take_ready(&mut ready);
            for &key in &ready.keys {
                if let Some(outcome) = self.advance(state, key) {
                    self.end(state, key);
                    done.push((key, outcome));
                }
            }
            if let Some(alarm) = state.calls.next_alarm() {
                let now = Instant::now();
                if alarm <= now {
                    let (expired, busy) = state.calls.due(now);
                    for (key, error) in expired {
                        self.end(state, key);
                        done.push((key, Err(error)));
                    }
                    again = busy;
                }
                if let Some(alarm) = state.calls.next_alarm() {
                    let _ = state.poller.wake_by(alarm.max(now));
                }
            }
            let drained = ready.drained;
            state.ready = ready;
            drained
        };
        let mut left = MOST_SETTLED;
        while !done.is_empty() || !again.is_empty() {
            left = left.saturating_sub(done.len());
            self.settling.set(left > 0);
            // Taken out first: nobody is there to hear it where no scope can be opened any more.
            let (batch, busy) = (std::mem::take(&mut done), std::mem::take(&mut again));
            // SAFETY: the caller's promise; no borrow is held.
            unsafe {
                self.script.scoped(|| {
                    for (key, outcome) in batch {
                        self.script.settle(key, Some(outcome));
                    }
                    for key in busy {
                        self.connect_again(key);
                    }
                });
            }
            self.settling.set(false);
            self.look_at_fresh(&mut done);
        }
        self.hold_process();
        drained
    }

    /// Calls begun while others were settled: a daemon on another core may have answered the first of them by now.
    /// These are done, without ever having been watched; the others are watched from here on.
    fn look_at_fresh(&self, done: &mut Vec<(Key, Result<Identity, WhoamiError>)>) {
        let state = &mut *self.state.borrow_mut();
        let mut fresh = std::mem::take(&mut state.fresh);
        for key in fresh.drain(..) {
            let mut outcome = self.advance(state, key);
            if outcome.is_none() {
                let State { calls, poller, .. } = state;
                // Taken back meanwhile: nothing is left of it.
                let Some(call) = calls.get(key) else { continue };
                let Stage::OnWire { exchange, watch, writing } = &mut call.stage else { continue };
                match poller.add(&**exchange, key, *writing) {
                    Ok(()) => *watch = Watch::Shared,
                    Err(error) => outcome = Some(Err(WhoamiError::Read(error))),
                }
            }
            if let Some(outcome) = outcome {
                self.end(state, key);
                done.push((key, outcome));
            }
        }
        state.fresh = fresh;
    }

    /// # Safety
    /// As for [`EventLoop::turn`], inside a handle scope.
    unsafe fn connect_again(&self, key: Key) {
        let (stage, guard) = {
            let mut state = self.state.borrow_mut();
            (state.calls.send_away(key), state.guards.remove(&key))
        };
        let Some(Stage::Busy { path, request, pause, .. }) = stage else { return };
        // SAFETY: the caller's promise.
        let Err(refusal) = (unsafe { self.connect(key, path, request, guard, pause) }) else { return };
        self.state.borrow_mut().calls.end(key);
        // SAFETY: the caller's promise.
        unsafe {
            match refusal {
                Refusal::Error(error) => self.script.settle(key, Some(Err(error))),
                Refusal::Guard(value) => self.script.settle_with(key, value),
                Refusal::Cancelled => self.script.settle(key, None),
            }
        }
    }

    /// A call in flight keeps the process alive; an idle addon does not.
    fn hold_process(&self) {
        let hold = self.state.borrow().calls.in_flight() > 0;
        if self.holding.replace(hold) == hold {
            return;
        }
        // SAFETY: on the environment's thread; watcher and notifier live until the clean-up hook.
        unsafe {
            match &self.host {
                Host::Libuv { libuv, watcher, .. } => libuv.hold_process(*watcher, hold),
                Host::Notifier(notifier) => notifier.hold_process(self.script.env(), hold),
                Host::None => {}
            }
        }
    }

    /// Give the only call in flight a handle of its own. False when this host has none, or it is taken.
    fn watch_alone(&self, key: Key, exchange: &Exchange, writing: bool) -> bool {
        let Host::Libuv { libuv, event_loop, alone, .. } = &self.host else { return false };
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

    fn start_alone(&self, writing: bool) {
        let Host::Libuv { libuv, alone, .. } = &self.host else { return };
        let Some(handle) = alone.get() else { return };
        let events = libuv::READABLE | libuv::DISCONNECT | if writing { libuv::WRITABLE } else { 0 };
        // SAFETY: a handle in `alone` is initialised and not closing. Starting fails only for such a handle or for
        // events libuv does not know.
        unsafe { libuv.start(handle, events, alone_ready) };
    }

    fn close_alone(&self) {
        let Host::Libuv { libuv, alone, .. } = &self.host else { return };
        if let Some(handle) = alone.take() {
            // SAFETY: a handle in `alone` is initialised and not closing; taken out, it is closed once.
            unsafe { libuv.close(handle, free_alone) };
        }
    }
}

/// libuv: the private set is ready.
unsafe extern "C" fn set_ready(watcher: Handle, _status: c_int, _events: c_int) {
    let Some(libuv) = Libuv::of_host() else { return };
    // SAFETY: the data is the EventLoop, alive until the clean-up hook has closed this handle.
    unsafe { (*libuv.data(watcher).cast::<EventLoop>()).turn() };
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

/// The notifier: the private set is ready.
unsafe extern "C" fn tapped(env: sys::napi_env, _function: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    // Without an environment this is the last sweep of a dying one: the loop may be gone.
    if env.is_null() || of(env).is_none() {
        return;
    }
    // SAFETY: the environment still has its loop, which is the context.
    unsafe {
        let it = &*context.cast::<EventLoop>();
        while !it.turn() {}
        if let Host::Notifier(notifier) = &it.host {
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

unsafe extern "C" fn free_alone(handle: Handle) {
    if let Some(libuv) = Libuv::of_host() {
        // SAFETY: this is its close callback: nobody else reaches the data or the memory any more.
        unsafe {
            drop(Box::from_raw(libuv.data(handle).cast::<Alone>()));
            libuv.free(handle);
        }
    }
}

/// The environment is about to go: close every handle and every socket.
unsafe extern "C" fn clean_up(env: *mut c_void) {
    let env: sys::napi_env = env.cast();
    let found = LOOPS.with_borrow_mut(|loops| {
        let index = loops.iter().position(|(of, _)| *of == env)?;
        Some(loops.swap_remove(index).1)
    });
    let Some(it) = found else { return };
    it.close_alone();
    // SAFETY: the environment's thread, once (the loop is out of the table); after this nothing calls in.
    unsafe {
        match &it.host {
            Host::Libuv { libuv, watcher, .. } => libuv.close(*watcher, free_handle),
            Host::Notifier(notifier) => notifier.close(),
            Host::None => {}
        }
        // Guards hold references of the environment: they go while it is still there.
        it.state.borrow_mut().clear();
        it.script.release();
    }
}
