use crate::spiffe::{
    LeafError, NotAuthorized, SigningError, TrustDomain,
    limits::{CHAIN_BYTES, CHAIN_CERTIFICATES},
};

/// Why a chain does not prove an authorized name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum X509VerifyError {
    /// No certificate at all.
    #[error("the chain is empty")]
    EmptyChain,
    /// More certificates or bytes than are looked at.
    #[error("the chain is longer than {CHAIN_CERTIFICATES} certificates or {CHAIN_BYTES} bytes")]
    ChainTooLong,
    /// The bytes are not a concatenation of DER certificates, or the text is no PEM.
    #[error("the chain is neither a concatenation of DER certificates nor PEM")]
    MalformedChain,
    /// The leaf breaks a rule of the leaf profile.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// There is no X.509 bundle for the trust domain of the leaf.
    #[error("there is no X.509 bundle for the trust domain {0}")]
    NoBundle(TrustDomain),
    /// There is a bundle, with nothing in it that can be an authority.
    #[error("the X.509 bundle of {0} holds no usable authority")]
    NoAuthorities(TrustDomain),
    /// A certificate between the leaf and the authority is no signing certificate.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// There is no valid path from the leaf to an authority (RFC 5280 6.1).
    #[error("{0}")]
    Path(PathRule),
    /// The name is proven, but not authorized.
    #[error(transparent)]
    NotAuthorized(#[from] NotAuthorized),
}

impl X509VerifyError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EmptyChain => "empty_chain",
            Self::ChainTooLong => "chain_too_long",
            Self::MalformedChain => "malformed_chain",
            Self::Leaf(error) => error.code(),
            Self::NoBundle(_) => "no_bundle",
            Self::NoAuthorities(_) => "no_authorities",
            Self::Signing(error) => error.code(),
            Self::Path(rule) => rule.as_str(),
            Self::NotAuthorized(_) => "not_authorized",
        }
    }
}

/// The rule of path validation that is broken (RFC 5280 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathRule {
    /// No authority of the trust domain signed it, directly or through the certificates that were presented.
    #[error("no authority of the leaf's own trust domain vouches for the chain")]
    UnknownIssuer,
    /// A signature in the path is wrong.
    #[error("a signature in the chain is wrong")]
    InvalidSignature,
    /// A certificate of the path is past its validity (4.1.2.5).
    #[error("a certificate of the chain has expired")]
    Expired,
    /// A certificate of the path is not valid yet (4.1.2.5).
    #[error("a certificate of the chain is not valid yet")]
    NotYetValid,
    /// More signing certificates than one of them, or the authority, allows (4.2.1.9).
    #[error("the chain is longer than a path length constraint in it allows")]
    PathLength,
    /// A name is outside of what a signing certificate is allowed to vouch for (4.2.1.10). Constraints on URIs and
    /// directory names are not evaluated: a chain that has them is refused.
    #[error(
        "a name in the chain is outside of a name constraint, or the constraint is of a kind that is not evaluated"
    )]
    NameConstraint,
    /// The extended key usage is there and does not cover the role (4.2.1.12).
    #[error("the extended key usage does not allow the use as TLS server or client that is asked for")]
    ExtendedKeyUsage,
    /// A critical extension is not known (4.2).
    #[error("a certificate of the chain has a critical extension that is not known")]
    CriticalExtension,
    /// A signature algorithm or key type is not supported: SHA-1, RSA below 2048 bits, unknown curves.
    #[error("a certificate of the chain is signed with an algorithm or a key that is not supported")]
    UnsupportedAlgorithm,
    /// The path is deeper, or harder to find, than is searched.
    #[error("the chain takes more work to verify than is spent")]
    TooComplex,
    /// A certificate is malformed in a way of its own.
    #[error("a certificate of the chain is malformed")]
    Malformed,
}

impl PathRule {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "unknown_issuer",
            Self::InvalidSignature => "invalid_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::PathLength => "path_length",
            Self::NameConstraint => "name_constraint",
            Self::ExtendedKeyUsage => "extended_key_usage",
            Self::CriticalExtension => "critical_extension",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::TooComplex => "too_complex",
            Self::Malformed => "malformed_certificate",
        }
    }
}

impl From<&webpki::Error> for PathRule {
    fn from(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { .. } => Self::Expired,
            E::CertNotValidYet { .. } => Self::NotYetValid,
            E::UnknownIssuer | E::CaUsedAsEndEntity | E::EndEntityUsedAsCa | E::CertDistrusted => Self::UnknownIssuer,
            E::InvalidSignatureForPublicKey => Self::InvalidSignature,
            E::PathLenConstraintViolated => Self::PathLength,
            E::NameConstraintViolation | E::MalformedNameConstraint => Self::NameConstraint,
            E::EmptyEkuExtension | E::RequiredEkuNotFoundContext(_) => Self::ExtendedKeyUsage,
            E::UnsupportedCriticalExtension => Self::CriticalExtension,
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | E::SignatureAlgorithmMismatch => Self::UnsupportedAlgorithm,
            E::MaximumNameConstraintComparisonsExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumPathDepthExceeded
            | E::MaximumSignatureChecksExceeded => Self::TooComplex,
            _ => Self::Malformed,
        }
    }
}
