use std::{fmt, sync::Arc};

use crate::spiffe::{
    BundleError, JwtAuthority, KeyRemark,
    bundle::{Dialect, JwtAuthorities, KeySet},
};

/// The keys of an OIDC provider. Cheap to clone. Without any, no token is believed.
#[derive(Clone)]
pub struct OidcKeys(Arc<Inner>);

struct Inner {
    keys: JwtAuthorities,
    skipped: Vec<KeyRemark>,
}

impl OidcKeys {
    /// Reads a JWKS. Keys that cannot be used, for one reason or another, are left out one by one.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        let set = KeySet::parse(json, Dialect::Oidc)?;
        Ok(Self(Arc::new(Inner { keys: set.jwt, skipped: set.skipped })))
    }

    /// The key IDs, in order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys.keys().map(|key_id| &**key_id)
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[KeyRemark] {
        &self.0.skipped
    }

    pub(super) fn get(&self, key_id: &str) -> Option<&JwtAuthority> {
        self.0.keys.get(key_id)
    }
}

impl fmt::Debug for OidcKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OidcKeys").field(&self.0.keys.keys()).finish()
    }
}
