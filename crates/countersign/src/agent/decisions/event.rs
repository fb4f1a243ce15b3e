use crate::control::{ControlCode, Severity};
use crate::peer::{Peer, PeerIds};
use crate::spiffe::workload_api::{Code, Method};
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
    /// The name of the process; empty if it was not read.
    pub process: String,
}

impl Caller {
    pub(in crate::agent) fn of(peer: &Peer, process: impl Into<String>) -> Caller {
        let PeerIds { pid, uid, gid } = peer.ids();
        Caller { pid, uid, gid, process: process.into() }
    }
}

/// Something an agent did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// A whoami request was answered. It may happen many thousand times a second.
    Answered {
        /// The caller.
        caller: Caller,
        /// How it was answered.
        code: WhoamiCode,
        /// The identity, if one was handed out.
        identity: Option<String>,
        /// The executable, where a rule asked for it.
        exe: Option<String>,
    },
    /// An SVID was issued, or a token was verified.
    Issued {
        /// The caller.
        caller: Caller,
        /// The method of the Workload API.
        method: Method,
        /// The name in the SVID.
        spiffe_id: String,
        /// When the SVID ends, in seconds since 1970; `None` for a token that was verified.
        expires: Option<i64>,
        /// Does it replace one that was sent on the same stream?
        renewed: bool,
    },
    /// The bundles of the trust domains a workload may know were sent to it.
    BundlesSent {
        /// The caller.
        caller: Caller,
        /// The method of the Workload API.
        method: Method,
    },
    /// A caller of the Workload API was refused.
    Refused {
        /// The caller.
        caller: Caller,
        /// The method of the Workload API; `None` if the connection was refused before a method was called.
        method: Option<Method>,
        /// The status.
        code: Code,
    },
    /// New rules are in force.
    Reloaded {
        /// How many.
        rules: usize,
    },
    /// New rules were refused; the old ones stay in force.
    ReloadFailed {
        /// Why, and where in the file.
        error: String,
    },
    /// The keys of the authority changed.
    KeysChanged {
        /// The sequence number of the bundle.
        sequence: u64,
    },
    /// An operator made a request over the control socket: one that writes, subscribes, audits, or was refused.
    OperatorRequest {
        /// The operator.
        caller: Caller,
        /// The verb; empty if the request could not be read.
        verb: &'static str,
        /// Why it was refused; `None` if it was done.
        refused: Option<ControlCode>,
    },
    /// The kill switch was turned on: the agent vouches for no process any more.
    Killed {
        /// The operator who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The kill switch was turned off.
    Resumed {
        /// The operator who did it.
        by: String,
    },
    /// The self audit found something that it did not find before.
    Found {
        /// The kind of finding.
        id: String,
        /// The severity.
        severity: Severity,
        /// What is wrong, in a line.
        title: String,
        /// The evidence.
        evidence: String,
    },
    /// The agent started.
    Started {
        /// How many rules are in force.
        rules: usize,
        /// Is the kill switch on?
        killed: bool,
    },
    /// The agent stops in good order.
    Stopped,
}
