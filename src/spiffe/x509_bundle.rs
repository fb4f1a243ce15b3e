//! X.509 bundles.

use countersign::spiffe::{self, BundleError, TrustDomain};
use napi::bindgen_prelude::{BufferSlice, Either, Uint8ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::json;

use super::class_methods::{value_methods, verifies_x509};
use super::failure;
use crate::host::failure::{Failure, answer};

/// The X.509 authorities of one trust domain.
#[napi]
pub struct X509Bundle(pub(super) spiffe::X509Bundle);

#[napi]
impl X509Bundle {
    fn parsed(
        trust_domain: &str,
        parse: impl FnOnce(TrustDomain) -> std::result::Result<spiffe::X509Bundle, BundleError>,
    ) -> Either<Self, Failure> {
        let name = TrustDomain::parse(trust_domain).map_err(failure::trust_domain);
        let bundle = name.and_then(|name| Ok(parse(name)?));
        answer(bundle.map(Self))
    }

    /// Concatenated DER. Lazy: the certificates are read on first use.
    #[napi(ts_return_type = "X509Bundle | Failure")]
    pub fn from_der(trust_domain: String, der: Uint8ArraySlice<'_>, lazy: bool) -> Either<X509Bundle, Failure> {
        Self::parsed(&trust_domain, |name| {
            if lazy { spiffe::X509Bundle::from_der_lazy(name, &der) } else { spiffe::X509Bundle::from_der(name, &der) }
        })
    }

    /// PEM.
    #[napi(ts_return_type = "X509Bundle | Failure")]
    pub fn from_pem(trust_domain: String, text: Uint8ArraySlice<'_>) -> Either<X509Bundle, Failure> {
        Self::parsed(&trust_domain, |name| spiffe::X509Bundle::from_pem(name, &text))
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

    /// The certificates as DER.
    #[napi(ts_return_type = "Buffer[]")]
    pub fn authorities<'a>(&self, env: &'a Env) -> Result<Vec<BufferSlice<'a>>> {
        self.0.authorities().map(|der| BufferSlice::copy_from(env, der)).collect()
    }

    /// Those that can be no authority, as JSON: `[[index, rule], ...]`.
    #[napi]
    pub fn refused(&self) -> String {
        let refused: Vec<_> = self.0.refused().iter().map(|one| (one.index, one.error.code())).collect();
        json!(refused).to_string()
    }

    /// Whether the certificate is an authority.
    #[napi]
    pub fn has(&self, der: Uint8ArraySlice<'_>) -> bool {
        self.0.has_authority(&der)
    }

    /// Add an authority. Says whether it is new; or an error.
    #[napi]
    pub fn add(&mut self, der: Uint8ArraySlice<'_>) -> Either<bool, Failure> {
        answer(self.0.add_authority(&der))
    }

    /// Remove an authority. Says whether it was there.
    #[napi]
    pub fn remove(&mut self, der: Uint8ArraySlice<'_>) -> bool {
        self.0.remove_authority(&der)
    }

    /// Concatenated DER.
    #[napi(ts_return_type = "Buffer")]
    pub fn to_der<'a>(&self, env: &'a Env) -> Result<BufferSlice<'a>> {
        BufferSlice::copy_from(env, self.0.to_der())
    }

    /// PEM.
    #[napi]
    pub fn to_pem(&self) -> String {
        self.0.to_pem()
    }
}

value_methods!(X509Bundle);
verifies_x509!(X509Bundle);
