use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::store::RuleStore;
use crate::agent::fs::file_state::FileState;

impl RuleStore {
    /// Looks at the rules file at this interval, and reads it when it has changed and no longer changes.
    pub(in crate::agent) async fn watch(self: Arc<Self>, interval: Duration) {
        let Some(path) = self.file().map(Path::to_path_buf) else { return };
        let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let settle = interval.min(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let found = FileState::of(&path).ok();
            if !self.is_stale(found) {
                continue;
            }
            // An editor may be in the middle of writing it: half a file can be valid rules that lack some of them.
            tokio::time::sleep(settle).await;
            if FileState::of(&path).ok() != found {
                continue;
            }
            let store = Arc::clone(&self);
            // Looking up users may ask the network. The log says how the reload ended.
            let _ = tokio::task::spawn_blocking(move || store.reload()).await;
        }
    }
}
