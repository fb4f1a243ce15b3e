//! Calls in flight on the host's own event loop: no thread, no hop.
//!
//! Connecting and writing happen in the call itself (a Unix socket connects at once). The sockets then wait in one
//! private epoll set per environment, watched by one handle in the host's libuv; a call that is alone gets a handle
//! of its own, which saves it two system calls. Sockets that became ready are read, and all results are settled in one
//! callback scope. Hosts without a usable libuv get a [`notifier`] thread instead.
//!
//! The rules that keep this sound:
//! * everything here belongs to one thread, the environment's; only the notifier's registry is shared, under a lock;
//! * no borrow of [`State`] is held while JavaScript runs: it may call back in;
//! * the clean-up hook closes every handle and socket before the environment goes, and frees nothing that a
//!   pending libuv close callback still needs.

mod alone;
mod calls;
mod connect;
mod libuv;
mod notifier;
mod poller;
mod turn;
mod watcher;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::Duration;

use countersign::backoff::Backoff;
use countersign::whoami::WhoamiError;
use napi::bindgen_prelude::Function;
use napi::{Env, JsValue, Unknown, sys};

use super::guard::{Guard, GuardFunction};
use super::script::Script;
use calls::{Calls, Key, Stage};
use poller::{Poller, Ready};
use watcher::Watcher;

/// Pauses between attempts to connect to a daemon whose backlog is full: there is no event for room in it.
const BUSY: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));

/// Why a call did not get as far as the wire.
pub enum Refusal {
    Error(WhoamiError),
    /// What the guard refused with, a JavaScript value.
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
    fn new(poller: Poller) -> State {
        State { poller, calls: Calls::default(), guards: HashMap::new(), ready: Ready::default(), fresh: Vec::new() }
    }

    /// Close every socket, drop every guard.
    fn clear(&mut self) {
        self.calls = Calls::default();
        self.guards.clear();
        self.fresh.clear();
    }
}

pub struct EventLoop {
    script: Script,
    state: RefCell<State>,
    watcher: Watcher,
    holding: Cell<bool>,
    /// Results are being handed to JavaScript. Calls that begin meanwhile are looked at before the turn is over.
    settling: Cell<bool>,
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
    // SAFETY: an Env and a Function exist only during a call from JavaScript: the environment is this thread's, and the
    // function is live.
    let mut script = unsafe { Script::new(env, settle.raw()) }.ok_or("the host refused a reference")?;
    let poller = Poller::new().map_err(|error| format!("no epoll set: {error}"))?;
    let mut failure = None;
    let it = Rc::new_cyclic(|weak: &Weak<EventLoop>| {
        // SAFETY: this thread's environment, and JavaScript is calling. The Rc keeps its address until the clean-up
        // hook, which closes the watcher.
        let watcher = match unsafe { Watcher::start(env, use_libuv, &mut script, &poller, weak.as_ptr()) } {
            Ok(watcher) => watcher,
            Err(reason) => {
                failure = Some(reason);
                Watcher::None
            }
        };
        EventLoop {
            script,
            state: RefCell::new(State::new(poller)),
            watcher,
            holding: Cell::new(false),
            settling: Cell::new(false),
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    LOOPS.with_borrow_mut(|loops| loops.push((env, it)));
    // SAFETY: the environment is alive; the hook finds the loop by the environment, so nothing dangles.
    unsafe { sys::napi_add_env_cleanup_hook(env, Some(clean_up), env.cast()) };
    Ok(())
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
        let outcome = unsafe { self.connect(key, path, request, guard, BUSY) };
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
        it.watcher.close();
        // Guards hold references of the environment: they go while it is still there.
        it.state.borrow_mut().clear();
        it.script.release();
    }
}
