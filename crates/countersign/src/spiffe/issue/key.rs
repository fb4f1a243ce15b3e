use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    Signature,
};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use zeroize::Zeroizing;

use crate::spiffe::{Curve, PublicKey};

/// Why a document could not be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The crypto library made no key or no signature.
    #[error("the crypto library could not {0}")]
    Crypto(&'static str),
    /// What was to be written has no place in the document.
    #[error("{0}")]
    Unwritable(String),
    /// A key that was read is none, or not the one of its certificate.
    #[error("{0}")]
    BadKey(&'static str),
}

/// What a key signs: the two write their signatures down differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyUse {
    Certificates,
    Tokens,
}

impl KeyUse {
    fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            KeyUse::Certificates => &ECDSA_P256_SHA256_ASN1_SIGNING,
            KeyUse::Tokens => &ECDSA_P256_SHA256_FIXED_SIGNING,
        }
    }
}

/// A key pair on P-256. The crypto library wipes it when it is dropped.
pub(crate) struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    pub fn generate(purpose: KeyUse) -> Result<SigningKey, IssueError> {
        EcdsaKeyPair::generate(purpose.algorithm()).map(SigningKey).map_err(|_| IssueError::Crypto("make a key"))
    }

    pub fn from_pkcs8(purpose: KeyUse, der: &[u8]) -> Result<SigningKey, IssueError> {
        EcdsaKeyPair::from_pkcs8(purpose.algorithm(), der)
            .map(SigningKey)
            .map_err(|_| IssueError::BadKey("not a private key on P-256"))
    }

    /// Unencrypted PKCS#8 (RFC 5958).
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        let document = self.0.to_pkcs8v1().map_err(|_| IssueError::Crypto("write a key"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The uncompressed point (SEC 1 2.3.3).
    pub fn point(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey::Ec { curve: Curve::P256, point: self.point().into() }
    }

    pub fn sign(&self, message: &[u8]) -> Result<Signature, IssueError> {
        self.0.sign(&SystemRandom::new(), message).map_err(|_| IssueError::Crypto("sign"))
    }
}

impl PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match SigningKey::sign(self, message) {
            Ok(signature) => Ok(signature.as_ref().to_vec()),
            Err(_) => Err(rcgen::Error::RemoteKeyError),
        }
    }
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> IssueError {
        match error {
            rcgen::Error::RemoteKeyError | rcgen::Error::RingUnspecified => IssueError::Crypto("sign"),
            other => IssueError::Unwritable(other.to_string()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}
