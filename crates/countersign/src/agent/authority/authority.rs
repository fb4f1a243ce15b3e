use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::error::AuthorityError;
use super::issuing::Issuing;
use super::keyring::Rotation;
use super::state::State;
use super::state_dir::StateDir;
use crate::agent::log;
use crate::spiffe::{SpiffeBundle, TrustDomain};

/// Issues for one trust domain. Its keys are on disk before they are published.
pub struct Authority {
    trust_domain: TrustDomain,
    inner: Mutex<Inner>,
    current: watch::Sender<Arc<Issuing>>,
}

struct Inner {
    state: State,
    store: Option<StateDir>,
    closed: bool,
}

impl Authority {
    /// An authority that is gone with this process.
    pub fn in_memory(trust_domain: TrustDomain, ca_ttl: Duration) -> Result<Authority, AuthorityError> {
        let state = State::generate(&trust_domain, now(), seconds(ca_ttl))?;
        Authority::of(trust_domain, state, None)
    }

    /// The authority whose state is in this directory, made now if there is none. The directory is locked while it is
    /// open.
    pub fn open(trust_domain: TrustDomain, ca_ttl: Duration, directory: &Path) -> Result<Authority, AuthorityError> {
        let store = StateDir::open(directory)?;
        let state = match store.read()? {
            Some(bytes) => State::from_json(&bytes, &trust_domain)
                .map_err(|reason| AuthorityError::State { file: store.file(), reason })?,
            None => {
                let state = State::generate(&trust_domain, now(), seconds(ca_ttl))?;
                store.write(&state.to_json(&trust_domain)?)?;
                state
            }
        };
        let authority = Authority::of(trust_domain, state, Some(store))?;
        authority.advance(ca_ttl)?;
        Ok(authority)
    }

    fn of(trust_domain: TrustDomain, state: State, store: Option<StateDir>) -> Result<Authority, AuthorityError> {
        let issuing = Issuing::of(&state, &trust_domain)?;
        let current = watch::Sender::new(Arc::new(issuing));
        Ok(Authority { trust_domain, inner: Mutex::new(Inner { state, store, closed: false }), current })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The current keys and bundles.
    pub fn current(&self) -> Arc<Issuing> {
        Arc::clone(&self.current.borrow())
    }

    /// A receiver that is notified of every change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Issuing>> {
        self.current.subscribe()
    }

    /// The document to hand to others who shall trust this domain.
    pub fn bundle(&self) -> Result<SpiffeBundle, AuthorityError> {
        let current = self.current();
        let bundle = SpiffeBundle::from_bundles(current.x509_bundle.clone(), current.jwt_bundle.clone());
        let bundle = bundle.map_err(|error| AuthorityError::Keys(error.to_string()))?;
        Ok(bundle.with_sequence(Some(current.sequence)).with_refresh_hint(Some(Duration::from_secs(300))))
    }

    /// Does what is due by the clock: to be called now and then.
    pub fn advance(&self, ca_ttl: Duration) -> Result<bool, AuthorityError> {
        self.change(|state, trust_domain| state.advance(trust_domain, now(), seconds(ca_ttl)))
    }

    /// Changes the keys ahead of their time.
    pub fn rotate(&self, rotation: Rotation, ca_ttl: Duration) -> Result<bool, AuthorityError> {
        self.change(|state, trust_domain| state.rotate(rotation, trust_domain, now(), seconds(ca_ttl)))
    }

    /// Unlocks the state directory. The keys no longer change.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.store = None;
    }

    /// On disk first: a published key must not be lost.
    fn change(
        &self,
        apply: impl FnOnce(&mut State, &TrustDomain) -> Result<bool, AuthorityError>,
    ) -> Result<bool, AuthorityError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(AuthorityError::Closed);
        }
        let mut state = inner.state.clone();
        if !apply(&mut state, &self.trust_domain)? {
            return Ok(false);
        }
        state.sequence += 1;
        let issuing = Issuing::of(&state, &self.trust_domain)?;
        if let Some(store) = &inner.store {
            store.write(&state.to_json(&self.trust_domain)?)?;
        }
        tracing::info!(
            target: log::TARGET,
            trust_domain = self.trust_domain.name(),
            sequence = state.sequence,
            roots = issuing.x509_bundle.len(),
            jwt_keys = issuing.jwt_bundle.len(),
            "the keys of the authority changed"
        );
        inner.state = state;
        self.current.send_replace(Arc::new(issuing));
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    crate::spiffe::clock::unix_seconds(None)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
