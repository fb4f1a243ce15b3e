//! JWT bundles.

use countersign::spiffe::{self, BundleError, KeyRemark, TrustDomain};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use serde_json::json;

use super::class_methods::{value_methods, verifies_jwt};
use super::failure;
use crate::host::failure::{Failure, answer};

/// The authorities for the tokens of one trust domain.
#[napi]
pub struct JwtBundle(pub(super) spiffe::JwtBundle);

/// Remarks on keys, as JSON: `[[index, reason], ...]`.
pub fn remarks(remarks: &[KeyRemark]) -> String {
    let remarks: Vec<_> = remarks.iter().map(|one| (one.index, one.reason.as_str())).collect();
    json!(remarks).to_string()
}

#[napi]
impl JwtBundle {
    /// A plain JWKS. Lazy: it is read on first use.
    #[napi(ts_return_type = "JwtBundle | Failure")]
    pub fn from_jwks(trust_domain: String, json: Uint8ArraySlice<'_>, lazy: bool) -> Either<JwtBundle, Failure> {
        let name = TrustDomain::parse(&trust_domain).map_err(failure::trust_domain);
        let bundle = name.and_then(|name| match lazy {
            true => Ok(spiffe::JwtBundle::from_jwks_lazy(name, &json)),
            false => spiffe::JwtBundle::from_jwks(name, &json).map_err(Failure::from),
        });
        answer(bundle.map(Self))
    }

    /// The name of the trust domain.
    #[napi]
    pub fn trust_domain(&self) -> &str {
        self.0.trust_domain().name()
    }

    /// How many authorities there are.
    #[napi]
    pub fn size(&self) -> u32 {
        self.0.len() as u32
    }

    /// The key IDs, in order.
    #[napi]
    pub fn key_ids(&self) -> Vec<String> {
        self.0.authorities().map(|authority| authority.key_id().to_owned()).collect()
    }

    /// The keys that were left out, as JSON: `[[index, reason], ...]`.
    #[napi]
    pub fn skipped(&self) -> String {
        remarks(self.0.skipped())
    }

    /// Whether there is an authority with this key ID.
    #[napi]
    pub fn has(&self, key_id: String) -> bool {
        self.0.authority(&key_id).is_some()
    }

    /// Take over every authority of another bundle. Says whether that changed anything; or an error.
    #[napi]
    pub fn add(&mut self, other: &JwtBundle) -> Either<bool, Failure> {
        let mut changed = false;
        let added = other.0.authorities().try_for_each(|authority| {
            changed |= self.0.add_authority(authority.clone())?;
            Ok::<(), BundleError>(())
        });
        answer(added.map(|()| changed))
    }

    /// Remove an authority. Says whether it was there; or an error.
    #[napi]
    pub fn remove(&mut self, key_id: String) -> Either<bool, Failure> {
        answer(self.0.remove_authority(&key_id))
    }

    /// The JWKS, or an error.
    #[napi]
    pub fn to_jwks(&self) -> Either<String, Failure> {
        answer(self.0.to_jwks())
    }
}

value_methods!(JwtBundle);
verifies_jwt!(JwtBundle);
