use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::{BundleError, next_revision};
use crate::spiffe::{
    SigningError, TrustDomain,
    der::split_sequences,
    limits::{X509_BUNDLE_BYTES, X509_BUNDLE_CERTIFICATES},
    pem::{self, Pem},
    svid::SigningFacts,
};

/// The X.509 authorities of one trust domain. Cheap to clone. An empty bundle trusts no SVID.
///
/// A certificate in a bundle is a trust anchor because it is there: it need not be self-signed (a bundle may hold an
/// intermediate, and then paths end at it), and its own validity period is not looked at (RFC 5280 6.1.1 leaves the
/// anchor's certificate out of the path). To revoke an authority, remove it from the bundle.
#[derive(Clone)]
pub struct X509Bundle(Arc<Inner>);

struct Inner {
    trust_domain: TrustDomain,
    revision: u64,
    der: Box<[u8]>,
    certificates: Box<[Range<usize>]>,
    roots: OnceLock<TrustRoots>,
}

/// A certificate of a bundle that can be no authority, so nothing it signed is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorRefusal {
    /// Its place in the bundle, from 0.
    pub index: usize,
    /// The rule it breaks.
    pub error: SigningError,
}

/// Trust anchors in the path builder's form; `facts` runs in parallel.
pub(crate) struct TrustRoots {
    pub anchors: Vec<TrustAnchor<'static>>,
    pub facts: Vec<SigningFacts>,
    pub refused: Vec<AnchorRefusal>,
}

impl TrustRoots {
    fn build<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut roots = Self { anchors: Vec::new(), facts: Vec::new(), refused: Vec::new() };
        for (index, der) in certificates.enumerate() {
            let certificate = CertificateDer::from(der);
            let anchor = webpki::anchor_from_trusted_cert(&certificate);
            match SigningFacts::of_anchor(der)
                .and_then(|facts| Ok((facts, anchor.map_err(|_| SigningError::Malformed)?.to_owned())))
            {
                Ok((facts, anchor)) => {
                    roots.facts.push(facts);
                    roots.anchors.push(anchor);
                }
                Err(error) => roots.refused.push(AnchorRefusal { index, error }),
            }
        }
        roots
    }
}

impl X509Bundle {
    /// A bundle without authorities.
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self::from_parts(trust_domain, Box::default(), Box::default())
    }

    fn from_parts(trust_domain: TrustDomain, der: Box<[u8]>, certificates: Box<[Range<usize>]>) -> Self {
        let (revision, roots) = (next_revision(), OnceLock::new());
        Self(Arc::new(Inner { trust_domain, revision, der, certificates, roots }))
    }

    /// Reads concatenated DER certificates, each of which must be able to be an authority.
    pub fn from_der(trust_domain: TrustDomain, der: &[u8]) -> Result<Self, BundleError> {
        let bundle = Self::from_der_lazy(trust_domain, der)?;
        bundle.check()?;
        Ok(bundle)
    }

    /// The same, but only where each certificate starts and ends is looked at. The certificates are read on first use,
    /// and one that can be no authority is then left out: see [`X509Bundle::refused`].
    pub fn from_der_lazy(trust_domain: TrustDomain, der: &[u8]) -> Result<Self, BundleError> {
        if der.len() > X509_BUNDLE_BYTES {
            return Err(BundleError::TooLarge);
        }
        let certificates = split_sequences(der, X509_BUNDLE_CERTIFICATES)
            .map_err(|_| BundleError::MalformedDer)?
            .ok_or(BundleError::TooLarge)?;
        Ok(Self::from_parts(trust_domain, der.into(), certificates.into()))
    }

    /// Reads the certificates in a PEM text. A text without any is refused: it is not what its author meant.
    pub fn from_pem(trust_domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        let pem = Pem::read(text)?;
        if pem.certificates.is_empty() {
            return Err(BundleError::MalformedPem("there is no certificate in the PEM text"));
        }
        Self::from_der(trust_domain, &pem.certificates.concat())
    }

    /// Reads what is not read yet, and fails on the first certificate that can be no authority.
    pub fn check(&self) -> Result<(), BundleError> {
        match self.refused().first() {
            None => Ok(()),
            Some(&AnchorRefusal { index, error }) => Err(BundleError::Certificate { index, error }),
        }
    }

    /// The trust domain these authorities issue for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// A number no other state of any bundle has had.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The certificates as DER, in the order they came.
    pub fn authorities(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.certificates.iter().map(|range| &self.0.der[range.clone()])
    }

    /// How many certificates there are.
    pub fn len(&self) -> usize {
        self.0.certificates.len()
    }

    /// Whether there is no authority: then no SVID of this trust domain is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.certificates.is_empty()
    }

    /// Whether the certificate is an authority.
    pub fn has_authority(&self, der: &[u8]) -> bool {
        self.authorities().any(|authority| authority == der)
    }

    /// The certificates that can be no authority. Reads what is not read yet.
    pub fn refused(&self) -> &[AnchorRefusal] {
        &self.roots().refused
    }

    /// Adds an authority. Says whether it is new.
    pub fn add_authority(&mut self, der: &[u8]) -> Result<bool, BundleError> {
        if self.has_authority(der) {
            return Ok(false);
        }
        SigningFacts::of_anchor(der).map_err(|error| BundleError::Certificate { index: self.len(), error })?;
        let grown = [self.to_der(), der].concat();
        *self = Self::from_der_lazy(self.0.trust_domain.clone(), &grown)?;
        Ok(true)
    }

    /// Removes an authority. Says whether it was there.
    pub fn remove_authority(&mut self, der: &[u8]) -> bool {
        let kept: Vec<&[u8]> = self.authorities().filter(|authority| *authority != der).collect();
        if kept.len() == self.len() {
            return false;
        }
        let mut end = 0;
        let certificates = kept
            .iter()
            .map(|authority| {
                let start = end;
                end += authority.len();
                start..end
            })
            .collect();
        let der = kept.concat().into();
        *self = Self::from_parts(self.0.trust_domain.clone(), der, certificates);
        true
    }

    /// The certificates as concatenated DER, the form of the Workload API.
    pub fn to_der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificates as PEM.
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for authority in self.authorities() {
            pem::write(&mut text, "CERTIFICATE", authority);
        }
        text
    }

    /// The trust anchors, built on first use.
    pub(crate) fn roots(&self) -> &TrustRoots {
        self.0.roots.get_or_init(|| TrustRoots::build(self.authorities()))
    }
}

impl PartialEq for X509Bundle {
    /// Whether both trust the same certificates, in any order.
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        let covers = |ours: &Self, theirs: &Self| theirs.authorities().all(|authority| ours.has_authority(authority));
        self.0.trust_domain == other.0.trust_domain
            && (self.0.der == other.0.der || (covers(self, other) && covers(other, self)))
    }
}

impl Eq for X509Bundle {}

impl fmt::Debug for X509Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Bundle")
            .field("trust_domain", &self.0.trust_domain.name())
            .field("authorities", &self.len())
            .finish_non_exhaustive()
    }
}
