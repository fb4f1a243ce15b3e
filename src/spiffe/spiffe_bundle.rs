//! SPIFFE bundle documents.

use countersign::spiffe::{self, TrustDomain};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;

use super::{
    failure, judge,
    jwt_bundle::{JwtBundle, remarks},
    moment,
    x509_bundle::X509Bundle,
};

/// A trust domain's authorities of every kind.
#[napi]
pub struct SpiffeBundle(pub(super) spiffe::SpiffeBundle);

#[napi]
impl SpiffeBundle {
    /// Read a document.
    #[napi(ts_return_type = "SpiffeBundle | string")]
    pub fn parse(trust_domain: String, json: Uint8ArraySlice<'_>) -> Either<SpiffeBundle, String> {
        let name = match TrustDomain::parse(&trust_domain) {
            Ok(name) => name,
            Err(error) => return Either::B(failure::trust_domain(&error)),
        };
        match spiffe::SpiffeBundle::parse(name, &json) {
            Ok(bundle) => Either::A(Self(bundle)),
            Err(error) => Either::B(failure::bundle(&error)),
        }
    }

    /// The name of the trust domain.
    #[napi]
    pub fn trust_domain(&self) -> &str {
        self.0.trust_domain().name()
    }

    /// The authorities for X509-SVIDs.
    #[napi]
    pub fn x509_bundle(&self) -> X509Bundle {
        X509Bundle(self.0.x509_bundle().clone())
    }

    /// The authorities for JWT-SVIDs.
    #[napi]
    pub fn jwt_bundle(&self) -> JwtBundle {
        JwtBundle(self.0.jwt_bundle().clone())
    }

    /// The sequence number in decimal digits: it may need all 64 bits.
    #[napi]
    pub fn sequence(&self) -> Option<String> {
        self.0.sequence().map(|sequence| sequence.to_string())
    }

    /// The refresh hint in milliseconds.
    #[napi]
    pub fn refresh_hint(&self) -> Option<f64> {
        self.0.refresh_hint().map(|hint| hint.as_secs_f64() * 1000.0)
    }

    /// The keys that were left out, as JSON: `[[index, reason], ...]`.
    #[napi]
    pub fn skipped(&self) -> String {
        remarks(self.0.skipped())
    }

    /// The keys that were taken with reservations, as JSON: `[[index, reason], ...]`.
    #[napi]
    pub fn warnings(&self) -> String {
        remarks(self.0.warnings())
    }

    /// The same bundle with another sequence number, in decimal digits.
    #[napi]
    pub fn with_sequence(&self, sequence: Option<String>) -> SpiffeBundle {
        let sequence = sequence.and_then(|digits| digits.parse().ok());
        Self(self.0.clone().with_sequence(sequence))
    }

    /// The same bundle with another refresh hint, in milliseconds.
    #[napi]
    pub fn with_refresh_hint(&self, refresh_hint: Option<f64>) -> SpiffeBundle {
        Self(self.0.clone().with_refresh_hint(refresh_hint.map(moment::duration)))
    }

    /// The same bundle with other X.509 authorities, or an error.
    #[napi(ts_return_type = "SpiffeBundle | string")]
    pub fn with_x509_bundle(&self, bundle: &X509Bundle) -> Either<SpiffeBundle, String> {
        match self.0.clone().with_x509_bundle(bundle.0.clone()) {
            Ok(bundle) => Either::A(Self(bundle)),
            Err(error) => Either::B(failure::bundle(&error)),
        }
    }

    /// The same bundle with other JWT authorities, or an error.
    #[napi(ts_return_type = "SpiffeBundle | string")]
    pub fn with_jwt_bundle(&self, bundle: &JwtBundle) -> Either<SpiffeBundle, String> {
        match self.0.clone().with_jwt_bundle(bundle.0.clone()) {
            Ok(bundle) => Either::A(Self(bundle)),
            Err(error) => Either::B(failure::bundle(&error)),
        }
    }

    /// The document, or an error.
    #[napi]
    pub fn to_json_text(&self) -> String {
        self.0.to_json().unwrap_or_else(|error| failure::bundle(&error))
    }

    /// Whether both say the same.
    #[napi]
    pub fn equals(&self, other: &SpiffeBundle) -> bool {
        self.0 == other.0
    }

    /// One of its own that says the same.
    #[napi]
    pub fn copy(&self) -> SpiffeBundle {
        Self(self.0.clone())
    }

    /// See `BundleSet.verifyX509`.
    #[napi]
    pub fn verify_x509(&self, chain: Vec<Uint8ArraySlice<'_>>, now: Option<f64>, role: Option<u32>) -> String {
        judge::x509(&self.0, &chain, now, role)
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
