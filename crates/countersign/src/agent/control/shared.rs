use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::access::Access;
use crate::agent::core::Core;
use crate::agent::core::stats::{WhoamiCounters, WorkloadCounters};
use crate::agent::decisions::KillSwitch;
use crate::agent::endpoint::quota::Quota;
use crate::agent::endpoint::shutdown::Shutdown;
use crate::agent::record::Journal;
use crate::agent::self_audit::SelfAudit;
use crate::control::Timestamp;
use crate::spiffe::TrustDomain;

/// Connections at once, in all and for one user: one user may want to have a thousand subscribers.
const CONNECTIONS: (usize, usize) = (4096, 2048);

/// What all connections of operators share.
pub(in crate::agent) struct Control {
    pub(super) core: Arc<Core>,
    pub(super) whoami: Arc<WhoamiCounters>,
    pub(super) workload: Option<WorkloadFacts>,
    pub(super) record: Arc<Journal>,
    pub(super) kill_switch: Arc<KillSwitch>,
    pub(super) self_audit: SelfAudit,
    pub(super) sockets: Sockets,
    pub(super) access: Access,
    pub(super) quota: Arc<Quota>,
    pub(super) shutdown: Shutdown,
    pub(super) started: (Timestamp, Instant),
}

/// What operators are told of the Workload API.
pub(in crate::agent) struct WorkloadFacts {
    pub(in crate::agent) trust_domain: TrustDomain,
    pub(in crate::agent) counters: Arc<WorkloadCounters>,
}

/// Where the agent answers.
pub(in crate::agent) struct Sockets {
    pub(in crate::agent) whoami: PathBuf,
    pub(in crate::agent) workload: Option<PathBuf>,
    pub(in crate::agent) control: PathBuf,
}

impl Control {
    pub(in crate::agent) fn new(
        core: Arc<Core>,
        (whoami, workload): (Arc<WhoamiCounters>, Option<WorkloadFacts>),
        (record, kill_switch): (Arc<Journal>, Arc<KillSwitch>),
        access: Access,
        sockets: Sockets,
        self_audit: SelfAudit,
    ) -> Arc<Control> {
        Arc::new(Control {
            core,
            whoami,
            workload,
            record,
            kill_switch,
            self_audit,
            sockets,
            access,
            quota: Arc::new(Quota::new(CONNECTIONS.0, CONNECTIONS.1)),
            shutdown: Shutdown::default(),
            started: (Timestamp::now(), Instant::now()),
        })
    }
}
