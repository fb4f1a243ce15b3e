use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::clock_watch::watch_the_clock;
use super::event::{Event, Listeners, Subscription};
use super::snapshot::{Snapshot, State};
use super::supervisor::supervise;
use crate::spiffe::workload_api::{Channel, Subject, WorkloadApiError, X509Context};

/// The X509-SVIDs of a workload and the bundles to verify peers with, kept fresh.
pub type X509Source = Feed<X509Context>;

/// One stream of a Workload API, kept open, and its newest message.
///
/// It lives from [`Feed::begin`] on, while a reference to it exists. Reading it takes a lock that is never held for
/// long.
pub struct Feed<S: Subject> {
    shared: Arc<Shared<S>>,
    tasks: OnceLock<[AbortHandle; 2]>,
}

pub(super) struct Shared<S> {
    pub channel: Channel,
    current: Mutex<Snapshot<S>>,
    /// The revision of the current snapshot, for those who only want to know whether it is another one.
    revision: AtomicU64,
    changed: watch::Sender<u64>,
    /// Something new should have come by now.
    pub overdue: Notify,
    pub listeners: Arc<Listeners>,
    pub counters: Counters,
}

/// What a feed did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedCounters {
    /// Streams that were opened.
    pub connects: u64,
    /// Messages with something new.
    pub updates: u64,
    /// Messages with nothing new.
    pub unchanged: u64,
    /// Streams and messages that were no good.
    pub errors: u64,
    /// Times that what had been sent was withdrawn.
    pub withdrawals: u64,
    /// Parts of messages that had to be ignored.
    pub ignored: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub connects: AtomicU64,
    pub updates: AtomicU64,
    pub unchanged: AtomicU64,
    pub errors: AtomicU64,
    pub withdrawals: AtomicU64,
    pub ignored: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl<S: Subject> Feed<S> {
    /// A feed over a channel, not begun.
    pub fn new(channel: Channel) -> Feed<S> {
        let first = Snapshot {
            state: State::Connecting,
            value: None,
            revision: 0,
            told_at: None,
            last_error: None,
            given_up: false,
        };
        let shared = Arc::new(Shared {
            channel,
            current: Mutex::new(first),
            revision: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            overdue: Notify::new(),
            listeners: Arc::default(),
            counters: Counters::default(),
        });
        Feed { shared, tasks: OnceLock::new() }
    }

    /// Opens the stream if it is not open yet. A subscriber from before the call misses no event. Needs a tokio
    /// runtime.
    pub fn begin(&self) {
        self.tasks.get_or_init(|| {
            [
                tokio::spawn(supervise(Arc::clone(&self.shared))).abort_handle(),
                tokio::spawn(watch_the_clock(Arc::clone(&self.shared))).abort_handle(),
            ]
        });
    }

    /// What it asks over.
    pub fn channel(&self) -> &Channel {
        &self.shared.channel
    }

    /// How it stands.
    pub fn snapshot(&self) -> Snapshot<S> {
        self.shared.snapshot()
    }

    /// The revision of the snapshot, without looking at the rest.
    pub fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Acquire)
    }

    /// What it did so far.
    pub fn counters(&self) -> FeedCounters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        FeedCounters {
            connects: of(&counters.connects),
            updates: of(&counters.updates),
            unchanged: of(&counters.unchanged),
            errors: of(&counters.errors),
            withdrawals: of(&counters.withdrawals),
            ignored: of(&counters.ignored),
        }
    }

    /// Calls the listener for every event from now on, on the feed's thread.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.shared.listeners.add(listener)
    }

    /// Waits for the first value. Fails when the feed is over. There is no timeout.
    pub async fn ready(&self) -> Result<Arc<S>, Arc<WorkloadApiError>> {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let snapshot = self.shared.snapshot();
            match (snapshot.value, snapshot.state) {
                (Some(value), _) => return Ok(value),
                (None, State::Closed) => {
                    return Err(snapshot.last_error.unwrap_or_else(|| Arc::new(WorkloadApiError::Closed)));
                }
                _ => {}
            }
            if changed.changed().await.is_err() {
                return Err(Arc::new(WorkloadApiError::Closed));
            }
        }
    }

    /// Whether it is over and will never send an event again.
    pub fn is_over(&self) -> bool {
        self.shared.snapshot().given_up
    }
}

impl<S: Subject> Shared<S> {
    pub fn snapshot(&self) -> Snapshot<S> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the snapshot; its new revision.
    fn change(&self, change: impl FnOnce(&mut Snapshot<S>)) -> u64 {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut current);
        current.revision += 1;
        self.revision.store(current.revision, Ordering::Release);
        let revision = current.revision;
        drop(current);
        self.changed.send_replace(revision);
        revision
    }

    /// Takes a message.
    pub fn tell(&self, value: S) {
        let now = SystemTime::now();
        let ignored: Arc<[_]> = value.ignored().into();
        count(&self.counters.ignored, ignored.len() as u64);
        let same = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.told_at = Some(now);
            current.last_error = None;
            current.value.as_ref().is_some_and(|before| before.says_the_same(&value))
        };
        if same {
            // Servers repeat themselves: TLS contexts that are rebuilt for an update need not be rebuilt for this.
            count(&self.counters.unchanged, 1);
            return;
        }
        count(&self.counters.updates, 1);
        let revision = self.change(|current| {
            current.state = State::Ready;
            current.value = Some(Arc::new(value));
        });
        self.listeners.tell(&Event::Updated { revision });
        if !ignored.is_empty() {
            self.listeners.tell(&Event::Ignored(ignored));
        }
    }

    /// Notes what went wrong; the last message stays in force.
    pub fn fail(&self, error: &Arc<WorkloadApiError>) {
        count(&self.counters.errors, 1);
        self.current.lock().unwrap_or_else(PoisonError::into_inner).last_error = Some(Arc::clone(error));
    }

    /// The workload has no identity (any more). Whether it had one, and the new revision.
    pub fn deny(&self, error: &Arc<WorkloadApiError>) -> (bool, u64) {
        let before = self.snapshot();
        let withdrawn = before.value.is_some();
        if withdrawn {
            count(&self.counters.withdrawals, 1);
        }
        let state = if withdrawn || before.state == State::Withdrawn { State::Withdrawn } else { State::NoIdentity };
        if before.state == state {
            return (false, before.revision);
        }
        let revision = self.change(|current| {
            current.state = state;
            current.value = None;
            current.last_error = Some(Arc::clone(error));
        });
        (withdrawn, revision)
    }

    /// Gives up. The last message stays in force until its time is over: an agent that is being replaced must not take
    /// the identities of running services away.
    pub fn give_up(&self, error: &Arc<WorkloadApiError>) -> u64 {
        count(&self.counters.errors, 1);
        self.change(|current| {
            if current.value.is_none() {
                current.state = State::Closed;
            }
            current.last_error = Some(Arc::clone(error));
            current.given_up = true;
        })
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl<S: Subject> Drop for Feed<S> {
    fn drop(&mut self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
    }
}

impl<S: Subject> fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.shared.snapshot();
        f.debug_struct("Feed")
            .field("subject", &S::NAME)
            .field("endpoint", &self.shared.channel.endpoint().to_string())
            .field("state", &snapshot.state)
            .field("revision", &snapshot.revision)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spiffe::workload_api::Endpoint;
    use std::time::Duration;

    #[test]
    fn who_subscribes_before_it_begins_misses_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let feed = X509Source::new(Channel::new(Endpoint::parse("unix:/nowhere/agent.sock").unwrap()));
        let first = runtime.block_on(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(feed.counters(), FeedCounters::default());
            let (told, heard) = tokio::sync::oneshot::channel();
            let told = Mutex::new(Some(told));
            let _subscription = feed.subscribe(move |event| {
                let first = told.lock().unwrap().take();
                first.map(|told| told.send(format!("{event:?}")).ok());
            });
            feed.begin();
            feed.begin();
            tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap().unwrap()
        });
        // Only the second attempt is made without a pause.
        assert!(first.starts_with("Failed") && first.contains("retry_in: Some(0ns)"), "{first}");
    }
}
