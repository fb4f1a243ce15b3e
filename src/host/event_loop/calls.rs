//! The calls of one environment that are in flight, and their deadlines. Plain bookkeeping: nothing here knows Node or
//! a loop.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use countersign::backoff::Backoff;
use countersign::whoami::{Exchange, WhoamiError};

/// Names one call. Slots are reused, keys are not: a late event for a call that is gone finds nothing.
pub type Key = u64;

/// Where a call stands.
pub enum Stage {
    /// The daemon's backlog was full: try again at the time given.
    Busy { path: PathBuf, request: Vec<u8>, again: Instant, backoff: Backoff },
    /// Taken out while it is being connected and the guard is asked about its server. A cancellation is noted here.
    Away { cancelled: bool },
    /// On the wire; `writing` says that the socket is watched for room to write as well.
    OnWire { exchange: Box<Exchange>, watch: Watch, writing: bool },
}

/// What watches the socket of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// Nothing yet: it was begun while others were settled, and is looked at when they are.
    Fresh,
    /// The shared set.
    Shared,
    /// A handle of its own in the host's loop.
    Alone,
}

pub struct Call {
    pub stage: Stage,
    deadline: Option<Instant>,
    allowed: Duration,
    alarm: Option<Instant>,
}

impl Call {
    fn next_alarm(&self) -> Option<Instant> {
        match (&self.stage, self.deadline) {
            (Stage::Busy { again, .. }, Some(deadline)) => Some(deadline.min(*again)),
            (Stage::Busy { again, .. }, None) => Some(*again),
            (_, deadline) => deadline,
        }
    }

    fn waiting_for(&self) -> &'static str {
        match &self.stage {
            Stage::Busy { .. } => "connecting: the daemon's backlog is full",
            Stage::Away { .. } => "connecting",
            Stage::OnWire { exchange, .. } => exchange.stage(),
        }
    }
}

struct Slot {
    generation: u32,
    call: Option<Call>,
}

#[derive(Default)]
pub struct Calls {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The generation a new slot starts from: above all that slots given back have seen.
    first_generation: u32,
    alarms: BTreeSet<(Instant, Key)>,
}

/// Keys stay below 2^53 (they are numbers in JavaScript): 2^21 slots of 2^32 generations.
const SLOT_BITS: u32 = 21;

impl Calls {
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Take a call in, away until [`Calls::put_back`]. `None` when there are two million of them already.
    pub fn begin(&mut self, timeout: Option<Duration>) -> Option<Key> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < 1 << SLOT_BITS => {
                self.slots.push(Slot { generation: self.first_generation, call: None });
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.call = Some(Call {
            stage: Stage::Away { cancelled: false },
            deadline: timeout.and_then(|after| Instant::now().checked_add(after)),
            allowed: timeout.unwrap_or_default(),
            alarm: None,
        });
        Some(u64::from(slot.generation) << SLOT_BITS | u64::from(index))
    }

    pub fn get(&mut self, key: Key) -> Option<&mut Call> {
        let slot = self.slots.get_mut((key & ((1 << SLOT_BITS) - 1)) as usize)?;
        if u64::from(slot.generation) != key >> SLOT_BITS {
            return None;
        }
        slot.call.as_mut()
    }

    /// Put a call where it stands now. The earliest alarm of all comes back when it may have moved.
    pub fn put_back(&mut self, key: Key, stage: Stage) -> Option<Instant> {
        let call = self.get(key)?;
        call.stage = stage;
        let (old, new) = (call.alarm, call.next_alarm());
        call.alarm = new;
        if old != new {
            if let Some(old) = old {
                self.alarms.remove(&(old, key));
            }
            if let Some(new) = new {
                self.alarms.insert((new, key));
            }
        }
        new
    }

    /// Take a call out, to be put back later.
    pub fn send_away(&mut self, key: Key) -> Option<Stage> {
        let call = self.get(key)?;
        Some(std::mem::replace(&mut call.stage, Stage::Away { cancelled: false }))
    }

    /// The call is over: forget it.
    pub fn end(&mut self, key: Key) -> Option<Call> {
        self.get(key)?;
        let index = (key & ((1 << SLOT_BITS) - 1)) as u32;
        let call = self.slots[index as usize].call.take()?;
        if let Some(alarm) = call.alarm {
            self.alarms.remove(&(alarm, key));
        }
        self.free.push(index);
        // An environment that once had a million calls should not pay for them for ever.
        if self.free.len() == self.slots.len() && self.slots.len() > 4096 {
            let highest = self.slots.iter().map(|slot| slot.generation).max().unwrap_or(0);
            *self = Calls { first_generation: highest, ..Calls::default() };
        }
        Some(call)
    }

    /// When the next alarm is due.
    pub fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(when, _)| *when)
    }

    /// The calls whose alarm is due: those out of time (with their error), and those to be connected again.
    pub fn due(&mut self, now: Instant) -> (Vec<(Key, WhoamiError)>, Vec<Key>) {
        let (mut expired, mut again) = (Vec::new(), Vec::new());
        let keys: Vec<Key> = self.alarms.iter().take_while(|(when, _)| *when <= now).map(|(_, key)| *key).collect();
        for key in keys {
            let Some(call) = self.get(key) else { continue };
            if call.deadline.is_some_and(|deadline| deadline <= now) {
                expired.push((key, WhoamiError::Timeout { after: call.allowed, stage: call.waiting_for() }));
            } else {
                again.push(key);
            }
        }
        (expired, again)
    }

    /// The deadline of a call has passed (asked when it was away, where no alarm can reach it).
    pub fn out_of_time(&mut self, key: Key) -> Option<WhoamiError> {
        let call = self.get(key)?;
        let late = call.deadline.is_some_and(|deadline| deadline <= Instant::now());
        late.then(|| WhoamiError::Timeout { after: call.allowed, stage: call.waiting_for() })
    }
}
