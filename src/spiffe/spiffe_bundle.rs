//! SPIFFE bundle documents.

use countersign::spiffe::{self, TrustDomain};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;

use super::class_methods::{value_methods, verifies_jwt, verifies_x509};
use super::{
    failure,
    jwt_bundle::{JwtBundle, remarks},
    moment,
    x509_bundle::X509Bundle,
};
use crate::host::failure::{Failure, answer};

/// A trust domain's authorities of every kind.
#[napi]
pub struct SpiffeBundle(pub(super) spiffe::SpiffeBundle);

#[napi]
impl SpiffeBundle {
    /// Read a document.
    #[napi(ts_return_type = "SpiffeBundle | Failure")]
    pub fn parse(trust_domain: String, json: Uint8ArraySlice<'_>) -> Either<SpiffeBundle, Failure> {
        let name = TrustDomain::parse(&trust_domain).map_err(failure::trust_domain);
        let bundle = name.and_then(|name| Ok(spiffe::SpiffeBundle::parse(name, &json)?));
        answer(bundle.map(Self))
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
    #[napi(ts_return_type = "SpiffeBundle | Failure")]
    pub fn with_x509_bundle(&self, bundle: &X509Bundle) -> Either<SpiffeBundle, Failure> {
        answer(self.0.clone().with_x509_bundle(bundle.0.clone()).map(Self))
    }

    /// The same bundle with other JWT authorities, or an error.
    #[napi(ts_return_type = "SpiffeBundle | Failure")]
    pub fn with_jwt_bundle(&self, bundle: &JwtBundle) -> Either<SpiffeBundle, Failure> {
        answer(self.0.clone().with_jwt_bundle(bundle.0.clone()).map(Self))
    }

    /// The document, or an error.
    #[napi]
    pub fn to_json_text(&self) -> Either<String, Failure> {
        answer(self.0.to_json())
    }
}

value_methods!(SpiffeBundle);
verifies_x509!(SpiffeBundle);
verifies_jwt!(SpiffeBundle);
