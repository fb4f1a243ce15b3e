use super::{leaf::LeafError, signing::SigningError};
use crate::spiffe::{
    limits::{CHAIN_BYTES, CHAIN_CERTIFICATES, PRIVATE_KEY_BYTES},
    pem::PemFault,
};

/// Why chain and key are no X509-SVID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum X509SvidError {
    /// No certificate at all.
    #[error("the chain is empty")]
    EmptyChain,
    /// More certificates or bytes than are looked at.
    #[error("the chain is longer than {CHAIN_CERTIFICATES} certificates or {CHAIN_BYTES} bytes")]
    ChainTooLong,
    /// The bytes are not a concatenation of DER certificates.
    #[error("the chain is not a concatenation of DER certificates")]
    MalformedChain,
    /// The text is no PEM.
    #[error("{0}")]
    MalformedPem(&'static str),
    /// The first certificate breaks a rule of the leaf profile.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A further certificate is no signing certificate.
    #[error("certificate {index} of the chain: {error}")]
    Signing {
        /// Its place in the chain; the leaf is 0.
        index: usize,
        /// The rule.
        error: SigningError,
    },
    /// The PEM holds no private key.
    #[error("there is no private key")]
    MissingPrivateKey,
    /// The PEM holds several private keys.
    #[error("there is more than one private key")]
    MultiplePrivateKeys,
    /// The private key is there, in another form.
    #[error(
        "the private key is in the form {0:?}: it must be unencrypted PKCS#8 \
         (openssl pkcs8 -topk8 -nocrypt converts it)"
    )]
    PrivateKeyForm(&'static str),
    /// The private key is longer than any that is supported.
    #[error("the private key is longer than {PRIVATE_KEY_BYTES} bytes")]
    PrivateKeyTooLong,
    /// The leaf certifies a key of a kind that is not supported.
    #[error("the leaf certifies a key that is none of RSA (2048 to 8192 bits), ECDSA P-256, P-384, P-521 and Ed25519")]
    UnsupportedKey,
    /// The bytes are no PKCS#8 key, or a key of another kind than the leaf certifies.
    #[error("the private key is not unencrypted PKCS#8 of the kind the leaf certifies")]
    MalformedPrivateKey,
    /// The private key belongs to another certificate.
    #[error("the private key does not match the leaf")]
    PrivateKeyMismatch,
}

impl X509SvidError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EmptyChain => "empty_chain",
            Self::ChainTooLong => "chain_too_long",
            Self::MalformedChain => "malformed_chain",
            Self::MalformedPem(_) => "malformed_pem",
            Self::Leaf(error) => error.code(),
            Self::Signing { error, .. } => error.code(),
            Self::MissingPrivateKey => "missing_private_key",
            Self::MultiplePrivateKeys => "multiple_private_keys",
            Self::PrivateKeyForm(_) => "private_key_form",
            Self::PrivateKeyTooLong => "private_key_too_long",
            Self::UnsupportedKey => "unsupported_key",
            Self::MalformedPrivateKey => "malformed_private_key",
            Self::PrivateKeyMismatch => "private_key_mismatch",
        }
    }
}

impl From<PemFault> for X509SvidError {
    fn from(fault: PemFault) -> Self {
        Self::MalformedPem(match fault {
            PemFault::TooLarge => "the PEM text is too long",
            PemFault::NoEnd => "a BEGIN line has no END line of the same label",
            PemFault::Base64 => "what stands between BEGIN and END is not base64",
        })
    }
}
