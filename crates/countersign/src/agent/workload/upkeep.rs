use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Workload;
use crate::agent::decisions::AgentEvent;
use crate::agent::log;
use crate::agent::rules::workload_api::DEFAULT_CA_TTL;

/// Rotates the keys of the authority when they are due, and reads foreign bundles again when their files have changed.
pub(super) async fn keep_trust(workload: Arc<Workload>) {
    let mut snapshots = workload.core.rules.subscribe();
    let mut keys = workload.authority.subscribe();
    keys.mark_unchanged();
    let mut advanced = Instant::now();
    loop {
        let config = workload.core.rules.current().workload.clone();
        let ca_ttl = config.as_ref().map_or(DEFAULT_CA_TTL, |config| config.ca_ttl);
        let pace = (ca_ttl / 100).clamp(Duration::from_millis(100), Duration::from_secs(60));
        tokio::select! {
            _ = snapshots.changed() => {}
            _ = keys.changed() => {
                workload.republish();
                let sequence = workload.authority.current().sequence;
                workload.core.bus.publish(|| AgentEvent::KeysChanged { sequence });
                continue;
            }
            () = tokio::time::sleep(pace.min(workload.core.reload_interval.max(Duration::from_millis(1)))) => {}
        }
        if let Some(config) = &config
            && workload.federations.look(&config.federates_with)
        {
            workload.republish();
        }
        if advanced.elapsed() >= pace {
            advanced = Instant::now();
            let authority = Arc::clone(&workload.authority);
            // It may write to the disk, and wait for it.
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || authority.advance(ca_ttl)).await {
                tracing::error!(target: log::TARGET, %error, "the keys of the authority could not be changed");
            }
        }
    }
}
