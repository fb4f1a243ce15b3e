//! JWT bundles.

use countersign::spiffe::{self, KeyRemark, TrustDomain};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use serde_json::json;

use super::{failure, judge};

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
    #[napi(ts_return_type = "JwtBundle | string")]
    pub fn from_jwks(trust_domain: String, json: Uint8ArraySlice<'_>, lazy: bool) -> Either<JwtBundle, String> {
        let name = match TrustDomain::parse(&trust_domain) {
            Ok(name) => name,
            Err(error) => return Either::B(failure::trust_domain(&error)),
        };
        if lazy {
            return Either::A(Self(spiffe::JwtBundle::from_jwks_lazy(name, &json)));
        }
        match spiffe::JwtBundle::from_jwks(name, &json) {
            Ok(bundle) => Either::A(Self(bundle)),
            Err(error) => Either::B(failure::bundle(&error)),
        }
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
    pub fn add(&mut self, other: &JwtBundle) -> Either<bool, String> {
        let mut changed = false;
        for authority in other.0.authorities() {
            match self.0.add_authority(authority.clone()) {
                Ok(new) => changed |= new,
                Err(error) => return Either::B(failure::bundle(&error)),
            }
        }
        Either::A(changed)
    }

    /// Remove an authority. Says whether it was there; or an error.
    #[napi]
    pub fn remove(&mut self, key_id: String) -> Either<bool, String> {
        match self.0.remove_authority(&key_id) {
            Ok(there) => Either::A(there),
            Err(error) => Either::B(failure::bundle(&error)),
        }
    }

    /// The JWKS, or an error.
    #[napi]
    pub fn to_jwks(&self) -> String {
        self.0.to_jwks().unwrap_or_else(|error| failure::bundle(&error))
    }

    /// Whether both trust the same keys.
    #[napi]
    pub fn equals(&self, other: &JwtBundle) -> bool {
        self.0 == other.0
    }

    /// One of its own that says the same.
    #[napi]
    pub fn copy(&self) -> JwtBundle {
        Self(self.0.clone())
    }

    /// See `BundleSet.verifyJwt`.
    #[napi]
    pub fn verify_jwt(
        &self,
        token: String,
        audience: Vec<String>,
        leeway: f64,
        now: Option<f64>,
        flags: u32,
    ) -> String {
        judge::jwt(&self.0, token, audience, leeway, now, flags)
    }
}
