//! The life of one call: connecting, waiting, reading and writing, and its end.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Instant;

use countersign::backoff::Backoff;
use countersign::whoami::{Exchange, Identity, Opened, Progress, WhoamiError};

use super::calls::{Key, Stage, Watch};
use super::{EventLoop, Refusal, State};
use crate::host::guard::Guard;

impl EventLoop {
    /// # Safety
    /// Inside a handle scope of the environment's thread.
    pub(super) unsafe fn connect(
        &self,
        key: Key,
        path: PathBuf,
        request: Vec<u8>,
        guard: Option<Guard>,
        mut backoff: Backoff,
    ) -> Result<(), Refusal> {
        let mut exchange = match Exchange::open(&path, request).map_err(Refusal::Error)? {
            Opened::Connected(exchange) => exchange,
            Opened::Busy(request) => {
                let again = Instant::now() + backoff.pause();
                let mut state = self.state.borrow_mut();
                if let Some(guard) = guard {
                    state.guards.insert(key, guard);
                }
                return self.wait(&mut state, key, Stage::Busy { path, request, again, backoff });
            }
        };
        if let Some(guard) = guard {
            // SAFETY: the caller's promise; no borrow is held.
            let refused = unsafe { guard.ask(exchange.as_fd().as_raw_fd()) };
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

    pub(super) fn wait(&self, state: &mut State, key: Key, stage: Stage) -> Result<(), Refusal> {
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
    pub(super) fn end(&self, state: &mut State, key: Key) -> bool {
        let Some(call) = state.calls.end(key) else { return false };
        state.guards.remove(&key);
        if let Stage::OnWire { watch: Watch::Alone, .. } = call.stage {
            self.close_alone();
        }
        true
    }

    /// Read and write what a socket is ready for. `Some`: the call is over.
    pub(super) fn advance(&self, state: &mut State, key: Key) -> Option<Result<Identity, WhoamiError>> {
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

    /// # Safety
    /// As for [`EventLoop::turn`], inside a handle scope.
    pub(super) unsafe fn connect_again(&self, key: Key) {
        let (stage, guard) = {
            let mut state = self.state.borrow_mut();
            (state.calls.send_away(key), state.guards.remove(&key))
        };
        let Some(Stage::Busy { path, request, backoff, .. }) = stage else { return };
        // SAFETY: the caller's promise.
        let Err(refusal) = (unsafe { self.connect(key, path, request, guard, backoff) }) else { return };
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
}
