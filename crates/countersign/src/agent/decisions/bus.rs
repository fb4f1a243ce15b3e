use std::sync::{Arc, PoisonError, RwLock};

use super::event::AgentEvent;
use super::kill_switch::KillSwitch;

/// Why a decision may not take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Denial {
    /// The kill switch is on.
    Killed,
    /// The decision could not be recorded.
    Unrecorded,
}

/// A function that is called with every event, on the agent's own threads: it must not block.
pub(super) type Subscriber = Box<dyn Fn(&AgentEvent) + Send + Sync>;

/// Keeps a record of events, in the order in which they come in.
pub(in crate::agent) trait Recorder: Send + Sync {
    /// Records a decision that vouches for a process. After an error the decision must not take effect.
    ///
    /// The kill switch is read under the lock that orders the events: behind the event that says that it was turned on
    /// the record holds no decision that vouches for a process.
    fn authorize(&self, event: AgentEvent, kill_switch: &KillSwitch) -> Result<(), Denial>;

    /// Records an event that needs no authorization.
    fn record(&self, event: AgentEvent);
}

/// Delivers what the agent does: to the record, if it keeps one, and to subscribers.
pub(in crate::agent) struct EventBus {
    recorder: Option<Arc<dyn Recorder>>,
    subscribers: RwLock<Vec<Subscriber>>,
}

impl EventBus {
    pub(in crate::agent) fn new(recorder: Option<Arc<dyn Recorder>>) -> EventBus {
        EventBus { recorder, subscribers: RwLock::default() }
    }

    pub(in crate::agent) fn subscribe(&self, subscriber: Subscriber) {
        self.subscribers.write().unwrap_or_else(PoisonError::into_inner).push(subscriber);
    }

    /// Publishes an event that needs no authorization. The event is built only if there is a record or a subscriber.
    pub(in crate::agent) fn publish(&self, event: impl FnOnce() -> AgentEvent) {
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        if subscribers.is_empty() && self.recorder.is_none() {
            return;
        }
        let event = event();
        subscribers.iter().for_each(|subscriber| subscriber(&event));
        if let Some(recorder) = &self.recorder {
            recorder.record(event);
        }
    }

    /// Publishes a decision that vouches for a process, unless the kill switch is on or it cannot be recorded. The
    /// event is built only if there is a record or a subscriber.
    pub(super) fn authorize(&self, kill_switch: &KillSwitch, event: impl FnOnce() -> AgentEvent) -> Result<(), Denial> {
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        let Some(recorder) = &self.recorder else {
            if kill_switch.is_on() {
                return Err(Denial::Killed);
            }
            if !subscribers.is_empty() {
                let event = event();
                subscribers.iter().for_each(|subscriber| subscriber(&event));
            }
            return Ok(());
        };
        let event = event();
        // This happens thousands of times a second: no copy is made if only the record takes the event.
        let copy = (!subscribers.is_empty()).then(|| event.clone());
        recorder.authorize(event, kill_switch)?;
        if let Some(event) = copy {
            subscribers.iter().for_each(|subscriber| subscriber(&event));
        }
        Ok(())
    }
}
