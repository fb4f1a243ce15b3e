use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::agent::decisions::{EventBus, Gate};
use crate::agent::endpoint::throttled_log::LogThrottle;
use crate::agent::rules::store::RuleStore;
use crate::peer::KnownProcesses;

/// What every protocol may use, and nothing of one of them.
pub(in crate::agent) struct Core {
    pub(in crate::agent) rules: Arc<RuleStore>,
    /// What every credential passes before it leaves the agent.
    pub(in crate::agent) gate: Gate,
    /// Where events are published that need no authorization.
    pub(in crate::agent) bus: Arc<EventBus>,
    /// How often files that may change are looked at.
    pub(in crate::agent) reload_interval: Duration,
    pub(in crate::agent) known: Arc<KnownProcesses>,
    /// The pool that reads executables for their hash. It has few threads, for all callers together.
    pub(in crate::agent) blocking: Handle,
    /// The kernel has no descriptors or no memory left.
    pub(in crate::agent) exhaustion: LogThrottle,
}
