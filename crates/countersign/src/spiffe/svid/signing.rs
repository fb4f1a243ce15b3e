use super::leaf::Certificate;
use crate::spiffe::SpiffeId;

/// The rule a signing certificate breaks (X.509-SVID 3.2, 4.1, 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// Not a certificate, or one of its extensions does not parse or comes twice.
    #[error("a signing certificate is not a well-formed X.509 certificate")]
    Malformed,
    /// The `cA` flag is not set.
    #[error("a signing certificate is not a CA certificate")]
    NotCa,
    /// `keyCertSign` is not set.
    #[error("the key usage of a signing certificate lacks keyCertSign")]
    MissingKeyCertSign,
    /// Its SPIFFE ID has a path: it is the name of a workload.
    #[error("the SPIFFE ID of a signing certificate has a path: it names a workload")]
    HasPath,
}

impl SigningError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_certificate",
            Self::NotCa => "signing_not_ca",
            Self::MissingKeyCertSign => "signing_missing_key_cert_sign",
            Self::HasPath => "signing_id_with_path",
        }
    }
}

/// What path validation needs to know of a signing certificate beyond what the path builder looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SigningFacts {
    pub path_len: Option<u32>,
    pub not_before: i64,
    pub not_after: i64,
    /// Issuer and subject are the same name (RFC 5280 3.2): such certificates do not count against a path length.
    pub self_issued: bool,
}

impl SigningFacts {
    /// A signing certificate below the trust anchor: `cA` and `keyCertSign` must be set.
    pub fn of_intermediate(der: &[u8]) -> Result<Self, SigningError> {
        let certificate = Certificate::parse(der).map_err(|_| SigningError::Malformed)?;
        if certificate.is_ca && certificate.key_usage.is_none() {
            return Err(SigningError::MissingKeyCertSign);
        }
        Self::check(&certificate)
    }

    /// A trust anchor. It is trusted by presence in a bundle, so a key usage extension it does not have does not limit
    /// it (many a root minted by hand has none); one that it has must allow `keyCertSign`. A leaf is no trust anchor:
    /// the holder of its key could otherwise issue any identity of the trust domain.
    pub fn of_anchor(der: &[u8]) -> Result<Self, SigningError> {
        Self::check(&Certificate::parse(der).map_err(|_| SigningError::Malformed)?)
    }

    fn check(certificate: &Certificate<'_>) -> Result<Self, SigningError> {
        if !certificate.is_ca {
            return Err(SigningError::NotCa);
        }
        if certificate.key_usage.is_some_and(|usage| !usage.key_cert_sign) {
            return Err(SigningError::MissingKeyCertSign);
        }
        // X.509-SVID 3.2: a signing certificate need not be an SVID, but the ID of one that is has no path.
        let names_workload = |uri: &&str| SpiffeId::parse(uri).is_ok_and(|id| !id.path().is_empty());
        if certificate.uris.iter().any(names_workload) {
            return Err(SigningError::HasPath);
        }
        let (not_before, not_after) = certificate.validity();
        Ok(Self {
            path_len: certificate.path_len,
            not_before,
            not_after,
            self_issued: certificate.x509.issuer().as_raw() == certificate.x509.subject().as_raw(),
        })
    }
}
