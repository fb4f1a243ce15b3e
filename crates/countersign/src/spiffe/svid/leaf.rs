use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
        OID_SIG_ED25519,
    },
    prelude::FromDer,
};

use crate::spiffe::{
    SpiffeId, SpiffeIdError,
    limits::{CLAIMED_URIS, SPIFFE_ID_BYTES},
};

/// What a leaf certificate says about itself, after every rule of the X.509-SVID leaf profile was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeafFacts {
    /// The one URI SAN.
    pub spiffe_id: SpiffeId,
    /// The serial number, big-endian, as DER has it: with a zero in front where the first bit is set.
    pub serial_number: Box<[u8]>,
    /// First second of validity, since 1970.
    pub not_before: i64,
    /// Last second of validity, since 1970.
    pub not_after: i64,
    /// The kind of key that is certified.
    pub key_algorithm: KeyAlgorithm,
    /// DNS names besides the SPIFFE ID. They play no part in SPIFFE authentication.
    pub dns_names: Box<[Box<str>]>,
    /// Extended key usage, when there is one: for TLS servers, for TLS clients.
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    /// The subject is empty, as RFC 5280 4.1.2.6 allows when the SAN says it all.
    pub subject_is_empty: bool,
    /// The SAN is critical, as an issuer must mark it when the subject is empty.
    pub san_is_critical: bool,
}

impl LeafFacts {
    /// Reads a leaf. The issuer is not checked: whether anything it says is proven is for the caller to know.
    pub fn parse(der: &[u8]) -> Result<Self, LeafError> {
        Certificate::parse(der).map_err(|_| LeafError::Malformed)?.check_leaf()
    }

    /// The serial number in lower-case hexadecimal, as other implementations write it: without the zero that DER puts
    /// in front of a number whose first bit is set.
    pub fn serial_number_hex(&self) -> String {
        let number = match &*self.serial_number {
            [0, number @ ..] if !number.is_empty() => number,
            number => number,
        };
        data_encoding::HEXLOWER.encode(number)
    }
}

/// What an extended key usage extension allows (RFC 5280 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    /// `id-kp-serverAuth`.
    pub server_auth: bool,
    /// `id-kp-clientAuth`.
    pub client_auth: bool,
}

/// The kind of key a certificate is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // the names say it all
pub enum KeyAlgorithm {
    Rsa,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    /// Any other kind. This library can verify such a leaf, but not serve with it.
    Other,
}

impl KeyAlgorithm {
    /// A stable name: `rsa`, `ecdsa_p256`, `ecdsa_p384`, `ecdsa_p521`, `ed25519`, `other`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::EcdsaP256 => "ecdsa_p256",
            Self::EcdsaP384 => "ecdsa_p384",
            Self::EcdsaP521 => "ecdsa_p521",
            Self::Ed25519 => "ed25519",
            Self::Other => "other",
        }
    }
}

/// The rule a leaf certificate breaks (X.509-SVID 2 to 5.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// Not a certificate, or one of its extensions does not parse or comes twice.
    #[error("the leaf is not a well-formed X.509 certificate")]
    Malformed,
    /// No URI SAN.
    #[error("the leaf carries no SPIFFE ID (no URI SAN)")]
    MissingSpiffeId,
    /// More than one URI SAN (X.509-SVID 2).
    #[error("the leaf carries more than one URI SAN")]
    MultipleUriSans,
    /// The URI SAN is no SPIFFE ID.
    #[error("the URI SAN of the leaf: {0}")]
    InvalidSpiffeId(#[source] SpiffeIdError),
    /// The ID is that of a trust domain (X.509-SVID 3.1, 5.2).
    #[error("the SPIFFE ID of the leaf has no path: it names a trust domain, not a workload")]
    MissingPath,
    /// The `cA` flag is set (X.509-SVID 4.1, 5.2).
    #[error("the leaf is a CA certificate")]
    IsCa,
    /// No key usage extension (X.509-SVID 4.3).
    #[error("the leaf has no key usage")]
    MissingKeyUsage,
    /// The key usage extension is not critical (X.509-SVID 4.3).
    #[error("the key usage of the leaf is not critical")]
    KeyUsageNotCritical,
    /// `digitalSignature` is not set (X.509-SVID 4.3).
    #[error("the key usage of the leaf lacks digitalSignature")]
    MissingDigitalSignature,
    /// `keyCertSign` is set (X.509-SVID 4.3, 5.2).
    #[error("the key usage of the leaf allows keyCertSign")]
    HasKeyCertSign,
    /// `cRLSign` is set (X.509-SVID 4.3, 5.2).
    #[error("the key usage of the leaf allows cRLSign")]
    HasCrlSign,
}

impl LeafError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_certificate",
            Self::MissingSpiffeId => "missing_spiffe_id",
            Self::MultipleUriSans => "multiple_uri_sans",
            Self::InvalidSpiffeId(_) => "invalid_spiffe_id",
            Self::MissingPath => "leaf_id_without_path",
            Self::IsCa => "leaf_is_ca",
            Self::MissingKeyUsage => "leaf_missing_key_usage",
            Self::KeyUsageNotCritical => "leaf_key_usage_not_critical",
            Self::MissingDigitalSignature => "leaf_missing_digital_signature",
            Self::HasKeyCertSign => "leaf_has_key_cert_sign",
            Self::HasCrlSign => "leaf_has_crl_sign",
        }
    }
}

/// The URIs a certificate names, not verified: what a refused peer claimed to be. At most
/// [`CLAIMED_URIS`], none of them longer than a SPIFFE ID may be; of what is no certificate, none.
pub fn claimed_uris(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::parse(der) else {
        return Vec::new();
    };
    let short = certificate.uris.iter().filter(|uri| uri.len() <= SPIFFE_ID_BYTES);
    short.take(CLAIMED_URIS).map(|uri| (*uri).to_owned()).collect()
}

/// A parsed certificate with the extensions SPIFFE has rules about, each found at most once (RFC 5280 4.2).
pub(crate) struct Certificate<'a> {
    pub x509: X509Certificate<'a>,
    pub is_ca: bool,
    pub path_len: Option<u32>,
    pub key_usage: Option<KeyUsage>,
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    /// Every URI SAN; one that is not even text stands as an empty string, which is no SPIFFE ID either.
    pub uris: Vec<&'a str>,
    pub dns_names: Vec<&'a str>,
    pub san_is_critical: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct KeyUsage {
    pub critical: bool,
    pub digital_signature: bool,
    pub key_cert_sign: bool,
    pub crl_sign: bool,
}

/// Not a certificate, or an extension with rules of its own is malformed or there twice.
pub(crate) struct MalformedCertificate;

const URI_TAG: u32 = 6;

impl<'a> Certificate<'a> {
    pub fn parse(der: &'a [u8]) -> Result<Self, MalformedCertificate> {
        let (rest, x509) = X509Certificate::from_der(der).map_err(|_| MalformedCertificate)?;
        if !rest.is_empty() {
            return Err(MalformedCertificate);
        }
        let (mut basic, mut usage, mut extended, mut san) = (None, None, None, None);
        let once = |first: bool| {
            if first { Ok(()) } else { Err(MalformedCertificate) }
        };
        let mut uris = Vec::new();
        let mut dns_names = Vec::new();
        for extension in x509.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(found) => {
                    once(basic.replace((found.ca, found.path_len_constraint)).is_none())?;
                }
                ParsedExtension::KeyUsage(found) => {
                    let found = KeyUsage {
                        critical: extension.critical,
                        digital_signature: found.digital_signature(),
                        key_cert_sign: found.key_cert_sign(),
                        crl_sign: found.crl_sign(),
                    };
                    once(usage.replace(found).is_none())?;
                }
                ParsedExtension::ExtendedKeyUsage(found) => {
                    let found = ExtendedKeyUsage { server_auth: found.server_auth, client_auth: found.client_auth };
                    once(extended.replace(found).is_none())?;
                }
                ParsedExtension::SubjectAlternativeName(found) => {
                    once(san.replace(extension.critical).is_none())?;
                    for name in &found.general_names {
                        match name {
                            GeneralName::URI(uri) => uris.push(*uri),
                            GeneralName::DNSName(name) => dns_names.push(*name),
                            GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => uris.push(""),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::ParseError { .. } => return Err(MalformedCertificate),
                _ => {}
            }
        }
        let (is_ca, path_len) = basic.unwrap_or((false, None));
        Ok(Self {
            is_ca,
            path_len,
            key_usage: usage,
            extended_key_usage: extended,
            uris,
            dns_names,
            san_is_critical: san.unwrap_or(false),
            x509,
        })
    }

    /// First and last second of validity.
    pub fn validity(&self) -> (i64, i64) {
        let validity = self.x509.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    }

    fn key_algorithm(&self) -> KeyAlgorithm {
        let algorithm = &self.x509.public_key().algorithm;
        let curve = || algorithm.parameters.as_ref().and_then(|value| value.as_oid().ok());
        let oid = &algorithm.algorithm;
        if *oid == OID_PKCS1_RSAENCRYPTION {
            return KeyAlgorithm::Rsa;
        }
        if *oid == OID_SIG_ED25519 {
            return KeyAlgorithm::Ed25519;
        }
        if *oid != OID_KEY_TYPE_EC_PUBLIC_KEY {
            return KeyAlgorithm::Other;
        }
        match curve() {
            Some(curve) if curve == OID_EC_P256 => KeyAlgorithm::EcdsaP256,
            Some(curve) if curve == OID_NIST_EC_P384 => KeyAlgorithm::EcdsaP384,
            Some(curve) if curve == OID_NIST_EC_P521 => KeyAlgorithm::EcdsaP521,
            _ => KeyAlgorithm::Other,
        }
    }

    /// The name in the certificate and nothing else: what picks the bundle.
    pub fn spiffe_id(&self) -> Result<SpiffeId, LeafError> {
        match self.uris[..] {
            [] => Err(LeafError::MissingSpiffeId),
            [uri] => SpiffeId::parse(uri).map_err(LeafError::InvalidSpiffeId),
            _ => Err(LeafError::MultipleUriSans),
        }
    }

    /// The leaf profile (X.509-SVID 2, 3.1, 4.1, 4.3, 5.2). A missing basic constraints extension is `cA` false, its
    /// default (RFC 5280 4.2.1.9).
    pub fn check_leaf(&self) -> Result<LeafFacts, LeafError> {
        let spiffe_id = self.spiffe_id()?;
        if spiffe_id.path().is_empty() {
            return Err(LeafError::MissingPath);
        }
        if self.is_ca {
            return Err(LeafError::IsCa);
        }
        let usage = self.key_usage.ok_or(LeafError::MissingKeyUsage)?;
        if usage.key_cert_sign {
            return Err(LeafError::HasKeyCertSign);
        }
        if usage.crl_sign {
            return Err(LeafError::HasCrlSign);
        }
        if !usage.digital_signature {
            return Err(LeafError::MissingDigitalSignature);
        }
        if !usage.critical {
            return Err(LeafError::KeyUsageNotCritical);
        }
        let (not_before, not_after) = self.validity();
        Ok(LeafFacts {
            spiffe_id,
            serial_number: self.x509.raw_serial().into(),
            not_before,
            not_after,
            key_algorithm: self.key_algorithm(),
            dns_names: self.dns_names.iter().map(|name| Box::from(*name)).collect(),
            extended_key_usage: self.extended_key_usage,
            subject_is_empty: self.x509.subject().iter().next().is_none(),
            san_is_critical: self.san_is_critical,
        })
    }
}
