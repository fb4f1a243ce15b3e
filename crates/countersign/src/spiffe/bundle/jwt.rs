use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

use super::{
    BundleError, KeyRemark,
    jwks::{Dialect, JwtAuthorities, KeySet},
    next_revision,
};
use crate::spiffe::{JwtAuthority, TrustDomain, jwk::WrittenJwk};

/// The authorities for the tokens of one trust domain. Cheap to clone. An empty bundle trusts no SVID.
#[derive(Clone)]
pub struct JwtBundle(Arc<Inner>);

struct Inner {
    trust_domain: TrustDomain,
    revision: u64,
    /// What is left to parse on first use.
    json: Box<[u8]>,
    keys: OnceLock<Result<Keys, BundleError>>,
}

#[derive(Default)]
struct Keys {
    authorities: JwtAuthorities,
    skipped: Vec<KeyRemark>,
}

impl JwtBundle {
    /// A bundle without authorities.
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self::from_authorities(trust_domain, JwtAuthorities::new(), Vec::new())
    }

    pub(super) fn from_authorities(
        trust_domain: TrustDomain,
        authorities: JwtAuthorities,
        skipped: Vec<KeyRemark>,
    ) -> Self {
        let keys = OnceLock::from(Ok(Keys { authorities, skipped }));
        let inner = Inner { trust_domain, revision: next_revision(), json: Box::default(), keys };
        Self(Arc::new(inner))
    }

    /// Reads a JWKS as the Workload API sends it: `use` may be missing. Keys that cannot be used are skipped one by
    /// one.
    pub fn from_jwks(trust_domain: TrustDomain, json: &[u8]) -> Result<Self, BundleError> {
        let set = KeySet::parse(json, Dialect::WorkloadApi)?;
        Ok(Self::from_authorities(trust_domain, set.jwt, set.skipped))
    }

    /// The same, but the JSON is not read before the first use. What is wrong with it comes out then, as an error of
    /// the verification or of [`JwtBundle::check`].
    pub fn from_jwks_lazy(trust_domain: TrustDomain, json: &[u8]) -> Self {
        let (json, keys) = (json.into(), OnceLock::new());
        Self(Arc::new(Inner { trust_domain, revision: next_revision(), json, keys }))
    }

    /// Reads what is not read yet.
    pub fn check(&self) -> Result<(), BundleError> {
        self.keys().map(|_| ()).map_err(Clone::clone)
    }

    fn keys(&self) -> Result<&Keys, &BundleError> {
        let parse = || {
            let set = KeySet::parse(&self.0.json, Dialect::WorkloadApi)?;
            Ok(Keys { authorities: set.jwt, skipped: set.skipped })
        };
        self.0.keys.get_or_init(parse).as_ref()
    }

    /// The trust domain whose tokens these authorities sign.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// A number no other state of any bundle has had.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The authorities, ordered by key ID. None while a bundle that was not read yet turns out to be broken.
    pub fn authorities(&self) -> impl Iterator<Item = &JwtAuthority> {
        self.keys().into_iter().flat_map(|keys| keys.authorities.values())
    }

    /// How many authorities there are.
    pub fn len(&self) -> usize {
        self.keys().map_or(0, |keys| keys.authorities.len())
    }

    /// Whether there is no authority: then no token of this trust domain is trusted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The authority with this key ID.
    pub fn authority(&self, key_id: &str) -> Option<&JwtAuthority> {
        self.keys().ok()?.authorities.get(key_id)
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[KeyRemark] {
        self.keys().map_or(&[], |keys| &keys.skipped)
    }

    /// Adds an authority, or replaces the one with the same key ID. Says whether that changed anything.
    pub fn add_authority(&mut self, authority: JwtAuthority) -> Result<bool, BundleError> {
        let keys = self.keys().map_err(Clone::clone)?;
        if keys.authorities.get(authority.key_id()) == Some(&authority) {
            return Ok(false);
        }
        let mut authorities = keys.authorities.clone();
        authorities.insert(authority.key_id().into(), authority);
        let skipped = keys.skipped.clone();
        *self = Self::from_authorities(self.0.trust_domain.clone(), authorities, skipped);
        Ok(true)
    }

    /// Removes the authority with this key ID. Says whether there was one.
    pub fn remove_authority(&mut self, key_id: &str) -> Result<bool, BundleError> {
        let keys = self.keys().map_err(Clone::clone)?;
        if !keys.authorities.contains_key(key_id) {
            return Ok(false);
        }
        let mut authorities = keys.authorities.clone();
        authorities.remove(key_id);
        let skipped = keys.skipped.clone();
        *self = Self::from_authorities(self.0.trust_domain.clone(), authorities, skipped);
        Ok(true)
    }

    /// Writes a plain JWKS in the form SPIRE's Workload API has: without `use`, ordered by key ID.
    pub fn to_jwks(&self) -> Result<String, BundleError> {
        #[derive(Serialize)]
        struct Written<'a> {
            keys: Vec<WrittenJwk<'a>>,
        }
        let keys = self.keys().map_err(Clone::clone)?;
        let keys = keys.authorities.values().map(|authority| authority.written(None)).collect();
        Ok(serde_json::to_string(&Written { keys })?)
    }
}

impl PartialEq for JwtBundle {
    /// Whether both trust the same keys. Bundles that were not read yet are equal when their text is, so that comparing
    /// an update with what is held parses nothing.
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        if self.0.trust_domain != other.0.trust_domain {
            return false;
        }
        if !self.0.json.is_empty() && self.0.json == other.0.json {
            return true;
        }
        match (self.keys(), other.keys()) {
            (Ok(ours), Ok(theirs)) => ours.authorities == theirs.authorities,
            _ => false,
        }
    }
}

impl Eq for JwtBundle {}

impl fmt::Debug for JwtBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("JwtBundle");
        debug.field("trust_domain", &self.0.trust_domain.name());
        match self.0.keys.get() {
            None => debug.field("authorities", &"not read yet"),
            Some(Ok(keys)) => debug.field("authorities", &keys.authorities.keys()),
            Some(Err(error)) => debug.field("error", error),
        };
        debug.finish()
    }
}
