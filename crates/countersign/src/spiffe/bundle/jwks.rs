use std::{collections::BTreeMap, fmt, sync::Arc};

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::BundleError;
use crate::spiffe::{
    JwtAuthority, PublicKey, json,
    jwk::{BadKey, Jwk},
    limits::{JWKS_BYTES, JWKS_KEYS},
    svid::{Certificate, SigningFacts},
};

/// A key of a set that was left out, or taken with reservations. The rest of the set is not affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRemark {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// What is the matter.
    pub reason: KeyRemarkReason,
}

/// What is the matter with a key of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyRemarkReason {
    /// Not an object, or a member is of the wrong kind or there twice.
    MalformedJwk,
    /// No `kty`, an unknown one, or an unknown curve (SPIFFE Trust Domain and Bundle 4.2.1).
    UnknownKeyType,
    /// A SPIFFE document does not say what the key is for (4.2.2).
    MissingUse,
    /// The key is for something else (4.2.2).
    OtherUse,
    /// A key for tokens without a key ID (JWT-SVID bundle rules).
    MissingKeyId,
    /// A later key has the same key ID: the last one counts.
    DuplicateKeyId,
    /// A parameter of the key is missing or malformed, or the point is not on its curve.
    InvalidKey,
    /// An RSA key outside of 2048 to 8192 bits.
    RsaSize,
    /// The private half is published with it.
    PrivateKey,
    /// The key is meant for an algorithm no SVID is signed with, or not for verification.
    UnsupportedAlgorithm,
    /// An X.509 authority without a certificate (X.509-SVID 6.2).
    MissingCertificate,
    /// The certificate is no signing certificate, or does not parse.
    InvalidCertificate,
    /// The certificate is about another key than the JWK around it (RFC 7517 4.7).
    CertificateMismatch,
    /// More than one certificate; only the first counts (X.509-SVID 6.2). The key is taken.
    ExtraCertificates,
}

impl KeyRemarkReason {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJwk => "malformed_jwk",
            Self::UnknownKeyType => "unknown_key_type",
            Self::MissingUse => "missing_use",
            Self::OtherUse => "other_use",
            Self::MissingKeyId => "missing_key_id",
            Self::DuplicateKeyId => "duplicate_key_id",
            Self::InvalidKey => "invalid_key",
            Self::RsaSize => "rsa_size",
            Self::PrivateKey => "private_key",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::MissingCertificate => "missing_certificate",
            Self::InvalidCertificate => "invalid_certificate",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::ExtraCertificates => "extra_certificates",
        }
    }
}

impl fmt::Display for KeyRemarkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<BadKey> for KeyRemarkReason {
    fn from(bad: BadKey) -> Self {
        match bad {
            BadKey::Unknown => Self::UnknownKeyType,
            BadKey::Malformed => Self::InvalidKey,
            BadKey::RsaSize => Self::RsaSize,
            BadKey::Algorithm => Self::UnsupportedAlgorithm,
        }
    }
}

/// The source of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A SPIFFE bundle document: every key says what it is for, or is not taken (4.2.2).
    Document,
    /// JWT bundles of the Workload API: plain JWKS, in which SPIRE does not write `use`. Keys that say they are for
    /// something else are not taken.
    WorkloadApi,
    /// The keys of an OIDC provider (RFC 7517): `use` may be missing, or is `sig`. A key whose private half is
    /// published with it proves nothing any more.
    Oidc,
}

/// The keys for tokens, by key ID.
pub(crate) type JwtAuthorities = BTreeMap<Arc<str>, JwtAuthority>;

/// A set of keys, sorted by what they are for.
///
/// A key that cannot be used is left out and remarked on, in every dialect. Leaving it out trusts less than the
/// publisher meant, never more, and lets the rest of the update through: a set refused as a whole would keep keys in
/// force that the very same update takes back.
#[derive(Default)]
pub(crate) struct KeySet {
    pub x509: Vec<Vec<u8>>,
    pub jwt: JwtAuthorities,
    pub wit: JwtAuthorities,
    pub skipped: Vec<KeyRemark>,
    pub warnings: Vec<KeyRemark>,
    pub sequence: Option<u64>,
    pub refresh_hint: Option<u64>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    spiffe_sequence: Option<&'a RawValue>,
    #[serde(borrow)]
    spiffe_refresh_hint: Option<&'a RawValue>,
}

impl KeySet {
    pub fn parse(json: &[u8], dialect: Dialect) -> Result<Self, BundleError> {
        if json.len() > JWKS_BYTES {
            return Err(BundleError::TooLarge);
        }
        let text = std::str::from_utf8(json).map_err(|_| BundleError::MalformedJson("not UTF-8".to_owned()))?;
        let document: Document<'_> = json::object(text)?;
        let keys = document.keys.ok_or(BundleError::MissingKeys)?;
        if keys.len() > JWKS_KEYS {
            return Err(BundleError::TooLarge);
        }
        let mut set = Self::default();
        if dialect == Dialect::Document {
            // 4.1.1, 4.1.2: integers; the sequence needs all 64 bits.
            set.sequence = integer(document.spiffe_sequence)?;
            set.refresh_hint = integer(document.spiffe_refresh_hint)?;
        }
        let mut places = BTreeMap::new();
        for (index, key) in keys.into_iter().enumerate() {
            if let Err(reason) = set.take(index, key, dialect, &mut places) {
                set.skipped.push(KeyRemark { index, reason });
            }
        }
        Ok(set)
    }

    fn take(
        &mut self,
        index: usize,
        key: &RawValue,
        dialect: Dialect,
        places: &mut BTreeMap<(bool, Arc<str>), usize>,
    ) -> Result<(), KeyRemarkReason> {
        use KeyRemarkReason as Reason;
        let jwk: Jwk = json::object(key.get()).map_err(|_| Reason::MalformedJwk)?;
        let for_wit = match (dialect, jwk.purpose.as_deref()) {
            (Dialect::Document, Some("x509-svid")) => return self.take_x509(index, &jwk),
            (Dialect::Document, Some("wit-svid")) => true,
            (Dialect::Document | Dialect::WorkloadApi, Some("jwt-svid"))
            | (Dialect::WorkloadApi | Dialect::Oidc, None | Some("sig")) => false,
            (Dialect::Document, None) => return Err(Reason::MissingUse),
            _ => return Err(Reason::OtherUse),
        };
        if !matches!(jwk.kty.as_deref(), Some("RSA" | "EC")) {
            return Err(Reason::UnknownKeyType);
        }
        if dialect == Dialect::Oidc && jwk.is_private() {
            return Err(Reason::PrivateKey);
        }
        let key_id = jwk.kid.as_deref().filter(|key_id| !key_id.is_empty());
        let key_id: Arc<str> = key_id.ok_or(Reason::MissingKeyId)?.into();
        let authority = JwtAuthority::from_jwk(&key_id, &jwk)?;
        let authorities = if for_wit { &mut self.wit } else { &mut self.jwt };
        authorities.insert(key_id.clone(), authority);
        if let Some(earlier) = places.insert((for_wit, key_id), index) {
            self.skipped.push(KeyRemark { index: earlier, reason: Reason::DuplicateKeyId });
        }
        Ok(())
    }

    /// X.509-SVID 6.2: the first certificate counts; without one the entry is ignored.
    fn take_x509(&mut self, index: usize, jwk: &Jwk) -> Result<(), KeyRemarkReason> {
        use KeyRemarkReason as Reason;
        if !matches!(jwk.kty.as_deref(), Some("RSA" | "EC" | "OKP")) {
            return Err(Reason::UnknownKeyType);
        }
        let certificates = jwk.x5c.as_ref().and_then(Value::as_array);
        let (first, rest) =
            certificates.and_then(|certificates| certificates.split_first()).ok_or(Reason::MissingCertificate)?;
        let first = first.as_str().ok_or(Reason::InvalidCertificate)?;
        // RFC 7517 4.7: base64, not base64url. Publishers break it into lines.
        let base64: Vec<u8> = first.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let der = BASE64.decode(&base64).map_err(|_| Reason::InvalidCertificate)?;
        SigningFacts::of_anchor(&der).map_err(|_| Reason::InvalidCertificate)?;
        // RFC 7517 4.7: the certificate is about the key the JWK describes. A JWK without parameters describes none,
        // and a kind of key that is not known here cannot be compared: then the certificate is what counts.
        let certified =
            Certificate::parse(&der).ok().and_then(|certificate| PublicKey::from_spki(certificate.x509.public_key()));
        if let (Some(certified), Ok(described)) = (certified, PublicKey::from_jwk(jwk))
            && certified != described
        {
            return Err(Reason::CertificateMismatch);
        }
        if !rest.is_empty() {
            self.warnings.push(KeyRemark { index, reason: Reason::ExtraCertificates });
        }
        if !self.x509.contains(&der) {
            self.x509.push(der);
        }
        Ok(())
    }
}

fn integer(value: Option<&RawValue>) -> Result<Option<u64>, BundleError> {
    match value {
        None => Ok(None),
        Some(value) => serde_json::from_str(value.get()).map_err(|_| {
            BundleError::MalformedJson(
                "spiffe_sequence and spiffe_refresh_hint are integers of at most 64 bits".to_owned(),
            )
        }),
    }
}
