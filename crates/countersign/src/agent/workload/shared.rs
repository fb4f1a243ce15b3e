use std::sync::Arc;

use tokio::sync::watch;

use super::federation::Federations;
use super::interceptor::Interceptor;
use super::trust::Trust;
use crate::agent::authority::Authority;
use crate::agent::core::Core;
use crate::agent::core::stats::WorkloadCounters;
use crate::agent::endpoint::quota::Quota;
use crate::agent::endpoint::shutdown::Shutdown;
use crate::agent::endpoint::throttled_log::LogThrottle;
use crate::spiffe::{SpiffeBundle, TrustDomain};

/// What all connections to the Workload API share.
pub(in crate::agent) struct Workload {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) authority: Arc<Authority>,
    pub(in crate::agent) counters: Arc<WorkloadCounters>,
    pub(super) quota: Arc<Quota>,
    pub(super) shutdown: Shutdown,
    pub(super) trust: watch::Sender<Arc<Trust>>,
    pub(super) federations: Federations,
    pub(super) floods: LogThrottle,
    pub(super) interceptor: Arc<dyn Interceptor>,
}

impl Workload {
    pub(in crate::agent) fn new(
        core: Arc<Core>,
        authority: Authority,
        quota: Arc<Quota>,
        interceptor: Arc<dyn Interceptor>,
    ) -> Arc<Workload> {
        let authority = Arc::new(authority);
        let federations = Federations::default();
        if let Some(config) = &core.rules.current().workload {
            federations.look(&config.federates_with);
        }
        let trust = Arc::new(Trust::new(authority.current(), federations.bundles()));
        Arc::new(Workload {
            core,
            authority,
            counters: Arc::new(WorkloadCounters::new(Arc::clone(&quota))),
            quota,
            shutdown: Shutdown::default(),
            trust: watch::Sender::new(trust),
            federations,
            floods: LogThrottle::default(),
            interceptor,
        })
    }

    /// Takes a bundle from the endpoint of a foreign trust domain. `None`: no rule wants it, or it is older than what
    /// is known.
    pub(in crate::agent) fn take_foreign_bundle(&self, name: &TrustDomain, bundle: SpiffeBundle) -> Option<bool> {
        let changed = self.federations.take(name, bundle)?;
        if changed {
            self.republish();
        }
        Some(changed)
    }

    /// The bundle of a foreign trust domain as it is known now.
    pub(in crate::agent) fn foreign_bundle(&self, name: &TrustDomain) -> Option<SpiffeBundle> {
        Some(self.trust.borrow().foreign.get(name)?.bundle.clone())
    }

    /// Publishes the current keys and bundles to all streams.
    pub(in crate::agent) fn republish(&self) {
        self.trust.send_replace(Arc::new(Trust::new(self.authority.current(), self.federations.bundles())));
    }
}
