use std::sync::Arc;
use std::time::Duration;

use crate::agent::core::Core;
use crate::agent::core::stats::WhoamiCounters;
use crate::agent::endpoint::quota::Quota;
use crate::agent::endpoint::shutdown::Shutdown;
use crate::whoami::WhoamiCode;

/// What all connections to the whoami socket share, on every thread.
pub(in crate::agent) struct Whoami {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) counters: Arc<WhoamiCounters>,
    pub(super) quota: Arc<Quota>,
    pub(super) shutdown: Shutdown,
    /// How long a client may take until the first byte of its request.
    pub(super) grace: Duration,
    pub(super) connection_timeout: Duration,
}

impl Whoami {
    pub(super) fn new(
        core: Arc<Core>,
        quota: Arc<Quota>,
        grace: Duration,
        connection_timeout: Duration,
    ) -> Arc<Whoami> {
        let counters = Arc::new(WhoamiCounters::new(Arc::clone(&quota)));
        Arc::new(Whoami { core, counters, quota, shutdown: Shutdown::default(), grace, connection_timeout })
    }

    pub(super) fn count(&self, code: WhoamiCode) {
        self.counters.answered(code);
    }
}
