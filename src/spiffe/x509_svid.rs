//! X509-SVIDs. The private key stays on this side until it is asked for.

use countersign::spiffe::{self, LeafFacts, X509SvidError};
use napi::bindgen_prelude::{BufferSlice, Either, Uint8ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;

use super::moment;
use crate::host::failure::{Failure, answer};

/// A certificate chain and its key, kept in the core.
#[napi]
pub struct X509Svid(pub(super) spiffe::X509Svid);

/// What a leaf says of itself: `[spiffeId, notBefore, notAfter, serialNumber, keyAlgorithm, dnsNames]` as JSON.
pub fn leaf_text(leaf: &LeafFacts) -> String {
    let facts = (
        leaf.spiffe_id.as_str(),
        leaf.not_before * 1000,
        leaf.not_after * 1000,
        leaf.serial_number_hex(),
        leaf.key_algorithm.as_str(),
        &leaf.dns_names,
    );
    serde_json::to_string(&facts).unwrap_or_default()
}

#[napi]
impl X509Svid {
    fn wrapped(
        result: std::result::Result<spiffe::X509Svid, X509SvidError>,
        hint: Option<String>,
    ) -> Either<Self, Failure> {
        answer(result.map(|svid| Self(svid.with_hint(hint.as_deref()))))
    }

    /// Concatenated DER, leaf first, and PKCS#8; or an error.
    #[napi(ts_return_type = "X509Svid | Failure")]
    pub fn from_der(
        chain: Uint8ArraySlice<'_>,
        key: Uint8ArraySlice<'_>,
        hint: Option<String>,
    ) -> Either<X509Svid, Failure> {
        Self::wrapped(spiffe::X509Svid::from_der(&chain, &key), hint)
    }

    /// PEM, the key in the same text or in one of its own; or an error.
    #[napi(ts_return_type = "X509Svid | Failure")]
    pub fn from_pem(
        chain: Uint8ArraySlice<'_>,
        key: Option<Uint8ArraySlice<'_>>,
        hint: Option<String>,
    ) -> Either<X509Svid, Failure> {
        Self::wrapped(spiffe::X509Svid::from_pem(&chain, key.as_deref()), hint)
    }

    /// What the leaf says of itself, as JSON.
    #[napi]
    pub fn facts(&self) -> String {
        leaf_text(self.0.leaf())
    }

    /// The label an operator gave it.
    #[napi]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint()
    }

    /// The certificates as DER, leaf first.
    #[napi(ts_return_type = "Buffer[]")]
    pub fn certificates<'a>(&self, env: &'a Env) -> Result<Vec<BufferSlice<'a>>> {
        self.0.certificates().map(|der| BufferSlice::copy_from(env, der)).collect()
    }

    /// The private key as PKCS#8. Secret: the caller wipes it.
    #[napi(ts_return_type = "Buffer")]
    pub fn key_der<'a>(&self, env: &'a Env) -> Result<BufferSlice<'a>> {
        BufferSlice::copy_from(env, self.0.private_key().pkcs8_der())
    }

    /// The chain as PEM.
    #[napi]
    pub fn chain_pem(&self) -> String {
        self.0.chain_pem()
    }

    /// The private key as PEM. Secret: the caller wipes it.
    #[napi(ts_return_type = "Buffer")]
    pub fn key_pem<'a>(&self, env: &'a Env) -> Result<BufferSlice<'a>> {
        BufferSlice::copy_from(env, self.0.key_pem().as_bytes())
    }

    /// Whether half of the lifetime is over at that time.
    #[napi]
    pub fn needs_rotation(&self, now: f64) -> bool {
        self.0.needs_rotation(Some(moment::time(now)))
    }

    /// Whether chain, key and hint are the same.
    #[napi]
    pub fn equals(&self, other: &X509Svid) -> bool {
        self.0 == other.0
    }
}
