use crate::spiffe::{
    SigningError, SpiffeIdError, TrustDomain,
    json::JsonFault,
    limits::{JWKS_BYTES, JWKS_KEYS, X509_BUNDLE_BYTES, X509_BUNDLE_CERTIFICATES},
    pem::PemFault,
};

/// Why a text or some bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More than is looked at.
    #[error(
        "the bundle is larger than is read (X.509: {X509_BUNDLE_CERTIFICATES} certificates, {X509_BUNDLE_BYTES} bytes; \
         JWKS: {JWKS_KEYS} keys, {JWKS_BYTES} bytes)"
    )]
    TooLarge,
    /// The bytes are not a concatenation of DER certificates.
    #[error("the bundle is not a concatenation of DER certificates")]
    MalformedDer,
    /// The text is no PEM, or holds no certificate.
    #[error("{0}")]
    MalformedPem(&'static str),
    /// A certificate can be no authority.
    #[error("certificate {index} of the bundle: {error}")]
    Certificate {
        /// Its place in the bundle, from 0.
        index: usize,
        /// The rule.
        error: SigningError,
    },
    /// Not JSON, or a member of the wrong kind.
    #[error("the bundle is malformed: {0}")]
    MalformedJson(String),
    /// A JSON object names a member twice.
    #[error("the bundle is ambiguous: {0}")]
    DuplicateMember(String),
    /// There is no `keys` (SPIFFE Trust Domain and Bundle 4.1.3).
    #[error("the bundle has no keys member")]
    MissingKeys,
    /// There is no `trust_domains`.
    #[error("the bundle map has no trust_domains member")]
    MissingTrustDomains,
    /// A name in a bundle map is no trust domain.
    #[error("a name in the bundle map: {0}")]
    InvalidTrustDomain(#[source] SpiffeIdError),
    /// A bundle map names a trust domain twice.
    #[error("the bundle map names {0} twice")]
    DuplicateTrustDomain(TrustDomain),
    /// A bundle in a map is broken; then none of the map is taken.
    #[error("the bundle of {trust_domain}: {error}")]
    InMap {
        /// The trust domain whose bundle it is.
        trust_domain: TrustDomain,
        /// What is wrong with it.
        #[source]
        error: Box<BundleError>,
    },
    /// The bundle belongs to another trust domain.
    #[error("the bundle is that of {actual}, not of {expected}")]
    TrustDomainMismatch {
        /// The trust domain that was asked for.
        expected: TrustDomain,
        /// The trust domain of the bundle.
        actual: TrustDomain,
    },
    /// An authority certifies a key of a kind JWK has no form for here, so it cannot be written.
    #[error("certificate {index} of the bundle certifies a kind of key that cannot be written as a JWK")]
    UnwritableKey {
        /// Its place in the bundle, from 0.
        index: usize,
    },
}

impl BundleError {
    /// The stable name of what is wrong.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "bundle_too_large",
            Self::MalformedDer => "malformed_der",
            Self::MalformedPem(_) => "malformed_pem",
            Self::Certificate { error, .. } => error.code(),
            Self::MalformedJson(_) => "malformed_json",
            Self::DuplicateMember(_) => "duplicate_member",
            Self::MissingKeys => "missing_keys",
            Self::MissingTrustDomains => "missing_trust_domains",
            Self::InvalidTrustDomain(_) => "invalid_trust_domain",
            Self::DuplicateTrustDomain(_) => "duplicate_trust_domain",
            Self::InMap { error, .. } => error.code(),
            Self::TrustDomainMismatch { .. } => "trust_domain_mismatch",
            Self::UnwritableKey { .. } => "unwritable_key",
        }
    }
}

impl From<JsonFault> for BundleError {
    fn from(fault: JsonFault) -> Self {
        if fault.is_duplicate() {
            Self::DuplicateMember(fault.to_string())
        } else {
            Self::MalformedJson(fault.to_string())
        }
    }
}

impl From<serde_json::Error> for BundleError {
    fn from(error: serde_json::Error) -> Self {
        JsonFault::from(error).into()
    }
}

impl From<PemFault> for BundleError {
    fn from(fault: PemFault) -> Self {
        match fault {
            PemFault::TooLarge => Self::TooLarge,
            PemFault::NoEnd => Self::MalformedPem("a BEGIN line has no END line of the same label"),
            PemFault::Base64 => Self::MalformedPem("what stands between BEGIN and END is not base64"),
        }
    }
}
