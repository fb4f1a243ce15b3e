use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::kill_switch::KillSwitch;
use crate::agent::record::Journal;
use crate::control::{ControlCode, Severity};
use crate::peer::{Peer, PeerIds};
use crate::whoami::WhoamiCode;

/// The process an agent decided about, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// Process id.
    pub pid: Option<u32>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective group id.
    pub gid: Option<u32>,
    /// What the process calls itself; empty where it was not looked at.
    pub process: String,
}

impl Caller {
    pub(in crate::agent) fn of(peer: &Peer, process: impl Into<String>) -> Caller {
        let PeerIds { pid, uid, gid } = peer.ids();
        Caller { pid, uid, gid, process: process.into() }
    }
}

/// Something an agent did, for whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// Somebody asked who it is. It may happen many thousand times a second.
    Answered {
        /// Who asked.
        caller: Caller,
        /// What it was told.
        code: WhoamiCode,
        /// The identity, if it got one.
        identity: Option<String>,
        /// The executable, where a rule asked for it.
        exe: Option<String>,
    },
    /// An SVID was issued, or a token was judged.
    Issued {
        /// The caller.
        caller: Caller,
        /// The method of the Workload API.
        method: &'static str,
        /// The name in the SVID.
        spiffe_id: String,
        /// When the SVID ends, in seconds since 1970; nothing for a token that was judged.
        expires: Option<i64>,
        /// Does it follow one the caller had on the same stream?
        renewed: bool,
    },
    /// The bundles of the trust domains it may know were given to a caller of the Workload API.
    Shown {
        /// The caller.
        caller: Caller,
        /// The method of the Workload API.
        method: &'static str,
    },
    /// A caller of the Workload API was refused.
    Refused {
        /// The caller.
        caller: Caller,
        /// The method of the Workload API; empty for a caller that did not get that far.
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
    /// An operator asked for something over the control socket. Of what only reads, subscriptions and audits are told.
    Commanded {
        /// The operator.
        caller: Caller,
        /// What was asked; empty when that could not be read.
        verb: &'static str,
        /// Why it was refused; nothing when it was done.
        refused: Option<ControlCode>,
    },
    /// The agent vouches for nobody from now on.
    Killed {
        /// Who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The agent vouches again.
    Resumed {
        /// Who did it.
        by: String,
    },
    /// An audit found something that it did not find before.
    Found {
        /// What kind of finding.
        id: String,
        /// How much it matters.
        severity: Severity,
        /// What is wrong, in a line.
        title: String,
        /// What was seen.
        evidence: String,
    },
    /// The agent is there.
    Started {
        /// How many rules are in force.
        rules: usize,
        /// Is the kill switch on?
        killed: bool,
    },
    /// The agent ends in good order.
    Stopped,
}

/// Why what was decided may not take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Objection {
    /// The kill switch is on.
    Killed,
    /// It could not be recorded.
    Unrecorded,
}

/// Those who are told, and those who may object.
#[derive(Default)]
pub(in crate::agent) struct Observers {
    observers: RwLock<Vec<Observer>>,
    /// What keeps a record of it all, if anything does.
    record: OnceLock<Arc<Journal>>,
    kill_switch: OnceLock<Arc<KillSwitch>>,
}

type Observer = Box<dyn Fn(&AgentEvent) + Send + Sync>;

impl Observers {
    pub(in crate::agent) fn add(&self, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// From now on everything goes into this record, too.
    pub(in crate::agent) fn keep(&self, record: Arc<Journal>) {
        let _ = self.record.set(record);
    }

    /// From now on this switch decides whether anybody is vouched for.
    pub(in crate::agent) fn obey(&self, kill_switch: Arc<KillSwitch>) {
        let _ = self.kill_switch.set(kill_switch);
    }

    /// Is the kill switch on?
    pub(in crate::agent) fn are_killed(&self) -> bool {
        self.kill_switch.get().is_some_and(|kill_switch| kill_switch.is_on())
    }

    /// Asks whether somebody may be vouched for, and puts it on record: one goes with the other. The event is made only if
    /// anybody is there to be told.
    pub(in crate::agent) fn vouch(&self, event: impl FnOnce() -> AgentEvent) -> Result<(), Objection> {
        let observers = self.observers.read().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = self.record.get() else {
            if self.are_killed() {
                return Err(Objection::Killed);
            }
            if !observers.is_empty() {
                let event = event();
                observers.iter().for_each(|observer| observer(&event));
            }
            return Ok(());
        };
        let event = event();
        // Thousands of times a second: what nobody but the record wants is not copied for it.
        let copy = (!observers.is_empty()).then(|| event.clone());
        record.vouch(event, || self.are_killed())?;
        if let Some(event) = copy {
            observers.iter().for_each(|observer| observer(&event));
        }
        Ok(())
    }

    /// Tells of what vouches for nobody, or cannot be taken back.
    pub(in crate::agent) fn tell(&self, event: impl FnOnce() -> AgentEvent) {
        let observers = self.observers.read().unwrap_or_else(PoisonError::into_inner);
        let record = self.record.get();
        if observers.is_empty() && record.is_none() {
            return;
        }
        let event = event();
        observers.iter().for_each(|observer| observer(&event));
        if let Some(record) = record {
            record.tell(event);
        }
    }
}
