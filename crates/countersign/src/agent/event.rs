use std::sync::{PoisonError, RwLock};

/// Something an agent did, for whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// An SVID was issued, or a token was judged.
    Issued {
        /// The caller.
        pid: Option<u32>,
        /// The caller.
        uid: Option<u32>,
        /// The method of the Workload API.
        method: &'static str,
        /// The name in the SVID.
        spiffe_id: String,
    },
    /// A caller of the Workload API was refused.
    Refused {
        /// The caller.
        pid: Option<u32>,
        /// The caller.
        uid: Option<u32>,
        /// The method of the Workload API.
        method: &'static str,
        /// The name of the status, such as `PERMISSION_DENIED`.
        code: &'static str,
    },
    /// New rules are in force.
    Reloaded {
        /// How many.
        rules: usize,
    },
    /// New rules were not taken; the old ones stay in force.
    ReloadFailed {
        /// Why, and where in the file.
        error: String,
    },
    /// The keys of the authority changed.
    KeysChanged {
        /// The sequence number of the bundle.
        sequence: u64,
    },
}

/// Those who are told.
#[derive(Default)]
pub(super) struct Observers(RwLock<Vec<Observer>>);

type Observer = Box<dyn Fn(&AgentEvent) + Send + Sync>;

impl Observers {
    pub(super) fn add(&self, observer: Observer) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// Makes the event only if anybody is there to be told.
    pub(super) fn tell(&self, event: impl FnOnce() -> AgentEvent) {
        let observers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if !observers.is_empty() {
            let event = event();
            observers.iter().for_each(|observer| observer(&event));
        }
    }
}
