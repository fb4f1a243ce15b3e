use std::sync::atomic::{AtomicU64, Ordering};

use super::code::Code;

/// What an agent did so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStats {
    /// How many connections were answered with each code, in the order of [`Code::ALL`].
    pub answered: [(Code, u64); Code::ALL.len()],
    /// Connections that are kept waiting now.
    pub active: usize,
    /// Times the kernel refused us a connection (no descriptors left, no memory).
    pub accept_errors: u64,
}

impl AgentStats {
    /// How many connections were answered with this code.
    pub fn count(&self, code: Code) -> u64 {
        self.answered[code as usize].1
    }
}

/// The counters behind [`AgentStats`].
#[derive(Default)]
pub(super) struct Counters {
    answered: [AtomicU64; Code::ALL.len()],
    accept_errors: AtomicU64,
}

impl Counters {
    pub(super) fn answered(&self, code: Code) {
        self.answered[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self, active: usize) -> AgentStats {
        AgentStats {
            answered: Code::ALL.map(|code| (code, self.answered[code as usize].load(Ordering::Relaxed))),
            active,
            accept_errors: self.accept_errors.load(Ordering::Relaxed),
        }
    }
}
