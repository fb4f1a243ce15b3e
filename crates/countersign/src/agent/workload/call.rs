use std::sync::Arc;

use super::Workload;
use crate::agent::decisions::{AgentEvent, Authorized, Caller, Denial};
use crate::agent::log;
use crate::peer::{Peer, PeerIds};
use crate::spiffe::workload_api::{Code, Method, Status};

/// One call: which method, and by which process.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) workload: &'a Workload,
    pub(super) peer: &'a Arc<Peer>,
    pub(super) method: Method,
}

impl Call<'_> {
    /// The caller, for events.
    pub(super) fn caller(&self, process: &str) -> Caller {
        Caller::of(self.peer, process)
    }

    /// Records that something is handed out, and lets it pass. The error is the answer to the caller instead.
    pub(super) fn authorize<T>(
        &self,
        process: &str,
        value: T,
        event: impl FnOnce(&T) -> AgentEvent,
    ) -> Result<Authorized<T>, Status> {
        self.workload.core.gate.authorize(value, event).map_err(|denial| self.deny(process, denial))
    }

    /// Refuses the caller because the gate does.
    pub(super) fn deny(&self, process: &str, denial: Denial) -> Status {
        let status = match denial {
            // This status takes an identity away from a client that has one.
            Denial::Killed => Status::new(Code::PermissionDenied, "the kill switch is on: no credential is issued"),
            Denial::Unrecorded => Status::new(Code::Unavailable, "the decision could not be recorded"),
        };
        self.refuse(process, status.code, Some(&status.message));
        status
    }

    /// Puts on record that the caller is refused.
    pub(super) fn refuse(&self, process: &str, code: Code, why: Option<&str>) {
        let refused = || AgentEvent::Refused { caller: self.caller(process), method: Some(self.method), code };
        self.workload.core.bus.publish(refused);
        self.log(process, code, why);
    }

    /// Writes one line to the log of the process.
    pub(super) fn log(&self, process: &str, code: Code, more: Option<&str>) {
        let PeerIds { pid, uid, gid } = self.peer.ids();
        tracing::info!(
            target: log::TARGET,
            pid,
            uid,
            gid,
            process,
            method = self.method.name(),
            code = code.name(),
            more,
            "{}",
            if code == Code::Ok { "vouched for" } else { "refused" },
        );
    }
}
