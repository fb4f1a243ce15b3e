use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::feed::Feed;
use crate::spiffe::workload_api::{Channel, Endpoint, JwtBundles, Subject, WeakChannel, X509Bundles, X509Context};

/// The connections and feeds of a process: one connection for each endpoint, one feed for each endpoint and subject,
/// however many ask. Every stream costs the Workload API an attestation of the whole process.
#[derive(Default)]
pub struct Hub {
    channels: Mutex<HashMap<Endpoint, WeakChannel>>,
    x509: Feeds<X509Context>,
    x509_bundles: Feeds<X509Bundles>,
    jwt_bundles: Feeds<JwtBundles>,
}

type Feeds<S> = Mutex<HashMap<Endpoint, Weak<Feed<S>>>>;

impl Hub {
    /// Without connections.
    pub fn new() -> Hub {
        Hub::default()
    }

    /// The connection to an endpoint.
    pub fn channel(&self, endpoint: &Endpoint) -> Channel {
        let mut channels = locked(&self.channels);
        if let Some(channel) = channels.get(endpoint).and_then(WeakChannel::upgrade) {
            return channel;
        }
        channels.retain(|_, channel| channel.upgrade().is_some());
        let channel = Channel::new(endpoint.clone());
        channels.insert(endpoint.clone(), channel.downgrade());
        channel
    }

    /// The X509-SVIDs of an endpoint, always the same feed. The first caller begins it.
    pub fn x509(&self, endpoint: &Endpoint) -> Arc<Feed<X509Context>> {
        self.feed(&self.x509, endpoint)
    }

    /// The X.509 bundles of an endpoint, always the same feed. The first caller begins it.
    pub fn x509_bundles(&self, endpoint: &Endpoint) -> Arc<Feed<X509Bundles>> {
        self.feed(&self.x509_bundles, endpoint)
    }

    /// The JWT bundles of an endpoint, always the same feed. The first caller begins it.
    pub fn jwt_bundles(&self, endpoint: &Endpoint) -> Arc<Feed<JwtBundles>> {
        self.feed(&self.jwt_bundles, endpoint)
    }

    fn feed<S: Subject>(&self, feeds: &Feeds<S>, endpoint: &Endpoint) -> Arc<Feed<S>> {
        let mut feeds = locked(feeds);
        // One that has given up is of no use to a new caller.
        let known = feeds.get(endpoint).and_then(Weak::upgrade).filter(|feed| !feed.is_over());
        if let Some(feed) = known {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Arc::new(Feed::new(self.channel(endpoint)));
        feeds.insert(endpoint.clone(), Arc::downgrade(&feed));
        feed
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
