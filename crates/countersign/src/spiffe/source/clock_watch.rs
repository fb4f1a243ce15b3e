use std::sync::Arc;
use std::time::Duration;

use super::event::Event;
use super::feed::Shared;
use crate::spiffe::clock;
use crate::spiffe::workload_api::Subject;

/// The longest time between two looks at the clock on the wall. Timers do not count the time a laptop sleeps, and the
/// clock may be set.
const LOOK: Duration = Duration::from_secs(15);

/// Says so when a lifetime goes by without anything new: after 70 % of it, and when it is over. Both times the stream
/// is opened anew: it may have died unnoticed, or it sent, while the clock was wrong, what is valid by now.
pub(super) async fn watch_the_clock<S: Subject>(feed: Arc<Shared<S>>) {
    let mut changes = feed.changes();
    loop {
        changes.borrow_and_update();
        let lifetime = feed.snapshot().value.as_ref().and_then(|value| value.lifetime());
        let lasted = tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            () = count_down(&feed, lifetime) => changes.changed().await.is_ok(),
        };
        if !lasted {
            return;
        }
    }
}

/// One lifetime, from its update to its end.
async fn count_down<S: Subject>(feed: &Shared<S>, lifetime: Option<(i64, i64)>) {
    let Some((begins, ends)) = lifetime else { return };
    wait_until(begins.saturating_add(ends.saturating_sub(begins).saturating_mul(7) / 10)).await;
    feed.listeners.tell(&Event::Overdue { expires_at: ends });
    feed.overdue.notify_waiters();
    // The last second counts.
    wait_until(ends.saturating_add(1)).await;
    feed.listeners.tell(&Event::Expired { expired_at: ends });
    feed.overdue.notify_waiters();
}

async fn wait_until(moment: i64) {
    loop {
        let left = moment.saturating_sub(clock::unix_seconds(None));
        if left <= 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs()).min(LOOK)).await;
    }
}
