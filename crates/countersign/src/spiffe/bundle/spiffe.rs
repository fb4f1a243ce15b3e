use std::time::Duration;

use data_encoding::BASE64;
use serde::Serialize;

use super::{
    BundleError, JwtBundle, KeyRemark, X509Bundle,
    jwks::{Dialect, KeySet},
};
use crate::spiffe::{PublicKey, TrustDomain, jwk::WrittenJwk, svid::Certificate};

/// A trust domain's authorities of every kind, as one document: what trust domains hand each other when they federate
/// (SPIFFE Trust Domain and Bundle 4). Cheap to clone.
///
/// Keys for `x509-svid`, `jwt-svid` and `wit-svid` are kept apart: a key vouches for documents of its own kind only.
#[derive(Debug, Clone)]
pub struct SpiffeBundle {
    x509: X509Bundle,
    jwt: JwtBundle,
    wit: JwtBundle,
    sequence: Option<u64>,
    refresh_hint: Option<u64>,
    warnings: Vec<KeyRemark>,
}

impl SpiffeBundle {
    /// A bundle without authorities.
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self {
            x509: X509Bundle::new(trust_domain.clone()),
            jwt: JwtBundle::new(trust_domain.clone()),
            wit: JwtBundle::new(trust_domain),
            sequence: None,
            refresh_hint: None,
            warnings: Vec::new(),
        }
    }

    /// Puts the X.509 and the JWT authorities of a trust domain together.
    pub fn from_bundles(x509: X509Bundle, jwt: JwtBundle) -> Result<Self, BundleError> {
        if x509.trust_domain() != jwt.trust_domain() {
            return Err(BundleError::TrustDomainMismatch {
                expected: x509.trust_domain().clone(),
                actual: jwt.trust_domain().clone(),
            });
        }
        let empty = Self::new(x509.trust_domain().clone());
        Ok(Self { x509, jwt, ..empty })
    }

    /// Reads a SPIFFE bundle document. The document does not say whose it is: that is for the caller to know (3).
    ///
    /// `use` is required of every key. Keys that are for something else, of an unknown type, or broken, are left out
    /// one by one ([`SpiffeBundle::skipped`]); the document is refused when it is not JSON, has no `keys`, or holds a
    /// sequence or refresh hint that is no integer. No keys at all is legal: everything is revoked.
    pub fn parse(trust_domain: TrustDomain, json: &[u8]) -> Result<Self, BundleError> {
        let set = KeySet::parse(json, Dialect::Document)?;
        Ok(Self {
            x509: X509Bundle::from_der_lazy(trust_domain.clone(), &set.x509.concat())?,
            jwt: JwtBundle::from_authorities(trust_domain.clone(), set.jwt, set.skipped),
            wit: JwtBundle::from_authorities(trust_domain, set.wit, Vec::new()),
            sequence: set.sequence,
            refresh_hint: set.refresh_hint,
            warnings: set.warnings,
        })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.x509.trust_domain()
    }

    /// The authorities for X509-SVIDs.
    pub fn x509_bundle(&self) -> &X509Bundle {
        &self.x509
    }

    /// The authorities for JWT-SVIDs.
    pub fn jwt_bundle(&self) -> &JwtBundle {
        &self.jwt
    }

    /// The authorities for WIT-SVIDs. They are carried along and vouch for nothing else.
    pub fn wit_bundle(&self) -> &JwtBundle {
        &self.wit
    }

    /// The number that grows with every change of the bundle (4.1.1).
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// How often to look for updates (4.1.2).
    pub fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint.map(Duration::from_secs)
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[KeyRemark] {
        self.jwt.skipped()
    }

    /// The keys that were taken, though there is something the publisher should mend.
    pub fn warnings(&self) -> &[KeyRemark] {
        &self.warnings
    }

    /// The same bundle with this sequence number.
    pub fn with_sequence(mut self, sequence: Option<u64>) -> Self {
        self.sequence = sequence;
        self
    }

    /// The same bundle with this refresh hint, rounded up to whole seconds.
    pub fn with_refresh_hint(mut self, refresh_hint: Option<Duration>) -> Self {
        let seconds = |hint: Duration| hint.as_secs().saturating_add(u64::from(hint.subsec_nanos() > 0));
        self.refresh_hint = refresh_hint.map(seconds);
        self
    }

    /// The same bundle with these authorities for X509-SVIDs.
    pub fn with_x509_bundle(mut self, x509: X509Bundle) -> Result<Self, BundleError> {
        self.must_be_ours(x509.trust_domain())?;
        self.x509 = x509;
        Ok(self)
    }

    /// The same bundle with these authorities for JWT-SVIDs.
    pub fn with_jwt_bundle(mut self, jwt: JwtBundle) -> Result<Self, BundleError> {
        self.must_be_ours(jwt.trust_domain())?;
        self.jwt = jwt;
        Ok(self)
    }

    fn must_be_ours(&self, actual: &TrustDomain) -> Result<(), BundleError> {
        if actual == self.trust_domain() {
            return Ok(());
        }
        let (expected, actual) = (self.trust_domain().clone(), actual.clone());
        Err(BundleError::TrustDomainMismatch { expected, actual })
    }

    /// Writes the document. The same bundle always makes the same text: X.509 authorities in their order, then the
    /// others by key ID.
    pub fn to_json(&self) -> Result<String, BundleError> {
        Ok(serde_json::to_string(&self.written(self.refresh_hint)?)?)
    }

    pub(super) fn written(&self, spiffe_refresh_hint: Option<u64>) -> Result<WrittenBundle<'_>, BundleError> {
        self.jwt.check()?;
        let mut keys = Vec::new();
        for (index, der) in self.x509.authorities().enumerate() {
            let key = Certificate::parse(der)
                .ok()
                .and_then(|certificate| PublicKey::from_spki(certificate.x509.public_key()))
                .ok_or(BundleError::UnwritableKey { index })?;
            // X.509-SVID 6.1: no key ID, and exactly one certificate.
            keys.push(WrittenJwk { purpose: Some("x509-svid"), x5c: Some([BASE64.encode(der)]), ..key.written() });
        }
        keys.extend(self.jwt.authorities().map(|authority| authority.written(Some("jwt-svid"))));
        keys.extend(self.wit.authorities().map(|authority| authority.written(Some("wit-svid"))));
        Ok(WrittenBundle { keys, spiffe_sequence: self.sequence, spiffe_refresh_hint })
    }

    pub(super) fn without_refresh_hint(self) -> Self {
        Self { refresh_hint: None, ..self }
    }
}

#[derive(Serialize)]
pub(super) struct WrittenBundle<'a> {
    keys: Vec<WrittenJwk<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_refresh_hint: Option<u64>,
}

impl PartialEq for SpiffeBundle {
    /// Whether both trust the same keys under the same sequence number and refresh hint.
    fn eq(&self, other: &Self) -> bool {
        self.x509 == other.x509
            && self.jwt == other.jwt
            && self.wit == other.wit
            && self.sequence == other.sequence
            && self.refresh_hint == other.refresh_hint
    }
}

impl Eq for SpiffeBundle {}
