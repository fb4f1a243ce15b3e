use std::ops::Deref;
use std::sync::Arc;

use super::bus::{Denial, EventBus};
use super::event::AgentEvent;
use super::kill_switch::KillSwitch;

/// What every credential passes before it leaves the agent: nothing is vouched for while the kill switch is on, and
/// nothing that is not on record.
pub(in crate::agent) struct Gate {
    kill_switch: Arc<KillSwitch>,
    bus: Arc<EventBus>,
}

/// A value that may leave the agent: it passed the [`Gate`], or was made of values that did. It can be made in no other
/// way, so a function that takes one cannot be called with a credential that is not on record.
#[derive(Debug)]
pub(in crate::agent) struct Authorized<T>(T);

impl Gate {
    pub(in crate::agent) fn new(kill_switch: Arc<KillSwitch>, bus: Arc<EventBus>) -> Gate {
        Gate { kill_switch, bus }
    }

    /// Is the kill switch on? Then nothing passes, and there is no need to look at a process.
    pub(in crate::agent) fn is_closed(&self) -> bool {
        self.kill_switch.is_on()
    }

    /// Records that this value is handed out, and lets it pass. The event says what it is and who gets it; it is built
    /// only if there is a record or a subscriber.
    pub(in crate::agent) fn authorize<T>(
        &self,
        value: T,
        event: impl FnOnce(&T) -> AgentEvent,
    ) -> Result<Authorized<T>, Denial> {
        self.bus.authorize(&self.kill_switch, || event(&value))?;
        Ok(Authorized(value))
    }
}

impl<T> Authorized<T> {
    pub(in crate::agent) fn as_ref(&self) -> Authorized<&T> {
        Authorized(&self.0)
    }

    pub(in crate::agent) fn into_inner(self) -> T {
        self.0
    }

    /// What is made of an authorized value is authorized.
    pub(in crate::agent) fn map<U>(self, make: impl FnOnce(T) -> U) -> Authorized<U> {
        Authorized(make(self.0))
    }

    /// The same where it may fail.
    pub(in crate::agent) fn try_map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<Authorized<U>, E> {
        make(self.0).map(Authorized)
    }

    /// What is made of authorized values is authorized. `None` if there are none: nothing was authorized then.
    pub(in crate::agent) fn join<U>(
        parts: impl IntoIterator<Item = Authorized<T>>,
        make: impl FnOnce(Vec<T>) -> U,
    ) -> Option<Authorized<U>> {
        let parts: Vec<T> = parts.into_iter().map(Authorized::into_inner).collect();
        (!parts.is_empty()).then(|| Authorized(make(parts)))
    }
}

impl<T> Deref for Authorized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::bus::Recorder;
    use super::*;

    /// Records events, until it is set to fail.
    #[derive(Default)]
    struct Notebook {
        events: Mutex<Vec<AgentEvent>>,
        fails: AtomicBool,
    }

    impl Recorder for Notebook {
        fn authorize(&self, event: AgentEvent, kill_switch: &KillSwitch) -> Result<(), Denial> {
            if kill_switch.is_on() {
                return Err(Denial::Killed);
            }
            if self.fails.load(Ordering::Relaxed) {
                return Err(Denial::Unrecorded);
            }
            self.record(event);
            Ok(())
        }

        fn record(&self, event: AgentEvent) {
            self.events.lock().unwrap().push(event);
        }
    }

    fn gate(recorder: Option<Arc<dyn Recorder>>) -> (Gate, Arc<KillSwitch>, Arc<EventBus>) {
        let kill_switch = Arc::new(KillSwitch::open(None).unwrap());
        let bus = Arc::new(EventBus::new(recorder));
        (Gate::new(Arc::clone(&kill_switch), Arc::clone(&bus)), kill_switch, bus)
    }

    #[test]
    fn only_what_is_recorded_passes() {
        let notebook = Arc::new(Notebook::default());
        let (gate, kill_switch, bus) = gate(Some(notebook.clone()));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        bus.subscribe(Box::new(move |event| hearing.lock().unwrap().push(event.clone())));
        let event = |rules: &usize| AgentEvent::Reloaded { rules: *rules };
        assert_eq!(*gate.authorize(1, event).unwrap(), 1);
        notebook.fails.store(true, Ordering::Relaxed);
        assert_eq!(gate.authorize(2, event).err(), Some(Denial::Unrecorded));
        notebook.fails.store(false, Ordering::Relaxed);
        kill_switch.kill(None, "a test".into()).unwrap();
        assert!(gate.is_closed());
        assert_eq!(gate.authorize(3, event).err(), Some(Denial::Killed));
        // An event that needs no authorization is published all the same.
        bus.publish(|| AgentEvent::Stopped);
        let expected = [AgentEvent::Reloaded { rules: 1 }, AgentEvent::Stopped];
        assert_eq!(*notebook.events.lock().unwrap(), expected);
        assert_eq!(*heard.lock().unwrap(), expected);
    }

    #[test]
    fn an_event_is_built_only_if_it_is_heard() {
        let (gate, kill_switch, bus) = gate(None);
        let never = |_: &()| -> AgentEvent { unreachable!("no one hears of it") };
        assert!(gate.authorize((), never).is_ok());
        bus.publish(|| unreachable!("no one hears of it"));
        kill_switch.kill(None, "a test".into()).unwrap();
        assert_eq!(gate.authorize((), never).err(), Some(Denial::Killed));
    }

    #[test]
    fn nothing_is_authorized_by_nothing() {
        let (gate, ..) = gate(None);
        let authorize = |value| gate.authorize(value, |_: &u8| AgentEvent::Stopped).unwrap();
        assert!(Authorized::<u8>::join([], |_| ()).is_none());
        let sum = Authorized::join([authorize(1), authorize(2)], |parts| parts.iter().sum::<u8>());
        assert_eq!(sum.map(Authorized::into_inner), Some(3));
    }
}
