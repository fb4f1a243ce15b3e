use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use zeroize::Zeroizing;

use super::leaf::KeyAlgorithm;

/// A private key as unencrypted PKCS#8 (RFC 5958). Wiped when the last clone is dropped; never shown.
#[derive(Clone)]
pub struct PrivateKey(Arc<Zeroizing<Vec<u8>>>);

impl PrivateKey {
    pub(crate) fn new(pkcs8_der: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(pkcs8_der))
    }

    /// The PKCS#8 DER. Treat it as the secret it is.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.0
    }

    /// The public half, as it stands in the subjectPublicKey of a certificate of that kind (RFC 5280 4.1.2.7). `None`
    /// when this is no private key of that kind.
    pub(crate) fn public_key(&self, algorithm: KeyAlgorithm) -> Option<Vec<u8>> {
        let der = self.pkcs8_der();
        let ec = |curve: &'static EcdsaSigningAlgorithm| {
            let pair = EcdsaKeyPair::from_pkcs8(curve, der).ok()?;
            Some(pair.public_key().as_ref().to_vec())
        };
        match algorithm {
            KeyAlgorithm::Rsa => {
                let pair = rsa::KeyPair::from_pkcs8(der).ok()?;
                Some(pair.public_key().as_ref().to_vec())
            }
            KeyAlgorithm::EcdsaP256 => ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP384 => ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP521 => ec(&ECDSA_P521_SHA512_ASN1_SIGNING),
            KeyAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
                Some(pair.public_key().as_ref().to_vec())
            }
            KeyAlgorithm::Other => None,
        }
    }
}

impl PartialEq for PrivateKey {
    /// In constant time: this may be asked about a secret.
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}
