use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::spiffe::workload_api::{Ignored, WorkloadApiError};

/// Something that happened to a feed.
#[derive(Debug, Clone)]
pub enum Event {
    /// The stream is open.
    Connected,
    /// Something new was sent.
    Updated {
        /// The revision of the snapshot.
        revision: u64,
    },
    /// Parts of a message had to be ignored.
    Ignored(Arc<[Ignored]>),
    /// The stream, or a message, was no good. The last message stays in force.
    Failed {
        /// What went wrong.
        error: Arc<WorkloadApiError>,
        /// When the next attempt is made; `None` when the stream goes on.
        retry_in: Option<Duration>,
    },
    /// The workload has no identity (any more).
    Denied {
        /// The error of the Workload API.
        error: Arc<WorkloadApiError>,
        /// An earlier message must not be used any more.
        withdrawn: bool,
        /// The revision of the snapshot.
        revision: u64,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// 70 % of a lifetime went by without anything new.
    Overdue {
        /// When it ends, in seconds since 1970.
        expires_at: i64,
    },
    /// The lifetime is over.
    Expired {
        /// When it ended, in seconds since 1970.
        expired_at: i64,
    },
    /// Nothing comes any more.
    Closed {
        /// Why, when the Workload API refused in a way that asking again will not change.
        error: Option<Arc<WorkloadApiError>>,
        /// The revision of the snapshot.
        revision: u64,
    },
}

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The subscribed functions. They are called on the feed's thread and must not block.
#[derive(Default)]
pub(super) struct Listeners(Mutex<(u64, Vec<(u64, Listener)>)>);

/// A subscription; dropping it ends it.
pub struct Subscription {
    id: u64,
    listeners: Weak<Listeners>,
}

impl Listeners {
    pub fn add(self: &Arc<Listeners>, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.0 += 1;
        let id = listeners.0;
        listeners.1.push((id, Arc::new(listener)));
        Subscription { id, listeners: Arc::downgrade(self) }
    }

    pub fn tell(&self, event: &Event) {
        // Without the lock, because a listener may subscribe or give up.
        let all: Vec<Listener> = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .iter()
            .map(|(_, listener)| listener.clone())
            .collect();
        for listener in all {
            listener(event);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.0.lock().unwrap_or_else(PoisonError::into_inner).1.retain(|(id, _)| *id != self.id);
        }
    }
}
