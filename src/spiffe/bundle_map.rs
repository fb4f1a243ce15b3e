//! Bundle maps: the documents of several trust domains in one.

use countersign::spiffe::{self, TrustDomain};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;

use super::class_methods::value_methods;
use super::{bundle_set::BundleSet, spiffe_bundle::SpiffeBundle};
use crate::host::failure::{Failure, answer};

/// SPIFFE bundles by trust domain.
#[napi]
#[derive(Default)]
pub struct BundleMap(spiffe::BundleMap);

#[napi]
impl BundleMap {
    /// A map without bundles.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Read a document.
    #[napi(ts_return_type = "BundleMap | Failure")]
    pub fn parse(json: Uint8ArraySlice<'_>) -> Either<BundleMap, Failure> {
        answer(spiffe::BundleMap::parse(&json).map(Self))
    }

    /// Take a bundle in place of the one its trust domain had.
    #[napi]
    pub fn add(&mut self, bundle: &SpiffeBundle) {
        self.0.insert(bundle.0.clone());
    }

    /// Remove the bundle of a trust domain. Says whether it was there.
    #[napi]
    pub fn remove(&mut self, trust_domain: String) -> bool {
        TrustDomain::parse(&trust_domain).is_ok_and(|name| self.0.remove(&name).is_some())
    }

    /// The bundle of a trust domain.
    #[napi]
    pub fn get(&self, trust_domain: String) -> Option<SpiffeBundle> {
        self.0.get(&TrustDomain::parse(&trust_domain).ok()?).cloned().map(SpiffeBundle)
    }

    /// The names of the trust domains, in order.
    #[napi]
    pub fn trust_domains(&self) -> Vec<String> {
        self.0.iter().map(|bundle| bundle.trust_domain().name().to_owned()).collect()
    }

    /// The same bundles as a set to verify with.
    #[napi]
    pub fn to_bundle_set(&self) -> BundleSet {
        BundleSet(self.0.to_bundle_set())
    }

    /// The document, or an error.
    #[napi]
    pub fn to_json_text(&self) -> Either<String, Failure> {
        answer(self.0.to_json())
    }
}

value_methods!(BundleMap);
