//! The bundles a verifier trusts.

use countersign::spiffe::{self, TrustDomain};
use napi_derive::napi;

use super::class_methods::{value_methods, verifies_jwt, verifies_x509};
use super::{jwt_bundle::JwtBundle, spiffe_bundle::SpiffeBundle, x509_bundle::X509Bundle};

/// Bundles by trust domain. Names that are no trust domain are found nowhere.
#[napi]
#[derive(Default)]
pub struct BundleSet(pub(super) spiffe::BundleSet);

#[napi]
impl BundleSet {
    /// A set without bundles.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take the X.509 authorities of a trust domain. Says whether that changed anything.
    #[napi]
    pub fn add_x509(&mut self, bundle: &X509Bundle) -> bool {
        self.0.insert_x509(bundle.0.clone())
    }

    /// Take the JWT authorities of a trust domain. Says whether that changed anything.
    #[napi]
    pub fn add_jwt(&mut self, bundle: &JwtBundle) -> bool {
        self.0.insert_jwt(bundle.0.clone())
    }

    /// Take all authorities of a trust domain. Says whether that changed anything.
    #[napi]
    pub fn add(&mut self, bundle: &SpiffeBundle) -> bool {
        self.0.insert(&bundle.0)
    }

    /// Forget a trust domain. Says whether it was there.
    #[napi]
    pub fn remove(&mut self, trust_domain: String) -> bool {
        TrustDomain::parse(&trust_domain).is_ok_and(|name| self.0.remove(&name))
    }

    /// Forget the X.509 authorities of a trust domain.
    #[napi]
    pub fn remove_x509(&mut self, trust_domain: String) -> bool {
        TrustDomain::parse(&trust_domain).is_ok_and(|name| self.0.remove_x509(&name))
    }

    /// Forget the JWT authorities of a trust domain.
    #[napi]
    pub fn remove_jwt(&mut self, trust_domain: String) -> bool {
        TrustDomain::parse(&trust_domain).is_ok_and(|name| self.0.remove_jwt(&name))
    }

    /// Whether there are authorities for the trust domain.
    #[napi]
    pub fn has(&self, trust_domain: String) -> bool {
        TrustDomain::parse(&trust_domain).is_ok_and(|name| self.0.contains(&name))
    }

    /// The X.509 authorities of the trust domain.
    #[napi]
    pub fn x509_bundle(&self, trust_domain: String) -> Option<X509Bundle> {
        let name = TrustDomain::parse(&trust_domain).ok()?;
        self.0.x509_bundle(&name).cloned().map(X509Bundle)
    }

    /// The JWT authorities of the trust domain.
    #[napi]
    pub fn jwt_bundle(&self, trust_domain: String) -> Option<JwtBundle> {
        let name = TrustDomain::parse(&trust_domain).ok()?;
        self.0.jwt_bundle(&name).cloned().map(JwtBundle)
    }

    /// The names of the trust domains, in order.
    #[napi]
    pub fn trust_domains(&self) -> Vec<String> {
        self.0.trust_domains().map(|trust_domain| trust_domain.name().to_owned()).collect()
    }

    /// How many trust domains there are.
    #[napi]
    pub fn size(&self) -> u32 {
        self.0.len() as u32
    }
}

value_methods!(BundleSet);
verifies_x509!(BundleSet);
verifies_jwt!(BundleSet);
