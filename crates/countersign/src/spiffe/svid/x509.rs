use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use super::{
    leaf::{Certificate, LeafError, LeafFacts},
    private_key::PrivateKey,
    signing::SigningFacts,
    x509_error::X509SvidError,
};
use crate::spiffe::{
    SpiffeId, clock,
    der::split_sequences,
    limits::{CHAIN_BYTES, CHAIN_CERTIFICATES, PRIVATE_KEY_BYTES},
    pem::{self, Pem},
};

/// A workload's certificate chain and the key that goes with it (X.509-SVID). Cheap to clone.
///
/// A value of this type keeps the rules of the leaf profile, its further certificates are signing certificates, and the
/// private key matches. Whether a bundle vouches for it is another question:
/// [`verify_x509_svid`](super::super::verify_x509_svid).
#[derive(Clone, PartialEq, Eq)]
pub struct X509Svid {
    inner: Arc<Inner>,
    hint: Option<Arc<str>>,
}

#[derive(PartialEq, Eq)]
struct Inner {
    chain: Box<[u8]>,
    key: PrivateKey,
    shape: Arc<Shape>,
}

/// What was read out of a chain that was found good, with its key. It can be kept without keeping the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    certificates: Box<[Range<usize>]>,
    leaf: LeafFacts,
}

impl X509Svid {
    /// From the form of the Workload API: certificates as concatenated DER, leaf first, and the key as PKCS#8.
    pub fn from_der(chain_der: &[u8], pkcs8_der: &[u8]) -> Result<Self, X509SvidError> {
        if chain_der.len() > CHAIN_BYTES {
            return Err(X509SvidError::ChainTooLong);
        }
        if pkcs8_der.len() > PRIVATE_KEY_BYTES {
            return Err(X509SvidError::PrivateKeyTooLong);
        }
        let key = Zeroizing::new(pkcs8_der.to_vec());
        Self::new(chain_der.into(), PrivateKey::new(key))
    }

    /// From PEM: the chain, leaf first, and the key in the same text or in one of its own.
    pub fn from_pem(chain_pem: &[u8], key_pem: Option<&[u8]>) -> Result<Self, X509SvidError> {
        let chain = Pem::read(chain_pem)?;
        if chain.certificates.len() > CHAIN_CERTIFICATES {
            return Err(X509SvidError::ChainTooLong);
        }
        let with_key = key_pem.map(Pem::read).transpose()?;
        let (keys, foreign) = match &with_key {
            Some(pem) => (&pem.keys, pem.foreign_key),
            None => (&chain.keys, chain.foreign_key),
        };
        let key = match (&keys[..], foreign) {
            ([key], _) => key.clone(),
            ([], Some(form)) => return Err(X509SvidError::PrivateKeyForm(form)),
            ([], None) => return Err(X509SvidError::MissingPrivateKey),
            _ => return Err(X509SvidError::MultiplePrivateKeys),
        };
        if key.len() > PRIVATE_KEY_BYTES {
            return Err(X509SvidError::PrivateKeyTooLong);
        }
        Self::new(chain.certificates.concat().into(), PrivateKey::new(key))
    }

    fn new(chain: Box<[u8]>, key: PrivateKey) -> Result<Self, X509SvidError> {
        if chain.len() > CHAIN_BYTES {
            return Err(X509SvidError::ChainTooLong);
        }
        let certificates = split_sequences(&chain, CHAIN_CERTIFICATES)
            .map_err(|_| X509SvidError::MalformedChain)?
            .ok_or(X509SvidError::ChainTooLong)?;
        let (first, rest) = certificates.split_first().ok_or(X509SvidError::EmptyChain)?;
        let certificate = Certificate::parse(&chain[first.clone()]).map_err(|_| LeafError::Malformed)?;
        let leaf = certificate.check_leaf()?;
        for (index, range) in rest.iter().enumerate() {
            SigningFacts::of_intermediate(&chain[range.clone()])
                .map_err(|error| X509SvidError::Signing { index: index + 1, error })?;
        }
        if leaf.key_algorithm == super::KeyAlgorithm::Other {
            return Err(X509SvidError::UnsupportedKey);
        }
        let public = key.public_key(leaf.key_algorithm).ok_or(X509SvidError::MalformedPrivateKey)?;
        if *public != *certificate.x509.public_key().subject_public_key.data {
            return Err(X509SvidError::PrivateKeyMismatch);
        }
        let shape = Arc::new(Shape { certificates: certificates.into(), leaf });
        Ok(Self { inner: Arc::new(Inner { chain, key, shape }), hint: None })
    }

    /// A chain and a key that were found good together before.
    pub(crate) fn known(chain_der: &[u8], pkcs8_der: &[u8], shape: Arc<Shape>) -> Self {
        let key = PrivateKey::new(Zeroizing::new(pkcs8_der.to_vec()));
        Self { inner: Arc::new(Inner { chain: chain_der.into(), key, shape }), hint: None }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.inner.shape
    }

    /// The same SVID with the label an operator gave it (Workload API 5.2.1).
    pub fn with_hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.filter(|hint| !hint.is_empty()).map(Arc::from);
        self
    }

    /// The label an operator gave it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The name of the workload.
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.inner.shape.leaf.spiffe_id
    }

    /// What the leaf says about itself.
    pub fn leaf(&self) -> &LeafFacts {
        &self.inner.shape.leaf
    }

    /// The certificates as DER, leaf first.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.inner.shape.certificates.iter().map(|range| &self.inner.chain[range.clone()])
    }

    /// The certificates as concatenated DER, leaf first.
    pub fn chain_der(&self) -> &[u8] {
        &self.inner.chain
    }

    /// The private key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.inner.key
    }

    /// The last second the leaf is valid.
    pub fn expires_at(&self) -> SystemTime {
        clock::system_time(self.inner.shape.leaf.not_after)
    }

    /// The serial number of the leaf in lower-case hexadecimal.
    pub fn serial_number(&self) -> String {
        self.inner.shape.leaf.serial_number_hex()
    }

    /// Whether half of the lifetime is over: the moment a live source should hold a fresh one.
    pub fn needs_rotation(&self, now: Option<SystemTime>) -> bool {
        let LeafFacts { not_before, not_after, .. } = self.inner.shape.leaf;
        let half = not_before.saturating_add(not_after.saturating_sub(not_before) / 2);
        clock::unix_seconds(now) >= half
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        let mut text = String::new();
        for certificate in self.certificates() {
            pem::write(&mut text, "CERTIFICATE", certificate);
        }
        text
    }

    /// The private key as PEM, wiped when dropped.
    pub fn key_pem(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        pem::write(&mut text, "PRIVATE KEY", self.inner.key.pkcs8_der());
        text
    }
}

impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Svid")
            .field("spiffe_id", &self.spiffe_id().as_str())
            .field("hint", &self.hint())
            .field("certificates", &self.inner.shape.certificates.len())
            .field("serial_number", &self.serial_number())
            .field("expires_at", &self.inner.shape.leaf.not_after)
            .finish_non_exhaustive()
    }
}
