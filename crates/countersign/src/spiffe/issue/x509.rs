use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, SanType, SerialNumber,
};
use zeroize::Zeroizing;

use super::key::{IssueError, KeyUse, SigningKey};
use crate::spiffe::clock::LAST_MOMENT;
use crate::spiffe::svid::{Certificate, SigningFacts};
use crate::spiffe::{PublicKey, SpiffeId, TrustDomain};

/// The issuer that certificates name. It identifies nothing: the SPIFFE ID does.
const ORGANIZATION: &str = "countersign";
/// `serialNumber` (RFC 4519 2.31): gives each root of one trust domain its own name.
const SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];
/// RFC 5280 appendix A.1, `ub-common-name`.
const LONGEST_COMMON_NAME: usize = 64;

/// A root of a trust domain with its key: signs X509-SVIDs.
pub struct X509Issuer {
    certificate: Box<[u8]>,
    issuer: Issuer<'static, SigningKey>,
    not_before: i64,
    not_after: i64,
}

/// The content of an X509-SVID. Times are seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct LeafRequest<'a> {
    /// The name of the workload.
    pub spiffe_id: &'a SpiffeId,
    /// DNS names besides it.
    pub dns_names: &'a [String],
    /// First second of validity.
    pub not_before: i64,
    /// Last second of validity; cut to that of the root.
    pub not_after: i64,
}

/// An X509-SVID and its key.
pub struct IssuedX509 {
    /// Certificates as concatenated DER, leaf first. The root is not among them.
    pub chain_der: Vec<u8>,
    /// PKCS#8, unencrypted.
    pub key_der: Zeroizing<Vec<u8>>,
    /// First second of validity, since 1970.
    pub not_before: i64,
    /// Last second of validity, since 1970.
    pub not_after: i64,
}

impl X509Issuer {
    /// A new root, self-signed, valid for these seconds since 1970 (X.509-SVID 3.2, 4.1, 4.3: a signing certificate).
    pub fn generate(trust_domain: &TrustDomain, not_before: i64, not_after: i64) -> Result<X509Issuer, IssueError> {
        let key = SigningKey::generate(KeyUse::Certificates)?;
        let serial = random_serial()?;
        let mut root = CertificateParams::default();
        root.distinguished_name = name();
        root.distinguished_name
            .push(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), data_encoding::HEXLOWER.encode(serial.as_ref()));
        root.serial_number = Some(serial);
        root.subject_alt_names = vec![uri(&trust_domain.id())?];
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut root, not_before, not_after);
        root.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier(&key));
        root.use_authority_key_identifier_extension = true;
        let certificate = root.self_signed(&key)?.der().to_vec().into();
        Ok(X509Issuer { certificate, issuer: Issuer::new(root, key), not_before, not_after })
    }

    /// A root that was made before: its certificate, and its key as PKCS#8.
    pub fn from_parts(certificate: &[u8], key_der: &[u8]) -> Result<X509Issuer, IssueError> {
        let key = SigningKey::from_pkcs8(KeyUse::Certificates, key_der)?;
        let facts = SigningFacts::of_anchor(certificate)
            .map_err(|_| IssueError::BadKey("the certificate is no signing certificate"))?;
        let read = Certificate::parse(certificate).map_err(|_| IssueError::BadKey("not a certificate"))?;
        if PublicKey::from_spki(read.x509.public_key()) != Some(key.public_key()) {
            return Err(IssueError::BadKey("the key is not that of the certificate"));
        }
        let mut root = CertificateParams::default();
        root.distinguished_name = name();
        for attribute in read.x509.subject().iter_attributes() {
            if attribute.attr_type().iter().is_some_and(|mut oid| oid.by_ref().eq(SERIAL_NUMBER)) {
                let serial = attribute.as_str().map_err(|_| IssueError::BadKey("the certificate is none of ours"))?;
                root.distinguished_name.push(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), serial);
            }
        }
        root.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier(&key));
        let issuer = X509Issuer {
            certificate: certificate.into(),
            issuer: Issuer::new(root, key),
            not_before: facts.not_before,
            not_after: facts.not_after,
        };
        issuer.must_issue_for(&read)?;
        Ok(issuer)
    }

    /// The name in the certificate must be, byte for byte, the one that leaves will name as their issuer.
    fn must_issue_for(&self, root: &Certificate<'_>) -> Result<(), IssueError> {
        let probe =
            SpiffeId::parse("spiffe://probe/probe").map_err(|error| IssueError::Unwritable(error.to_string()))?;
        let request = LeafRequest { spiffe_id: &probe, dns_names: &[], not_before: 0, not_after: 1 };
        let leaf = self.sign(leaf_parameters(&request)?, &SigningKey::generate(KeyUse::Certificates)?)?;
        let read = Certificate::parse(&leaf).map_err(|_| IssueError::BadKey("not a certificate"))?;
        if read.x509.issuer().as_raw() == root.x509.subject().as_raw() {
            Ok(())
        } else {
            Err(IssueError::BadKey("the certificate is none of ours"))
        }
    }

    /// Signs an X509-SVID over a fresh key.
    pub fn issue(&self, request: &LeafRequest<'_>) -> Result<IssuedX509, IssueError> {
        let (not_before, not_after) = (request.not_before.max(self.not_before), request.not_after.min(self.not_after));
        if not_before >= not_after {
            return Err(IssueError::Unwritable(
                "there is no moment at which both the SVID and its root are valid".into(),
            ));
        }
        let key = SigningKey::generate(KeyUse::Certificates)?;
        let parameters = leaf_parameters(&LeafRequest { not_before, not_after, ..*request })?;
        Ok(IssuedX509 { chain_der: self.sign(parameters, &key)?, key_der: key.to_pkcs8()?, not_before, not_after })
    }

    /// Signs any parameters.
    pub(crate) fn sign(
        &self,
        parameters: CertificateParams,
        key: &impl rcgen::PublicKeyData,
    ) -> Result<Vec<u8>, IssueError> {
        Ok(parameters.signed_by(key, &self.issuer)?.der().to_vec())
    }

    /// The root's certificate.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The root's key as PKCS#8.
    pub fn key_der(&self) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        self.issuer.key().to_pkcs8()
    }

    /// First second of the root's validity, since 1970.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Last second of the root's validity, since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }
}

/// Parameters of a leaf that keeps every rule (X.509-SVID 2, 3.1, 4.1, 4.3, 4.4).
pub(crate) fn leaf_parameters(request: &LeafRequest<'_>) -> Result<CertificateParams, IssueError> {
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = name();
    // As SPIRE does: databases look there for the name of a user.
    if let Some(first) = request.dns_names.first().filter(|name| name.len() <= LONGEST_COMMON_NAME) {
        leaf.distinguished_name.push(DnType::CommonName, first.as_str());
    }
    leaf.serial_number = Some(random_serial()?);
    leaf.subject_alt_names = vec![uri(request.spiffe_id)?];
    for dns_name in request.dns_names {
        leaf.subject_alt_names.push(SanType::DnsName(dns_name.as_str().try_into()?));
    }
    // Written down, though it is the default: some verifiers want to read it (RFC 5280 4.2.1.9).
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    set_validity(&mut leaf, request.not_before, request.not_after);
    Ok(leaf)
}

fn name() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, ORGANIZATION);
    name
}

fn uri(id: &SpiffeId) -> Result<SanType, IssueError> {
    Ok(SanType::URI(id.as_str().try_into()?))
}

/// 127 random bits (RFC 5280 4.1.2.2: positive, at most 20 bytes; CA/B Forum: at least 64 bits from a random source).
fn random_serial() -> Result<SerialNumber, IssueError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| IssueError::Crypto("make a random number"))?;
    serial[0] &= 0x7f;
    // A first byte of zero would be left out in one place and written in another.
    serial[0] |= 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

/// RFC 7093 2, method 1, over the public key.
fn key_identifier(key: &SigningKey) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.point());
    digest.as_ref()[..20].to_vec()
}

/// From and to these seconds since 1970. What a certificate cannot name is brought to the edge.
pub(crate) fn set_validity(parameters: &mut CertificateParams, not_before: i64, not_after: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after = |seconds: i64| Duration::from_secs(seconds.clamp(0, LAST_MOMENT).unsigned_abs());
    parameters.not_before = epoch + after(not_before);
    parameters.not_after = epoch + after(not_after);
}

impl fmt::Debug for X509Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Issuer").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}
