use std::{
    collections::{BTreeMap, btree_map::Entry as Place},
    fmt,
    sync::Arc,
};

use super::{JwtBundle, SpiffeBundle, X509Bundle, next_revision};
use crate::spiffe::{TrustDomain, VerifiedChains, VerifiedTokens};

/// The bundles a verifier trusts, by trust domain. Cheap to clone: a clone shares everything until one of the two is
/// changed.
///
/// Bundles are looked up, never pooled. A set may hold thousands of trust domains: bundles made by
/// [`X509Bundle::from_der_lazy`] and [`JwtBundle::from_jwks_lazy`] are read when the first peer of their trust domain
/// comes along.
#[derive(Clone)]
pub struct BundleSet {
    inner: Arc<Inner>,
    /// Outlives changes of the set: what it remembers names the bundle it was verified with.
    verified: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    chains: VerifiedChains,
    tokens: VerifiedTokens,
}

#[derive(Clone)]
struct Inner {
    entries: BTreeMap<TrustDomain, Entry>,
    revision: u64,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Entry {
    x509: Option<X509Bundle>,
    jwt: Option<JwtBundle>,
}

impl Default for BundleSet {
    fn default() -> Self {
        Self::new()
    }
}

impl BundleSet {
    /// A set without bundles: it trusts no SVID.
    pub fn new() -> Self {
        let inner = Inner { entries: BTreeMap::new(), revision: next_revision() };
        Self { inner: Arc::new(inner), verified: Arc::default() }
    }

    /// A number that is another one after every change, and that no other state of any set has had.
    pub fn revision(&self) -> u64 {
        self.inner.revision
    }

    fn change(&mut self, trust_domain: &TrustDomain, put: impl FnOnce(&mut Entry)) {
        let inner = Arc::make_mut(&mut self.inner);
        put(inner.entries.entry(trust_domain.clone()).or_default());
        inner.revision = next_revision();
    }

    /// Takes the X.509 authorities of a trust domain in place of those it had. Says whether that changed anything:
    /// equal authorities leave the old bundle, and what was verified with it, in force.
    pub fn insert_x509(&mut self, bundle: X509Bundle) -> bool {
        if self.x509_bundle(bundle.trust_domain()) == Some(&bundle) {
            return false;
        }
        self.change(&bundle.trust_domain().clone(), |entry| entry.x509 = Some(bundle));
        true
    }

    /// Takes the JWT authorities of a trust domain in place of those it had. Says whether that changed anything.
    pub fn insert_jwt(&mut self, bundle: JwtBundle) -> bool {
        if self.jwt_bundle(bundle.trust_domain()) == Some(&bundle) {
            return false;
        }
        self.change(&bundle.trust_domain().clone(), |entry| entry.jwt = Some(bundle));
        true
    }

    /// Takes all authorities of a trust domain in place of those it had. Says whether that changed anything.
    pub fn insert(&mut self, bundle: &SpiffeBundle) -> bool {
        let x509 = self.insert_x509(bundle.x509_bundle().clone());
        let jwt = self.insert_jwt(bundle.jwt_bundle().clone());
        x509 || jwt
    }

    /// Forgets a trust domain. Says whether it was there.
    pub fn remove(&mut self, trust_domain: &TrustDomain) -> bool {
        if !self.contains(trust_domain) {
            return false;
        }
        let inner = Arc::make_mut(&mut self.inner);
        inner.entries.remove(trust_domain);
        inner.revision = next_revision();
        true
    }

    /// Forgets the X.509 authorities of a trust domain. Says whether there were any.
    pub fn remove_x509(&mut self, trust_domain: &TrustDomain) -> bool {
        self.remove_part(trust_domain, |entry| entry.x509.take().is_some())
    }

    /// Forgets the JWT authorities of a trust domain. Says whether there were any.
    pub fn remove_jwt(&mut self, trust_domain: &TrustDomain) -> bool {
        self.remove_part(trust_domain, |entry| entry.jwt.take().is_some())
    }

    fn remove_part(&mut self, trust_domain: &TrustDomain, take: fn(&mut Entry) -> bool) -> bool {
        if !self.contains(trust_domain) {
            return false;
        }
        let inner = Arc::make_mut(&mut self.inner);
        let Place::Occupied(mut place) = inner.entries.entry(trust_domain.clone()) else {
            return false;
        };
        let taken = take(place.get_mut());
        if *place.get() == Entry::default() {
            place.remove();
        }
        if taken {
            inner.revision = next_revision();
        }
        taken
    }

    /// Whether there are authorities of any kind for the trust domain.
    pub fn contains(&self, trust_domain: &TrustDomain) -> bool {
        self.inner.entries.contains_key(trust_domain)
    }

    /// The X.509 authorities of the trust domain.
    pub fn x509_bundle(&self, trust_domain: &TrustDomain) -> Option<&X509Bundle> {
        self.inner.entries.get(trust_domain)?.x509.as_ref()
    }

    /// The JWT authorities of the trust domain.
    pub fn jwt_bundle(&self, trust_domain: &TrustDomain) -> Option<&JwtBundle> {
        self.inner.entries.get(trust_domain)?.jwt.as_ref()
    }

    /// The trust domains, in order.
    pub fn trust_domains(&self) -> impl ExactSizeIterator<Item = &TrustDomain> {
        self.inner.entries.keys()
    }

    /// How many trust domains there are.
    pub fn len(&self) -> usize {
        self.inner.entries.len()
    }

    /// Whether there is no trust domain: then no SVID is trusted.
    pub fn is_empty(&self) -> bool {
        self.inner.entries.is_empty()
    }

    pub(crate) fn verified_chains(&self) -> &VerifiedChains {
        &self.verified.chains
    }

    pub(crate) fn verified_tokens(&self) -> &VerifiedTokens {
        &self.verified.tokens
    }
}

impl PartialEq for BundleSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.inner.entries == other.inner.entries
    }
}

impl Eq for BundleSet {}

impl Extend<X509Bundle> for BundleSet {
    fn extend<I: IntoIterator<Item = X509Bundle>>(&mut self, bundles: I) {
        for bundle in bundles {
            self.insert_x509(bundle);
        }
    }
}

impl Extend<JwtBundle> for BundleSet {
    fn extend<I: IntoIterator<Item = JwtBundle>>(&mut self, bundles: I) {
        for bundle in bundles {
            self.insert_jwt(bundle);
        }
    }
}

impl FromIterator<X509Bundle> for BundleSet {
    fn from_iter<I: IntoIterator<Item = X509Bundle>>(bundles: I) -> Self {
        let mut set = Self::new();
        set.extend(bundles);
        set
    }
}

impl FromIterator<JwtBundle> for BundleSet {
    fn from_iter<I: IntoIterator<Item = JwtBundle>>(bundles: I) -> Self {
        let mut set = Self::new();
        set.extend(bundles);
        set
    }
}

impl fmt::Debug for BundleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleSet")
            .field("revision", &self.inner.revision)
            .field("trust_domains", &self.inner.entries.len())
            .finish_non_exhaustive()
    }
}
