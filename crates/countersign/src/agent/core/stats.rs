use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::agent::endpoint::quota::Quota;
use crate::whoami::WhoamiCode;

/// What an agent has done on its whoami socket so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStats {
    /// How many connections were answered with each code, in the order of [`WhoamiCode::ALL`].
    pub answered: [(WhoamiCode, u64); WhoamiCode::ALL.len()],
    /// Connections that are served now; those answered at once are not counted.
    pub active: usize,
    /// Times the kernel refused a connection (no descriptors left, no memory).
    pub accept_errors: u64,
}

impl AgentStats {
    /// How many connections were answered with this code.
    pub fn count(&self, code: WhoamiCode) -> u64 {
        self.answered[code as usize].1
    }
}

/// What the Workload API of an agent has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkloadStats {
    /// Connections that are open now.
    pub connections: usize,
    /// X509-SVIDs that were issued.
    pub x509_svids: u64,
    /// JWT-SVIDs that were issued.
    pub jwt_svids: u64,
    /// Connections that were rejected because the quota was used up.
    pub turned_away: u64,
}

/// The counters behind [`WorkloadStats`].
pub(in crate::agent) struct WorkloadCounters {
    quota: Arc<Quota>,
    x509_svids: AtomicU64,
    jwt_svids: AtomicU64,
    turned_away: AtomicU64,
}

impl WorkloadCounters {
    pub(in crate::agent) fn new(quota: Arc<Quota>) -> WorkloadCounters {
        WorkloadCounters {
            quota,
            x509_svids: AtomicU64::default(),
            jwt_svids: AtomicU64::default(),
            turned_away: AtomicU64::default(),
        }
    }

    pub(in crate::agent) fn x509_issued(&self) {
        self.x509_svids.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::agent) fn jwt_issued(&self) {
        self.jwt_svids.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::agent) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::agent) fn stats(&self) -> WorkloadStats {
        WorkloadStats {
            connections: self.quota.active(),
            x509_svids: self.x509_svids.load(Ordering::Relaxed),
            jwt_svids: self.jwt_svids.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }
}

/// The counters behind [`AgentStats`].
pub(in crate::agent) struct WhoamiCounters {
    quota: Arc<Quota>,
    answered: [AtomicU64; WhoamiCode::ALL.len()],
    accept_errors: AtomicU64,
}

impl WhoamiCounters {
    pub(in crate::agent) fn new(quota: Arc<Quota>) -> WhoamiCounters {
        WhoamiCounters { quota, answered: Default::default(), accept_errors: AtomicU64::default() }
    }

    pub(in crate::agent) fn answered(&self, code: WhoamiCode) {
        self.answered[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::agent) fn accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::agent) fn stats(&self) -> AgentStats {
        AgentStats {
            answered: WhoamiCode::ALL.map(|code| (code, self.answered[code as usize].load(Ordering::Relaxed))),
            active: self.quota.active(),
            accept_errors: self.accept_errors.load(Ordering::Relaxed),
        }
    }
}
