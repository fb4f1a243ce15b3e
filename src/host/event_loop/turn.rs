//! One turn of the host's loop: calls that became ready, or ran out of time, are settled.

use std::time::Instant;

use countersign::whoami::{Identity, WhoamiError};

use super::calls::{Key, Stage, Watch};
use super::{EventLoop, State};

/// How many calls are settled in one turn, before other work of the host's loop has its turn.
const MOST_SETTLED: usize = 256;

/// The outcomes of one turn.
type Settled = Vec<(Key, Result<Identity, WhoamiError>)>;

impl EventLoop {
    /// One turn: settle what became ready and what ran out of time. False when more may be waiting.
    ///
    /// # Safety
    /// On the environment's thread, called by the host's loop and not by JavaScript.
    pub(super) unsafe fn turn(&self) -> bool {
        let (mut done, mut again, drained) = self.look_at_ready();
        let mut left = MOST_SETTLED;
        while !done.is_empty() || !again.is_empty() {
            left = left.saturating_sub(done.len());
            self.settling.set(left > 0);
            // Taken out first: where no scope can be opened any more, the outcomes are dropped.
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

    /// What became ready, and whose alarm is due: the calls that are over, those to connect once more, and whether
    /// nothing more is waiting in the set.
    fn look_at_ready(&self) -> (Settled, Vec<Key>, bool) {
        let (mut done, mut again) = (Vec::new(), Vec::new());
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
        (done, again, drained)
    }

    /// Calls begun while others were settled: a daemon on another core may have answered the first of them by now.
    /// These are done, without ever having been watched; the others are watched from here on.
    fn look_at_fresh(&self, done: &mut Settled) {
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
}
